/** Known issues as release health has them, and safeguard holds, which keep affected devices off a hotpatch until they are resolved. */
import { type Static, Type } from "typebox";
import { FilterText, HotpatchId, Instant, Nullable, PageQuery, record, Title, words } from "./basics.ts";
import { Product } from "./device-states.ts";

export const issueStatuses = ["reported", "investigating", "confirmed", "mitigated", "resolved"] as const;
export const IssueId = Type.String({ pattern: "^KI[0-9]{8}$" });
export const HoldId = Type.String({ pattern: "^SH[0-9]{8}$" });
const Why = Type.String({ minLength: 1, maxLength: 2000 });
const IssueText = Type.String({ minLength: 1, maxLength: 10_000 });
const Hotpatches = Type.Array(HotpatchId, { maxItems: 100, uniqueItems: true });

export const IssueHistory = record({
  at: Instant,
  by: Type.String(),
  why: Type.String(),
  /** What was changed, by name; the first entry has everything. */
  changes: Type.Record(Type.String(), Type.Unknown()),
});

export const KnownIssue = record(
  {
    id: IssueId,
    title: Title,
    text: IssueText,
    status: words(issueStatuses),
    /** The hotpatches that have it. */
    hotpatchIds: Hotpatches,
    /** The update that it came with. */
    originating: Nullable(HotpatchId),
    /** The hotpatch that resolves it. */
    resolvedBy: Nullable(HotpatchId),
    holdIds: Type.Array(HoldId),
    createdAt: Instant,
    changedAt: Instant,
    /** Oldest first. */
    history: Type.Array(IssueHistory),
  },
  { $id: "KnownIssue" },
);
export type KnownIssue = Static<typeof KnownIssue>;

export const NewIssue = record(
  {
    title: Title,
    text: IssueText,
    status: Type.Optional(words(issueStatuses)),
    hotpatchIds: Type.Optional(Hotpatches),
    originating: Type.Optional(HotpatchId),
    why: Why,
  },
  { $id: "NewIssue" },
);
export type NewIssue = Static<typeof NewIssue>;

/** What is absent stays as it is. `resolvedBy` makes it resolved. */
export const IssueChange = record(
  {
    title: Type.Optional(Title),
    text: Type.Optional(IssueText),
    status: Type.Optional(words(issueStatuses)),
    hotpatchIds: Type.Optional(Hotpatches),
    originating: Type.Optional(HotpatchId),
    resolvedBy: Type.Optional(HotpatchId),
    why: Why,
  },
  { $id: "IssueChange" },
);
export type IssueChange = Static<typeof IssueChange>;

export const IssueSearch = record({ ...PageQuery, status: Type.Optional(words(issueStatuses)) });

export const holdStates = ["active", "released"] as const;

const targets = {
  /** Held by name. */
  hotpatchIds: Hotpatches,
  /** Every hotpatch of these is held. */
  products: Type.Array(Product, { maxItems: 100, uniqueItems: true }),
};

export const Hold = record(
  {
    id: HoldId,
    state: words(holdStates),
    ...targets,
    /** Devices that it is for; null for all. */
    filter: Nullable(FilterText),
    reason: Type.String(),
    issueId: Nullable(IssueId),
    /** This hotpatch and newer ones of its product pass: it resolves the issue. */
    resolvedBy: Nullable(HotpatchId),
    /** How many devices it keeps a wanted hotpatch off at this moment. */
    devices: Type.Integer({ minimum: 0 }),
    createdAt: Instant,
    createdBy: Type.String(),
    releasedAt: Nullable(Instant),
    releasedBy: Nullable(Type.String()),
    releaseReason: Nullable(Type.String()),
  },
  { $id: "Hold" },
);
export type Hold = Static<typeof Hold>;

export const NewHold = record(
  {
    hotpatchIds: Type.Optional(targets.hotpatchIds),
    products: Type.Optional(targets.products),
    filter: Type.Optional(FilterText),
    reason: Why,
    issueId: Type.Optional(IssueId),
  },
  { $id: "NewHold" },
);
export type NewHold = Static<typeof NewHold>;

export const HoldRelease = record({ reason: Why }, { $id: "HoldRelease" });
export const HoldSearch = record({ ...PageQuery, state: Type.Optional(words(holdStates)) });
