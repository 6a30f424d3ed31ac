/** The way of commands to the server of this machine: its routes, over the socket in its state folder. */
import { request as httpRequest } from "node:http";
import { homedir } from "node:os";
import path from "node:path";
import { apiLimits } from "../api/api-limits.ts";
import type { Problem } from "../api/problem.ts";
import { type Answered, type Asked, type RouteName, type RouteSpec, routes } from "../api/routes.ts";
import { type ErrorCode, errorCodes, RebootlessError } from "../base/errors.ts";
import { type RefusalCode, RefusalError, refusalCodes } from "../base/refusal.ts";
import { quoted } from "../hotpatch/printable.ts";
import { errnoOf } from "../hotpatch/stored-file.ts";
import { localSocket } from "../server/local-socket.ts";
import type { CommandInput, CommandIo, CommandOption } from "./command.ts";

export const stateOption: CommandOption = {
  flags: "--state <folder>",
  description:
    "the server's state folder (or REBOOTLESS_STATE; by default /var/lib/rebootless/server for root, ~/.local/state/rebootless/server for others)",
};

/** XDG Base Directory Specification: state goes under XDG_STATE_HOME. */
export function stateFolderOf(input: CommandInput, io: CommandIo): string {
  const given = input.options.state ?? io.env.REBOOTLESS_STATE;
  if (typeof given === "string" && given !== "") return path.resolve(io.cwd, given);
  if (process.getuid?.() === 0) return "/var/lib/rebootless/server";
  const home = io.env.XDG_STATE_HOME;
  // Relative paths there are to be ignored.
  const base = home !== undefined && path.isAbsolute(home) ? home : path.join(homedir(), ".local", "state");
  return path.join(base, "rebootless", "server");
}

const answerBytes = 64 * 1024 * 1024;
const silenceMs = 60_000;

type Given<Name extends RouteName> = { [Part in keyof Asked<Name>]?: Asked<Name>[Part] };

/** Asks the server. Throws what the server declined with, `server/not-running`, or `server/answer`. */
export async function ask<Name extends RouteName>(
  stateFolder: string,
  name: Name,
  given: Given<Name> = {},
): Promise<Answered<Name>> {
  const spec: RouteSpec = routes[name];
  const params = { ...(given.params as Record<string, string> | undefined) };
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries((given.query ?? {}) as Record<string, unknown>)) {
    if (value !== undefined) query.set(key, String(value));
  }
  const filled = spec.path.replaceAll(/\{(\w+)\}/g, (_, key: string) => encodeURIComponent(params[key] ?? ""));
  const address = query.size === 0 ? filled : `${filled}?${query}`;
  const body = given.body === undefined ? undefined : JSON.stringify(given.body);
  const { status, text } = await exchange(localSocket(stateFolder), { method: spec.method, address, body });
  const value = text === "" ? undefined : parsed(text);
  if (status >= 400) throw declined(value as Problem | undefined, status);
  return value as Answered<Name>;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new RebootlessError("server/answer", "The server's answer is not JSON; is it a server of this version?", {
      cause: error,
    });
  }
}

/** What the server declined with, as if it had been declined here. */
function declined(problem: Problem | undefined, status: number): Error {
  const { code = "", detail = "", details = {} } = problem ?? {};
  if (refusalCodes.some((known) => known === code)) {
    return new RefusalError({ code: code as RefusalCode, message: detail, details });
  }
  if (Object.hasOwn(errorCodes, code)) return new RebootlessError(code as ErrorCode, detail, { details });
  return new RebootlessError("server/answer", `The server answers with status ${status} and no reason.`);
}

function exchange(
  socketPath: string,
  { method, address, body }: { method: string; address: string; body: string | undefined },
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { "content-type": "application/json" };
    const request = httpRequest({ socketPath, method, path: address, headers, timeout: silenceMs }, (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on("data", (chunk: Buffer) => {
        size += chunk.length;
        if (size > answerBytes) request.destroy(new Error("an answer without end"));
        chunks.push(chunk);
      });
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString("utf8") }),
      );
      response.on("error", reject);
    });
    request.on("timeout", () => request.destroy(new Error("no answer")));
    request.on("error", (error) => reject(unreachable(error, socketPath)));
    request.end(body);
  });
}

function unreachable(error: Error, socketPath: string): RebootlessError {
  const errno = errnoOf(error);
  if (errno === "EACCES") {
    return new RebootlessError(
      "server/not-running",
      `You may not use ${quoted(socketPath)}; it is its owner's alone.`,
      {
        cause: error,
      },
    );
  }
  return new RebootlessError(
    "server/not-running",
    `No server answers on ${quoted(socketPath)}; start it with \`rebootless server run\`, or name its state folder with --state.`,
    { cause: error },
  );
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
