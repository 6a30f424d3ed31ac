/**
 * The agent's way to its server: the routes of the contract over mutual TLS, and the catalog's files.
 *
 * The server is known by the authority that was pinned at the enrolment, and by nothing else.
 * Everything that arrives is bounded in bytes and in time, and held to the contract.
 */

import type { IncomingMessage } from "node:http";
import { Agent, request as httpsRequest } from "node:https";
import { errorOfProblem } from "../api/problem.ts";
import type { RouteSpec } from "../api/routes/route-spec.ts";
import { type Answered, type Asked, type RouteName, routes } from "../api/routes.ts";
import { RebootlessError } from "../base/errors.ts";
import { quoted } from "../base/printable.ts";
import { checkSchema } from "../base/schema-check.ts";
import { errnoOf } from "../base/stored-file.ts";
import type { CatalogFetch } from "../repository/client/catalog-fetcher.ts";

const answerBytes = 4 * 1024 * 1024;
const silenceMs = 30_000;

export interface LinkOptions {
  readonly server: string;
  /** PEM; absent only for the one question that fetches it. */
  readonly authority?: string;
  /** PEM; absent before the enrolment. */
  readonly key?: string;
  readonly certificate?: string;
}

type Given<Name extends RouteName> = { [Part in keyof Asked<Name>]?: Asked<Name>[Part] };

export class ServerLink {
  readonly #server: URL;
  readonly #agent: Agent;

  constructor({ server, authority, key, certificate }: LinkOptions) {
    this.#server = new URL(server);
    this.#agent = new Agent({
      keepAlive: true,
      maxFreeSockets: 2,
      minVersion: "TLSv1.3",
      // Without an authority nothing that is sent is secret, and what arrives is compared with a digest.
      ...(authority === undefined ? { rejectUnauthorized: false } : { ca: authority }),
      ...(key === undefined || certificate === undefined ? {} : { key, cert: certificate }),
    });
  }

  /** Throws what the server declined with, `agent/server-away`, or `server/answer`. `extraMs` is how long it may say nothing on purpose. */
  async ask<Name extends RouteName>(
    name: Name,
    given: Given<Name> = {},
    { signal, extraMs = 0 }: { signal?: AbortSignal | undefined; extraMs?: number } = {},
  ): Promise<Answered<Name>> {
    const spec: RouteSpec = routes[name];
    const query = new URLSearchParams();
    for (const [key, value] of Object.entries((given.query ?? {}) as Record<string, unknown>)) {
      if (value !== undefined) query.set(key, String(value));
    }
    const address = new URL(query.size === 0 ? spec.path : `${spec.path}?${query}`, this.#server);
    const body = given.body === undefined ? undefined : JSON.stringify(given.body);
    const response = await this.#send(address, { method: spec.method, body, signal, timeoutMs: silenceMs + extraMs });
    const status = response.statusCode ?? 0;
    const text = await this.#textOf(response);
    const value = parsed(text);
    if (status >= 400) throw errorOfProblem(value) ?? notUnderstood(`it answers with status ${status} and no reason`);
    if (spec.response === undefined) return undefined as Answered<Name>;
    return checkSchema(spec.response, value, ({ field, problem }) => {
      throw notUnderstood(`in its answer, ${field} ${problem}`);
    }) as Answered<Name>;
  }

  /** The address of the catalog as the server hands it on. */
  get catalogAddress(): URL {
    return new URL("/v1/catalog/", this.#server);
  }

  /** For the client of the catalog: redirects are not followed, so that everything comes from this one server. */
  readonly catalogFetch: CatalogFetch = async (address, { signal }) => {
    const response = await this.#send(address, { method: "GET", body: undefined, signal, timeoutMs: silenceMs });
    const status = response.statusCode ?? 0;
    if (status === 200) return { status, ok: true, body: response };
    const problem = errorOfProblem(parsed(await this.#textOf(response)));
    // That there is no such file is news for the TUF client; everything else is not about the file.
    if (status === 404) return { status, ok: false, body: null };
    throw problem ?? notUnderstood(`it answers with status ${status} and no reason`);
  };

  close(): void {
    this.#agent.destroy();
  }

  #send(
    address: URL,
    asked: { method: string; body: string | undefined; signal?: AbortSignal | undefined; timeoutMs: number },
  ): Promise<IncomingMessage> {
    const { method, body, signal, timeoutMs: timeout } = asked;
    return new Promise((resolve, reject) => {
      const headers = {
        "user-agent": "rebootless-agent",
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      };
      const common = { method, headers, agent: this.#agent, timeout };
      const request = httpsRequest(address, signal === undefined ? common : { ...common, signal }, resolve);
      request.on("timeout", () => request.destroy(new Error("no answer")));
      request.on("error", (error) => reject(this.#away(error)));
      request.end(body);
    });
  }

  async #textOf(response: IncomingMessage): Promise<string> {
    const pieces: Buffer[] = [];
    let size = 0;
    try {
      for await (const piece of response as AsyncIterable<Buffer>) {
        size += piece.length;
        if (size > answerBytes) throw notUnderstood("its answer has no end");
        pieces.push(piece);
      }
    } catch (error) {
      throw error instanceof RebootlessError ? error : this.#away(error);
    }
    return Buffer.concat(pieces).toString("utf8");
  }

  #away(cause: unknown): RebootlessError {
    const why = errnoOf(cause) ?? (cause instanceof Error ? cause.message : "the connection failed");
    return new RebootlessError(
      "agent/server-away",
      `The server does not answer at ${quoted(this.#server.href)}: ${why}.`,
      {
        cause,
      },
    );
  }
}

function parsed(text: string): unknown {
  if (text === "") return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw notUnderstood("its answer is not JSON", error);
  }
}

function notUnderstood(why: string, cause?: unknown): RebootlessError {
  const options = cause === undefined ? {} : { cause };
  return new RebootlessError("server/answer", `The server is not understood: ${why}; is it of this version?`, options);
}
