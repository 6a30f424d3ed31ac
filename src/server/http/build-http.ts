/**
 * The table of routes as a Fastify instance: who may call, what is read and what is answered are held to the contract here, for all routes alike.
 *
 * Invariant: a handler sees nothing that its route's schemas do not allow, and nothing leaves that they do not promise.
 */

import type { ServerOptions } from "node:https";
import { Readable } from "node:stream";
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from "fastify";
import type { TSchema } from "typebox";
import { apiLimits } from "../../api/api-limits.ts";
import { type Problem, problemMediaType, problemOf } from "../../api/problem.ts";
import type { RouteSpec } from "../../api/routes/route-spec.ts";
import { type Asked, type RouteName, routes } from "../../api/routes.ts";
import { dryRunMediaType } from "../../api/schemas/dry-run.ts";
import type { Event } from "../../api/schemas/events.ts";
import { checkJsonBounds } from "../../base/canonical-json.ts";
import { RebootlessError } from "../../base/errors.ts";
import { refuse } from "../../base/refusal.ts";
import { checkSchema } from "../../base/schema-check.ts";
import { requireNamedInReach } from "../access/named.ts";
import { hotpatchFile, metadataFile } from "../catalog/catalog.ts";
import type { PageFiles } from "../console/page-files.ts";
import type { ServerContext } from "../context.ts";
import { followEvents } from "../events/events.ts";
import { beginFlow, endFlow, flowSeconds } from "../sign-in/oidc.ts";
import { signInByPassword } from "../sign-in/passwords.ts";
import type { Origin, Started } from "../sign-in/sessions.ts";
import { signIn } from "../sign-in/sign-in.ts";
import { registerConsole, sendIndex, wantsPage } from "./console-routes.ts";
import { type Trial, tryOut, wantsDryRun } from "./dry-run.ts";
import type { PlainRouteName } from "./handler.ts";
import { handlers } from "./handlers.ts";
import { keyIn, takesKey } from "./idempotency.ts";
import { etagOf, isKnown, representation } from "./preconditions.ts";
import {
  type Admitted,
  admit,
  checkOrigin,
  cookieOf,
  flowCookie,
  isStillAdmitted,
  type Listener,
  ownHost,
  sessionCookie,
} from "./principal.ts";
import { problemFor, retryAfter } from "./problems.ts";
import { RateLimit } from "./rate-limit.ts";

/**
 * For every answer; what the console needs beyond this, it may allow for its own pages.
 * Strict-Transport-Security is not among them: nothing is served without TLS, and the header would bind every other program that listens on `localhost`.
 */
const securityHeaders: Readonly<Record<string, string>> = {
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
};

export interface HttpOptions {
  readonly listener: Listener;
  /** For the network listener. */
  readonly tls?: ServerOptions;
  /** The web console, for the network listener. */
  readonly page?: PageFiles;
  /** Told of every bug, with what was thrown. */
  onBug(thrown: unknown, route: string): void;
}

