/** Four eyes: where a second person has to confirm, and what waits for one. */
import { type Static, Type } from "typebox";
import { By } from "./access.ts";
import { Instant, Nullable, record, Uuid, words } from "./basics.ts";

/** `group`: the group and all below it, where `all` is the whole fleet. `policy`: the policy and the groups that it is for. */
export const requirementKinds = ["group", "policy"] as const;
export const FourEyes = record(
  {
    kind: words(requirementKinds),
    /** The id of the group or the policy. */
    subject: Type.String(),
    reason: Type.String(),
    createdAt: Instant,
    createdBy: Type.String(),
  },
  { $id: "FourEyes" },
);
export type FourEyes = Static<typeof FourEyes>;

/** A reason that has at least one character which is no space. */
export const GivenReason = Type.String({ minLength: 1, maxLength: 2000, pattern: "\\S" });

export const requestStates = ["waiting", "confirmed", "rejected", "expired"] as const;
export type RequestState = (typeof requestStates)[number];

/** A change that somebody asked for, and that is done once a second person confirms it. It never changes; a change of it is another request. */
export const ApprovalRequest = record(
  {
    id: Uuid,
    /** The route that was asked, by its name in the table of routes. */
    operation: Type.String(),
    /** The path, query and body, as they were sent. */
    asked: Type.Record(Type.String(), Type.Unknown()),
    /** SHA-256 (base64url) over what was asked and what it is about as that stood then; whoever confirms names it. */
    digest: Type.String(),
    state: words(requestStates),
    reason: Type.String(),
    requestedBy: By,
    createdAt: Instant,
    expiresAt: Instant,
    decidedAt: Nullable(Instant),
    decidedBy: Nullable(By),
    decisionReason: Type.String(),
  },
  { $id: "ApprovalRequest" },
);
export type ApprovalRequest = Static<typeof ApprovalRequest>;

export const Confirmation = record(
  { reason: GivenReason, digest: Type.String({ pattern: "^[\\w-]{43}$" }) },
  { $id: "Confirmation" },
);
export const Rejection = record({ reason: GivenReason }, { $id: "Rejection" });
