/** What a route is: who may call it, with what, and what it answers. */
import { type TObject, type TSchema, Type } from "typebox";

/** `nobody`: needs no credentials. `agent`: the certificate of an enrolled device. `administrator`: a session, or the local socket. */
export const callers = ["nobody", "agent", "administrator"] as const;
export type Caller = (typeof callers)[number];

export interface RouteSpec {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly path: string;
  readonly caller: Caller;
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

/** Keeps the exact types of a row. */
export function route<const Spec extends RouteSpec>(spec: Spec): Spec {
  return spec;
}

export const Sequence = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