export function buildHttp(context: ServerContext, options: HttpOptions): FastifyInstance {
  const settings = {
    bodyLimit: apiLimits.bodyBytes,
    routerOptions: { maxParamLength: 256 },
    // A HEAD of the sign-in link, such as a preview sends, must not use it up.
    exposeHeadRoutes: false,
    requestTimeout: 30_000,
    keepAliveTimeout: 75_000,
    forceCloseConnections: true,
    logger: false,
    http: { maxHeaderSize: 16 * 1024 },
  };
  const app = (
    options.tls === undefined ? fastify(settings) : fastify({ ...settings, https: options.tls })
  ) as FastifyInstance;
  readBodies(app);
  app.addHook("onRequest", async (request, reply) => {
    reply.headers(securityHeaders);
    if (request.url.length > apiLimits.addressBytes) {
      throw new RebootlessError("request/too-large", `An address has at most ${apiLimits.addressBytes} bytes.`);
    }
  });
  app.addHook("onResponse", async (request, reply) => {
    const route = request.routeOptions.url ?? "none";
    context.metrics.requestDone({ method: request.method, route, code: reply.statusCode }, reply.elapsedTime / 1000);
  });
  app.setErrorHandler(async (thrown, request, reply) => {
    const problem = problemFor(thrown);
    // The page explains a link that no longer works, where a person opened it.
    const pageInstead = problem.code === "access/token-invalid" && request.method === "GET" && wantsPage(request);
    if (pageInstead && options.page !== undefined) return sendIndex(options.page, request, reply.code(problem.status));
    // A person whom a provider sent back gets the page, which says what the code means.
    const isFlow = request.url.startsWith(routes.beginOidc.path) && wantsPage(request);
    if (isFlow && problem.status !== 500)
      return await reply.redirect(`/?refused=${encodeURIComponent(problem.code)}`, 303);
    if (problem.status === 500) options.onBug(thrown, request.routeOptions.url ?? "");
    return await sendProblem(reply, problem);
  });
  app.setNotFoundHandler(async (_request, reply) => {
    const problem = problemOf("request/not-found", 404, "There is nothing here; /v1/openapi.json lists what there is.");
    await sendProblem(reply, problem);
  });
  if (options.page !== undefined) registerConsole(app, options.page);
  const attempts = new RateLimit(apiLimits.attemptsPerMinute, context.clock);
  const agents = new RateLimit(apiLimits.deviceRequestsPerMinute, context.clock);
  for (const [name, spec] of Object.entries(routes) as [RouteName, RouteSpec][]) {
    app.route({
      method: spec.method,
      url: spec.path.replaceAll(/\{(\w+)\}/g, ":$1"),
      // Before the body is read: who may not ask does not get to send much.
      onRequest: async (request) => {
        const { listener } = options;
        const guessed = () => {
          if (listener === "local" || attempts.allows(request.ip)) return;
          refuse("access/rate-limited", "Too many attempts came from this address; try again in a minute.");
        };
        if (spec.limited) guessed();
        const caller = await admit(context, spec, request, { listener, guessed });
        const { principal } = caller;
        if (principal.kind === "agent" && !agents.allows(principal.deviceId)) {
          refuse("access/rate-limited", "This device asks too often; it should wait a minute.");
        }
        admitted.set(request, caller);
      },
      ...(spec.bodyBytes === undefined ? {} : { bodyLimit: spec.bodyBytes }),
      handler: (request, reply) => serve(name, spec, request, reply),
    });
  }
  return app;
}

/** As bytes: a text would get a charset parameter, which the media type has not (RFC 9457 section 6.1). */
function sendProblem(reply: FastifyReply, problem: Problem): FastifyReply {
  const seconds = retryAfter(problem);
  if (seconds !== undefined) reply.header("retry-after", String(seconds));
  // RFC 9110 section 15.5.2 wants a challenge, and browsers show no prompt for this one (RFC 6750 section 3).
  if (problem.status === 401) reply.header("www-authenticate", "Bearer");
  return reply
    .code(problem.status)
    .header("content-type", problemMediaType)
    .send(Buffer.from(JSON.stringify(problem)));
}

const admitted = new WeakMap<FastifyRequest, Admitted>();

/** Throws where a route was reached past its door. */
function callerOf(request: FastifyRequest): Admitted {
  const caller = admitted.get(request);
  if (caller === undefined) throw new RebootlessError("bug/invariant", "A request came past the door.");
  return caller;
}

function readBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    "application/json",
    { parseAs: "buffer" },
    async (_request: FastifyRequest, bytes: Buffer) => {
      try {
        checkJsonBounds(bytes, {
          maxDepth: apiLimits.jsonDepth,
          maxElements: apiLimits.jsonElements,
          maxStringBytes: apiLimits.jsonStringBytes,
        });
        return bytes.length === 0 ? undefined : JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
      } catch (error) {
        const why = error instanceof RebootlessError ? error.message : "it is not JSON in UTF-8";
        throw new RebootlessError("request/invalid", `The body cannot be read: ${why}.`, { cause: error });
      }
    },
  );
}

