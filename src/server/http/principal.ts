/**
 * Who asks, and whether he may.
 *
 * A request carries at most one proof: the certificate of its connection (RFC 8446 section 4.4.2), an API token (RFC 6750 section 2.1), or the cookie of a session.
 * The local socket needs none, since only its owner can open it.
 */

import type { TLSSocket } from "node:tls";
import { isDeepStrictEqual } from "node:util";
import type { FastifyRequest } from "fastify";
import type { RouteSpec } from "../../api/routes/route-spec.ts";
import { type Grant, roles } from "../../api/schemas/access.ts";
import { refuse } from "../../base/refusal.ts";
import { personOfToken } from "../access/api-tokens.ts";
import { byOf, grantsFor, type Person, type Principal } from "../access/principal.ts";
import { everything, reachOf, wholeFleet } from "../access/reach.ts";
import { deviceUriPrefix } from "../authority/authority.ts";
import { actingAs, type ServerContext } from "../context.ts";
import { admitDevice } from "../devices/devices.ts";
import { sessionByDigest, sessionOf } from "../sign-in/sessions.ts";

/** `__Host-` makes browsers insist on Secure, on the path `/` and on this very host (RFC 6265bis section 4.1.3.2). */
export const sessionCookie = "__Host-rebootless-session";

/** Of a sign-in that is under way at a provider: sent along when the provider sends the browser back, which Strict would not be. */
export const flowCookie = "__Host-rebootless-flow";

export type Listener = "network" | "local";

export interface Door {
  readonly listener: Listener;
  /** Told of a token that is none; refuses where there were too many. */
  guessed(): void;
}

export interface Admitted {
  readonly principal: Principal;
  /** The server, with who acts and how far he reaches. */
  readonly context: ServerContext;
}

/** Whoever owns the state folder can read and write all that is in it, so every role is his already. */
const local: Person = {
  kind: "person",
  via: "local",
  name: "local",
  grants: roles.map((role): Grant => ({ role, groupId: wholeFleet })),
};

/** Lets the caller of a route through, or refuses with an `access/*` code. */
export async function admit(
  context: ServerContext,
  spec: RouteSpec,
  request: FastifyRequest,
  door: Door,
): Promise<Admitted> {
  if (spec.caller === "nobody") {
    return { principal: { kind: "nobody" }, context: actingAs(context, { kind: "nobody" }, everything) };
  }
  const principal = await principalOf(context, request, door);
  const by = byOf(principal);
  if (principal.kind === "nobody") {
    refuse(
      "access/credentials-missing",
      spec.caller === "agent"
        ? "This needs the certificate of an enrolled device."
        : "This needs a session; `rebootless server sign-in-link` prints a link that starts one.",
    );
  }
  if (principal.kind !== spec.caller) {
    refuse(
      "access/forbidden",
      `This is for a${spec.caller === "agent" ? "n agent" : " person"}, and not for a${principal.kind === "agent" ? "n agent" : " person"}.`,
    );
  }
  if (spec.caller !== "person" || principal.kind !== "person") {
    return { principal, context: actingAs(context, by, everything) };
  }
  if (principal.via === "session") checkOrigin(context, request);
  const grants = grantsFor(principal, spec);
  return { principal, context: actingAs(context, by, await reachOf(context.database, grants)) };
}

async function principalOf(
  context: ServerContext,
  request: FastifyRequest,
  { listener, guessed }: Door,
): Promise<Principal> {
  if (listener === "local") return local;
  const deviceId = deviceOf(request);
  if (deviceId !== undefined) {
    await admitDevice(context, deviceId);
    return { kind: "agent", deviceId };
  }
  if (request.headers.authorization !== undefined) {
    const person = await personByToken(context, request, "used");
    if (person !== undefined) return person;
    guessed();
    // One answer, whatever is the matter with it, so that a guesser learns nothing.
    refuse("access/credentials-missing", "This API token is not known, has expired, or was ended.");
  }
  const secret = cookieOf(request.headers.cookie ?? "");
  const session = secret === undefined ? undefined : await sessionOf(context, secret);
  return session ?? { kind: "nobody" };
}

/** By the token of the Authorization header; undefined where there is no genuine one. */
async function personByToken(
  context: ServerContext,
  { headers }: FastifyRequest,
  use?: "used",
): Promise<Person | undefined> {
  const token = /^Bearer (rbl_[\w-]{43})$/i.exec(headers.authorization ?? "")?.[1];
  return token === undefined ? undefined : await personOfToken(context, token, use);
}

/** Whether a person who was let in still may do all that he might then; for what goes on after the door, such as a stream. */
export async function isStillAdmitted(
  context: ServerContext,
  request: FastifyRequest,
  principal: Principal,
): Promise<boolean> {
  if (principal.kind !== "person" || principal.via === "local") return true;
  const { session, grants } = principal;
  const present =
    session === undefined ? await personByToken(context, request) : await sessionByDigest(context, session);
  return present !== undefined && isDeepStrictEqual(present.grants, grants);
}

/** The device that the connection's certificate names, when the authority signed it. */
function deviceOf(request: FastifyRequest): string | undefined {
  const socket = request.raw.socket as TLSSocket;
  if (!socket.authorized) return undefined;
  const alternatives = socket.getPeerX509Certificate()?.subjectAltName ?? "";
  const id = new RegExp(`^URI:${deviceUriPrefix}([0-9a-f-]{36})$`).exec(alternatives)?.[1];
  return id;
}

export function cookieOf(header: string, cookie = sessionCookie): string | undefined {
  for (const pair of header.split("; ")) {
    if (pair.startsWith(`${cookie}=`)) return pair.slice(cookie.length + 1);
  }
  return undefined;
}

/**
 * A cookie comes along whoever made the browser ask, so a change has to come from a page of our own.
 * Browsers set Origin on every request that is not GET or HEAD (Fetch section 3.2); one without it is no browser's, and has no business with a cookie.
 */
export function checkOrigin(context: ServerContext, { method, headers }: FastifyRequest): void {
  if (method === "GET" || method === "HEAD") return;
  const expected = [context.address, `https://${headers.host ?? ""}`];
  if (headers.origin === undefined || !expected.includes(headers.origin) || !ownHost(context, headers.host)) {
    refuse("access/origin", "Changes by a session have to come from a page of this server.");
  }
}

/** A name that somebody else points at this server must not count as its own. */
export function ownHost({ address, names }: ServerContext, host: string | undefined): boolean {
  if (host === undefined || !URL.canParse(`https://${host}`)) return false;
  const { hostname, port } = new URL(`https://${host}`);
  return names.includes(hostname.replace(/^\[|\]$/g, "")) && port === new URL(address).port;
}
