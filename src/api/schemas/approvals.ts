/** Approvals as WSUS has them: what is decided of an update for a group, rules that decide by themselves, and declined updates. */
import { type Static, Type } from "typebox";
import { FilterText, GroupId, HotpatchId, Instant, Nullable, Reason, record, Title, Uuid, words } from "./basics.ts";

/**
 * `install`: it is wanted on the devices of the group. `removal`: it is taken back where it is in place.
 * `not-approved`: neither, whatever the groups above say.
 */
export const approvalActions = ["install", "removal", "not-approved"] as const;
export type ApprovalAction = (typeof approvalActions)[number];

/** Who decided: a person, or a rule, a policy, a rollout or an expedite that a person made. */
export const approvalSources = ["person", "rule", "policy", "rollout", "expedite"] as const;
export type ApprovalSource = (typeof approvalSources)[number];

/** What is decided of a hotpatch for a group, and for the groups below it that have no decision of their own. */
export const Approval = record(
  {
    id: Uuid,
    hotpatchId: HotpatchId,
    groupId: GroupId,
    action: words(approvalActions),
    /** When it is to be in place at the latest; null: none. */
    deadline: Nullable(Instant),
    source: words(approvalSources),
    /** The id of the rule, policy, rollout or expedite; empty of a person. */
    sourceId: Type.String(),
    reason: Type.String(),
    createdAt: Instant,
    createdBy: Type.String(),
  },
  { $id: "Approval" },
);
export type Approval = Static<typeof Approval>;

/** Of a person. One that the person's side decided otherwise before takes the place of that decision. */
export const NewApproval = record(
  {
    hotpatchId: HotpatchId,
    groupId: GroupId,
    /** `install` unless told. */
    action: Type.Optional(words(approvalActions)),
    /** For `install` alone. */
    deadline: Type.Optional(Instant),
    reason: Type.Optional(Reason),
  },
  { $id: "NewApproval" },
);
export type NewApproval = Static<typeof NewApproval>;

/** `superseded`: by the setting that declines what a newer approved one replaces. */
export const declineSources = ["person", "superseded"] as const;

/** A hotpatch that is offered nowhere, whatever is approved. */
export const Declined = record(
  {
    hotpatchId: HotpatchId,
    source: words(declineSources),
    reason: Type.String(),
    createdAt: Instant,
    createdBy: Type.String(),
  },
  { $id: "Declined" },
);
export type Declined = Static<typeof Declined>;
export const NewDeclined = record({ reason: Type.Optional(Reason) }, { $id: "NewDeclined" });

export const severities = ["low", "moderate", "high", "critical"] as const;
export type Severity = (typeof severities)[number];

/** A product, as `kind/name`; `kind/*` is every product of that kind. */
export const ProductPattern = Type.String({ pattern: "^[a-z]+/(\\*|[^\\s*]{1,200})$" });
const Products = Type.Array(ProductPattern, { maxItems: 100, uniqueItems: true });
const Severities = Type.Array(words(severities), { maxItems: 4, uniqueItems: true });

const ruleFields = {
  title: Title,
  groupId: GroupId,
  /** Any of these; absent or empty: all. */
  severities: Severities,
  products: Products,
  /** A condition over the update's facts, in CEL; null: none. */
  filter: Nullable(FilterText),
  /** Days after the approval; null: none. */
  deadlineDays: Nullable(Type.Integer({ minimum: 0, maximum: 365 })),
  enabled: Type.Boolean(),
};

/** Approves, for installation, updates that are new in the catalog and fit in all that it names. */
export const ApprovalRule = record(
  { id: Uuid, ...ruleFields, createdAt: Instant, createdBy: Type.String() },
  { $id: "ApprovalRule" },
);
export type ApprovalRule = Static<typeof ApprovalRule>;
export const NewApprovalRule = record(
  {
    title: Title,
    groupId: GroupId,
    severities: Type.Optional(Severities),
    products: Type.Optional(Products),
    filter: Type.Optional(FilterText),
    deadlineDays: Type.Optional(Type.Integer({ minimum: 0, maximum: 365 })),
    enabled: Type.Optional(Type.Boolean()),
  },
  { $id: "NewApprovalRule" },
);
export type NewApprovalRule = Static<typeof NewApprovalRule>;
/** What is absent stays. */
export const ApprovalRuleChange = record(
  { enabled: Type.Optional(Type.Boolean()), title: Type.Optional(Title) },
  { $id: "ApprovalRuleChange" },
);
export type ApprovalRuleChange = Static<typeof ApprovalRuleChange>;

/** Which updates it fits, and, where it ran, which of them it approved. */
export const RuleRun = record(
  { fitting: Type.Array(HotpatchId), approved: Type.Array(HotpatchId) },
  { $id: "RuleRun" },
);
export type RuleRun = Static<typeof RuleRun>;

/** `when-newer-approved`: a hotpatch that another one supersedes is declined once that one is approved for installation anywhere. */
export const supersededSettings = ["keep", "when-newer-approved"] as const;
export const ApprovalSettings = record({ superseded: words(supersededSettings) }, { $id: "ApprovalSettings" });
export type ApprovalSettings = Static<typeof ApprovalSettings>;