async function serve(
  name: RouteName,
  spec: RouteSpec,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { principal, context } = callerOf(request);
  const asked = {
    params: checked(spec.params, request.params, "the path"),
    query: checked(spec.query, numbersIn(spec.query, request.query), "the query"),
    body: checked(spec.body, request.body, "the body"),
  };
  await requireNamedInReach(context.database, context.reach, asked);
  const isTrial = wantsDryRun(name, request.headers["dry-run"]);
  reply.code(spec.status);
  if (name === "signIn") return await answerSignIn(context, asked as Asked<"signIn">, { request, reply });
  if (name === "signInByPassword") {
    // Nobody is to be signed in as somebody else by a page of somebody else.
    checkOrigin(context, request);
    const { body } = asked as Asked<"signInByPassword">;
    const started = await signInByPassword(context, { ...body, origin: originOf(request) });
    return reply.header("set-cookie", cookie(started.secret, started.seconds)).send();
  }
  if (name === "beginOidc") return await answerBeginOidc(context, request, reply);
  if (name === "endOidc") return await answerEndOidc(context, request, reply);
  const gone = goneOf(reply);
  if (name === "catalogMetadata" || name === "catalogHotpatch") return await answerFile(context, name, asked, reply);
  if (name === "metrics") return reply.type(context.metrics.mediaType).send(await context.metrics.text(context));
  if (name === "streamEvents") return answerStream(context, asked as Asked<"streamEvents">, { request, reply, gone });
  const handler = handlers[name as PlainRouteName] as Trial["handler"];
  const renewed = ({ secret, seconds }: Started) => reply.header("set-cookie", cookie(secret, seconds));
  const key = takesKey(name) ? keyIn(request.headers["idempotency-key"]) : undefined;
  const replayed = () => void reply.header("idempotency-replayed", "true");
  const keyed = key === undefined ? {} : { idempotency: { key, replayed } };
  const ifMatch = request.headers["if-match"];
  const matched = ifMatch === undefined ? {} : { ifMatch };
  const caller = { principal, gone, renewed, ...keyed, ...matched };
  if (isTrial) {
    const tried = await tryOut(context, { handler, asked: asked as Asked<RouteName>, caller });
    return reply
      .code(200)
      .header("dry-run", "?1")
      .type(dryRunMediaType)
      .send(Buffer.from(JSON.stringify(tried)));
  }
  const answer = await handler(context, asked as Asked<RouteName>, caller);
  if (name === "signOut") reply.header("set-cookie", cookie("", 0));
  if (spec.response === undefined) return reply.send();
  const body = representation(name, answer);
  if (spec.method === "GET") {
    const tag = etagOf(body);
    reply.header("etag", tag);
    if (isKnown(request.headers["if-none-match"], tag)) return reply.code(304).send();
  }
  return reply.type("application/json").send(body);
}

/** Throws `request/invalid`. */
function checked(schema: TSchema | undefined, value: unknown, what: string): unknown {
  if (schema === undefined) return undefined;
  return checkSchema(schema, value ?? {}, ({ field, problem }) => {
    throw new RebootlessError("request/invalid", `In ${what}, ${field === "" ? "the whole" : field} ${problem}.`, {
      details: { field },
    });
  });
}

/** A query is text; what its schema calls a whole number becomes one where it is written as one. */
function numbersIn(schema: RouteSpec["query"], query: unknown): unknown {
  const properties: Record<string, { type?: string }> = schema?.properties ?? {};
  return Object.fromEntries(
    Object.entries(query as Record<string, unknown>).map(([name, value]) => {
      const whole = properties[name]?.type === "integer" && typeof value === "string" && /^\d{1,16}$/.test(value);
      return [name, whole ? Number(value) : value];
    }),
  );
}

/** Aborted once the answer is out, or the connection broken. */
function goneOf(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  reply.raw.once("close", () => controller.abort());
  return controller.signal;
}

