/** The way of commands to a server: its routes, by their names in the contract. */
import { randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { apiLimits } from "../api/api-limits.ts";
import { isForPeople, type RouteSpec } from "../api/routes/route-spec.ts";
import { type Answered, type Asked, type RouteName, routes } from "../api/routes.ts";
import type { DryRun } from "../api/schemas/dry-run.ts";
import { RebootlessError } from "../base/errors.ts";
import { declined, parsed, type Sent, send, sessionIn, textOf } from "./server-request.ts";
import { isTried, type ServerAddress, type ServerTarget } from "./server-target.ts";

const silenceMs = 60_000;
/** Of one command, where the connection breaks. */
const attempts = 3;

/** What a request to a route may bring. */
export type Given<Name extends RouteName> = { [Part in keyof Asked<Name>]?: Asked<Name>[Part] };

/** Asks the server. Throws what the server declined with, `server/not-running`, `server/wrong-authority`, or `server/answer`. */
export async function ask<Name extends RouteName>(
  target: ServerTarget,
  name: Name,
  given: Given<Name> = {},
): Promise<Answered<Name>> {
  const server = isTried(target) ? target.tried : target;
  const spec: RouteSpec = routes[name];
  const params = { ...(given.params as Record<string, string> | undefined) };
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries((given.query ?? {}) as Record<string, unknown>)) {
    if (value !== undefined) query.set(key, String(value));
  }
  const filled = spec.path.replaceAll(/\{(\w+)\}/g, (_, key: string) => encodeURIComponent(params[key] ?? ""));
  const address = query.size === 0 ? filled : `${filled}?${query}`;
  const body = given.body === undefined ? undefined : JSON.stringify(given.body);
  const isKeyed = isForPeople(spec) && spec.method === "POST";
  const trial = isTried(target) && spec.method !== "GET" ? target.trial : undefined;
  const headers = {
    ...(isKeyed ? { "idempotency-key": `"${randomUUID()}"` } : {}),
    ...(trial === undefined ? {} : { "dry-run": "?1" }),
  };
  const sent = { method: spec.method, address, body, silenceMs, headers };
  const { text, response } = await answered(server, sent, isKeyed ? attempts : 1);
  const status = response.statusCode ?? 0;
  if (status >= 400) throw declined(text, status, server);
  if (trial !== undefined) {
    if (response.headers["dry-run"] !== "?1") {
      throw new RebootlessError("server/answer", "The server knows no dry runs, and has done it.");
    }
    const tried = parsed(text) as DryRun;
    trial.push(tried);
    return tried.answer as Answered<Name>;
  }
  const session = sessionIn(response)?.secret;
  if (session !== undefined && typeof server !== "string") {
    server.session = session;
    await server.renew?.(session);
  }
  return (text === "" ? undefined : parsed(text)) as Answered<Name>;
}

/** Under its key a request may be sent again when its answer was lost on the way. */
async function answered(
  server: ServerAddress,
  sent: Sent,
  left: number,
): Promise<{ text: string; response: IncomingMessage }> {
  try {
    const { request, response } = await send(server, sent);
    return { text: await textOf(request, response), response };
  } catch (error) {
    const { code } = (error instanceof Error ? (error.cause ?? error) : {}) as { code?: string };
    if (left <= 1 || code !== "ECONNRESET") throw error;
    return await answered(server, sent, left - 1);
  }
}

/** The query of a page behind a cursor. */
export function pageQuery(cursor: string | undefined): { query: { limit: number; cursor?: string } } {
  const limit = apiLimits.pageItems;
  return { query: cursor === undefined ? { limit } : { limit, cursor } };
}

/** All items of a list, page by page. */
export async function askAll<Item>(
  page: (cursor: string | undefined) => Promise<{ items: Item[]; next?: string }>,
): Promise<Item[]> {
  const items: Item[] = [];
  let cursor: string | undefined;
  do {
    const answer = await page(cursor);
    items.push(...answer.items);
    cursor = answer.next;
  } while (cursor !== undefined);
  return items;
}
