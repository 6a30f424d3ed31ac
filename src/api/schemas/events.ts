/** Events: what has happened, in order. */
import { type Static, Type } from "typebox";
import { By } from "./access.ts";
import { Instant, Nullable, record, words } from "./basics.ts";

export const eventKinds = [
  "server-started",
  "events-dropped",
  "token-made",
  "device-enrolled",
  "device-renewed",
  "device-revoked",
  "facts-changed",
  "device-tagged",
  "group-made",
  "group-changed",
  "group-members-changed",
  "group-removed",
  "device-joined",
  "device-left",
  "catalog-changed",
  "servicing-changed",
  "advisories-imported",
  "approval-made",
  "approval-removed",
  "eligibility-changed",
  "issue-made",
  "issue-changed",
  "hold-made",
  "hold-narrowed",
  "hold-released",
  "hotpatch-arrived",
  "hotpatch-declined",
  "hotpatch-undeclined",
  "approval-rule-made",
  "approval-rule-changed",
  "approval-rule-removed",
  "policy-made",
  "policy-changed",
  "policy-paused",
  "policy-resumed",
  "policy-expedited",
  "policy-removed",
  "four-eyes-required",
  "four-eyes-released",
  "request-made",
  "request-confirmed",
  "request-rejected",
  "request-expired",
  "setting-changed",
  "action-offered",
  "action-changed",
  "sign-in-link-made",
  "signed-in",
  "signed-out",
  "session-ended",
  "api-token-made",
  "api-token-revoked",
  "person-added",
  "person-changed",
  "person-removed",
  "role-given",
  "role-removed",
] as const;
export type EventKind = (typeof eventKinds)[number];

export const Event = record(
  {
    /** Rises by one with each event and is never used twice, so that a gap shows; what was dropped for its age is told by `events-dropped`. */
    sequence: Type.Integer({ minimum: 1 }),
    at: Instant,
    kind: words(eventKinds),
    /** What it is about, as `device:ID`, `group:ID`, `approval:ID`, `action:ID`, `issue:ID`, `hold:ID`, `rule:ID`, `policy:ID`, `person:ID`, `request:ID` or `server`. */
    subject: Type.String(),
    data: Type.Record(Type.String(), Type.Unknown()),
    /** A digest of this event and all before it (src/api/event-chain.ts); null for those from before there was one. */
    link: Nullable(Type.String()),
    /** Who did it; null, or absent in files, of events from before that was kept. */
    by: Type.Optional(Nullable(By)),
  },
  { $id: "Event" },
);
export type Event = Static<typeof Event>;
