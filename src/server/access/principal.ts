/** Who asks, what he may do, and how the record names him. */
import type { By, Grant, Role } from "../../api/schemas/access.ts";
import { refuse } from "../../base/refusal.ts";
import { grantsOf, wholeFleet } from "./reach.ts";

export interface Person {
  readonly kind: "person";
  /** `local`: whoever may open the socket in the server's state folder. */
  readonly via: "session" | "token" | "local";
  /** Absent on the local socket, which proves an account of the machine and no person. */
  readonly id?: string;
  readonly name: string;
  readonly grants: readonly Grant[];
  /** The digest of the session's secret. */
  readonly session?: Buffer;
  readonly tokenId?: string;
  /** Of the session or the token, in milliseconds. */
  readonly expiresAt?: number;
}

export type Principal = { readonly kind: "nobody" } | { readonly kind: "agent"; readonly deviceId: string } | Person;

export function byOf(principal: Principal): By {
  if (principal.kind === "nobody") return { kind: "nobody" };
  if (principal.kind === "agent") return { kind: "device", id: principal.deviceId };
  const { via, id, name, tokenId } = principal;
  if (via === "local") return { kind: "local" };
  const who = { ...(id === undefined ? {} : { id }), name };
  return via === "session" ? { kind: "person", ...who } : { kind: "token", ...who, ...(tokenId && { tokenId }) };
}

export interface Demand {
  readonly roles: readonly Role[] | "any";
  readonly scoped?: true;
  readonly interactive?: true;
}

/** The grants by which a person may call a route. Refuses with `access/forbidden` or `access/scope`. */
export function grantsFor(person: Person, { roles, scoped, interactive }: Demand): readonly Grant[] {
  if (interactive === true && person.via === "token") {
    refuse("access/forbidden", "An API token cannot do this: it is for a person who is signed in.");
  }
  const grants = grantsOf(person.grants, roles);
  if (roles === "any") return grants;
  if (grants.length === 0) {
    refuse("access/forbidden", `This is for the ${roles.length === 1 ? "role" : "roles"} ${roles.join(", ")}.`, {
      roles: [...roles],
    });
  }
  if (scoped !== true && !grants.some(({ groupId }) => groupId === wholeFleet)) {
    refuse("access/scope", `This concerns the whole fleet; it needs the role ${roles.join(" or ")} in the group all.`, {
      roles: [...roles],
    });
  }
  return grants;
}
