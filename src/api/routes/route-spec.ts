/** What a route is: who may call it, with what, and what it answers. */
import { type TObject, type TSchema, Type } from "typebox";
import type { Role } from "../schemas/access.ts";

/** `nobody`: needs no credentials. `agent`: the certificate of an enrolled device. `person`: a session, an API token, or the local socket. */
export const callers = ["nobody", "agent", "person"] as const;
export type Caller = (typeof callers)[number];

/** Who reads devices and what happens to them. */
export const fleetReaders: readonly Role[] = ["auditor", "operator", "approver"];
/** Who reads what is true of the whole fleet, such as the catalog and known issues. */
export const catalogReaders: readonly Role[] = [...fleetReaders, "publisher"];

interface Asked {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly path: string;
  readonly summary: string;
  readonly params?: TObject;
  readonly query?: TObject;
  readonly body?: TSchema;
  /** What the body may hold where it is not `bodyBytes` of the limits. */
  readonly bodyBytes?: number;
  readonly status: 200 | 201 | 204 | 303;
  /** Absent where the answer has no JSON body. */
  readonly response?: TSchema;
  /** The answer's media type where it is not JSON. */
  readonly mediaType?: string;
  /** Counts against `attemptsPerMinute`. */
  readonly limited?: true;
}

interface ForPeople {
  readonly caller: "person";
  /** One of these roles lets in; `any`: everybody who has proven who he is. */
  readonly roles: readonly Role[] | "any";
  /**
   * A role in some group is enough, and what is done and shown keeps to the groups of the role.
   * Without it the role has to be held in `all`, which is the safe side for a route that has not thought about it.
   * Ids of devices and groups in the path, the query and the body are held to the scope for all routes alike (src/server/access/named.ts); the domain sees to the rest by `context.reach`.
   */
  readonly scoped?: true;
  /** Not with an API token: what makes or changes credentials is for a person alone. */
  readonly interactive?: true;
  /** What it does is no change of the database, and so cannot be tried out. */
  readonly untriable?: true;
}

export type PeopleRoute = Asked & ForPeople;
export type RouteSpec = PeopleRoute | (Asked & { readonly caller: "nobody" | "agent" });

/** Narrows, where a comparison of the field alone would not. */
export function isForPeople(spec: RouteSpec): spec is PeopleRoute {
  return spec.caller === "person";
}

/** Keeps the exact types of a row. */
export function route<const Spec extends RouteSpec>(spec: Spec): Spec {
  return spec;
}

export const Sequence = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