function cookie(value: string, seconds: number): string {
  return `${sessionCookie}=${value}; Path=/; Max-Age=${seconds}; HttpOnly; Secure; SameSite=Strict`;
}

function originOf({ ip, headers }: FastifyRequest): Origin {
  return { address: ip, program: (headers["user-agent"] ?? "").slice(0, 200) };
}

async function answerSignIn(
  context: ServerContext,
  { query }: Asked<"signIn">,
  { request, reply }: { request: FastifyRequest; reply: FastifyReply },
): Promise<FastifyReply> {
  const { secret, seconds } = await signIn(context, query.token, originOf(request));
  return reply.header("set-cookie", cookie(secret, seconds)).header("location", "/").send();
}

/** Under the name by which the browser came, as long as it is one of the server's own. */
function ownAddress(context: ServerContext, { headers }: FastifyRequest): string {
  if (!ownHost(context, headers.host)) {
    refuse("access/origin", "Come by an address of this server; `rebootless server run --name` adds one.");
  }
  return `https://${headers.host}`;
}

async function answerBeginOidc(
  context: ServerContext,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const callback = `${ownAddress(context, request)}${routes.endOidc.path}`;
  const { location, secret } = await beginFlow(context, callback);
  return reply.header("set-cookie", flow(secret, flowSeconds)).header("location", location).send();
}

async function answerEndOidc(
  context: ServerContext,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const address = new URL(request.url, ownAddress(context, request));
  const secret = cookieOf(request.headers.cookie ?? "", flowCookie);
  const { secret: session, seconds } = await endFlow(context, { address, secret, origin: originOf(request) });
  return reply
    .header("set-cookie", [cookie(session, seconds), flow("", 0)])
    .header("location", "/")
    .send();
}

function flow(value: string, seconds: number): string {
  return `${flowCookie}=${value}; Path=/; Max-Age=${seconds}; HttpOnly; Secure; SameSite=Lax`;
}

/** Piece by piece; where the catalog breaks off, so does the answer, and the agent refuses what it got. */
async function answerFile(
  { catalog }: ServerContext,
  name: "catalogMetadata" | "catalogHotpatch",
  { params }: { params: unknown },
  reply: FastifyReply,
): Promise<FastifyReply> {
  const pieces =
    name === "catalogMetadata"
      ? await metadataFile(catalog, (params as Asked<typeof name>["params"]).metadataFile)
      : await hotpatchFile(catalog, (params as Asked<typeof name>["params"]).hotpatchFile);
  return reply.type("application/octet-stream").send(Readable.from(pieces, { objectMode: false }));
}

function answerStream(
  context: ServerContext,
  { query }: Asked<"streamEvents">,
  { request, reply, gone }: { request: FastifyRequest; reply: FastifyReply; gone: AbortSignal },
): FastifyReply {
  if (context.signals.count >= apiLimits.waiting) refuse("server/busy", "Too many wait already; ask again in a while.");
  const { principal } = callerOf(request);
  // Signing out, revoking a token and taking a role are events, and so end the streams at once.
  const mayRead = () => isStillAdmitted(context, request, principal);
  // A browser that reconnects says what it saw last (HTML section 9.2.3); that is newer than the address it began with.
  const seen = request.headers["last-event-id"];
  const after = typeof seen === "string" && /^\d{1,15}$/.test(seen) ? Number(seen) : (query.after ?? 0);
  const lines = Readable.from(streamed(followEvents(context, { after, gone, mayRead })));
  return reply.type("text/event-stream").send(lines);
}

/** Server-sent events (HTML section 9.2.5); a comment where nothing happens. */
async function* streamed(events: AsyncGenerator<Event | undefined>): AsyncGenerator<string> {
  // A browser whose connection broke tries again after so many milliseconds.
  yield "retry: 1000\n\n";
  for await (const event of events) {
    yield event === undefined ? ":\n\n" : `id: ${event.sequence}\ndata: ${JSON.stringify(event)}\n\n`;
  }
}
