/** What a handler of a route is, for the files that hold handlers. */
import type { Answered, Asked, RouteName } from "../../api/routes.ts";
import { RebootlessError } from "../../base/errors.ts";
import type { Person, Principal } from "../access/principal.ts";
import type { ServerContext } from "../context.ts";
import type { Started } from "../sign-in/sessions.ts";

/** The others are about cookies and streams, and live in build-http.ts. */
export type PlainRouteName = Exclude<
  RouteName,
  | "signIn"
  | "streamEvents"
  | "catalogMetadata"
  | "catalogHotpatch"
  | "metrics"
  | "signInByPassword"
  | "beginOidc"
  | "endOidc"
>;

export interface Caller {
  readonly principal: Principal;
  /** Aborted when the caller has gone away. */
  readonly gone: AbortSignal;
  /** The header If-Match, where it came. */
  readonly ifMatch?: string;
  /** The key under which the request is done once; told where the answer is the one from before. */
  readonly idempotency?: { readonly key: string; replayed(): void };
  /** Takes the new secret of his session, which the answer hands to the browser. */
  renewed(session: Started): void;
}

type Handler<Name extends RouteName> = (
  context: ServerContext,
  asked: Asked<Name>,
  caller: Caller,
) => Promise<Answered<Name>>;

export type Handlers = { readonly [Name in PlainRouteName]: Handler<Name> };

export function nameOf({ principal }: Caller): string {
  return principal.kind === "person" ? principal.name : principal.kind;
}

export function personOf({ principal }: Caller): Person {
  if (principal.kind === "person") return principal;
  throw new RebootlessError("bug/invariant", "A route of people let somebody else in.");
}

/** Of a route of agents. */
export function deviceIdOf({ principal }: Caller): string {
  if (principal.kind !== "agent") throw new RebootlessError("bug/invariant", "A route of agents let somebody else in.");
  return principal.deviceId;
}
