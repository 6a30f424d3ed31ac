/**
 * Entity tags (RFC 9110 sections 8.8.3 and 13.1): what is read has one, so that it is not sent again unchanged, and a change may ask that nobody changed it meanwhile.
 *
 * Invariant: whether a tag still holds is found out in the transaction of the change.
 */
import { createHash } from "node:crypto";
import type { RouteSpec } from "../../api/routes/route-spec.ts";
import { type Asked, type RouteName, routes } from "../../api/routes.ts";
import { RebootlessError } from "../../base/errors.ts";
import { checkSchema } from "../../base/schema-check.ts";
import { change, type ServerContext } from "../context.ts";
import type { Caller } from "./handler.ts";

type AnyHandler = (context: ServerContext, asked: Asked<RouteName>, caller: Caller) => Promise<unknown>;

/** What is sent of an answer; throws `bug/invariant` where it breaks its contract. */
export function representation(name: RouteName, answer: unknown): string {
  const { response }: RouteSpec = routes[name];
  if (response === undefined) throw new RebootlessError("bug/invariant", `${name} answers nothing.`);
  const promised = checkSchema(response, answer, ({ field, problem }) => {
    throw new RebootlessError("bug/invariant", `The answer of ${name} breaks its contract: ${field} ${problem}.`);
  });
  return JSON.stringify(promised);
}

/** A strong one: the same bytes have it, and no others. */
export function etagOf(body: string): string {
  return `"${createHash("sha256").update(body).digest("base64url").slice(0, 27)}"`;
}

/** Whether If-None-Match names it: by the weak comparison (section 8.8.3.2). */
export function isKnown(header: string | undefined, tag: string): boolean {
  return tagsIn(header).some((one) => one === "*" || one.replace(/^W\//, "") === tag);
}

function tagsIn(header: string | undefined): string[] {
  return (header ?? "").split(",").map((part) => part.trim());
}

/** The route that reads what this one changes. */
export function readingRoute(name: RouteName): RouteName | undefined {
  const { method, path }: RouteSpec = routes[name];
  if (method === "GET") return undefined;
  const found = Object.entries(routes).find(([, spec]) => {
    const other: RouteSpec = spec;
    return other.method === "GET" && other.path === path && other.response !== undefined && path.includes("{");
  });
  return found?.[0] as RouteName | undefined;
}

/** The same handlers; where the caller says which state he changes, another state is declined with `request/changed-meanwhile`. */
export function withPreconditions<Table extends Partial<Record<RouteName, unknown>>>(handlers: Table): Table {
  const entries = Object.entries(handlers).map(([key, given]) => {
    const name = key as RouteName;
    const handler = given as AnyHandler;
    const reading = readingRoute(name);
    const read = reading === undefined ? undefined : (handlers[reading] as AnyHandler | undefined);
    const held: AnyHandler = async (context, asked, caller) => {
      const { ifMatch } = caller;
      if (ifMatch === undefined) return await handler(context, asked, caller);
      if (reading === undefined || read === undefined) {
        throw new RebootlessError("request/invalid", "There is nothing here that If-Match could be about.");
      }
      return await change(context, async (under) => {
        const inner: ServerContext = { ...context, database: under.db, under };
        const answer = await read(inner, { ...asked, query: {}, body: undefined } as never, caller);
        const tag = etagOf(representation(reading, answer));
        if (!tagsIn(ifMatch).some((one) => one === "*" || one === tag)) {
          throw new RebootlessError(
            "request/changed-meanwhile",
            "Somebody has changed it since you read it; read it again, and see whether your change still fits.",
          );
        }
        return await handler(inner, asked, caller);
      });
    };
    return [name, held];
  });
  return Object.fromEntries(entries);
}
