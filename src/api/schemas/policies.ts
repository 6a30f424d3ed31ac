/** Quality-update policies and update rings as Intune has them. */
import { type Static, Type } from "typebox";
import { ProductPattern, severities } from "./approvals.ts";
import { GroupId, HotpatchId, Instant, Nullable, Reason, record, Title, Uuid, words } from "./basics.ts";

export const approvalMethods = ["automatic", "manual"] as const;
export const policyLimits = { deferralDays: 30, pauseDays: 35, minRings: 2, maxRings: 15, groups: 50 } as const;

const Days = Type.Integer({ minimum: 0, maximum: policyLimits.deferralDays });
const Groups = Type.Array(GroupId, { maxItems: policyLimits.groups, uniqueItems: true });
const Severities = Type.Array(words(severities), { maxItems: 4, uniqueItems: true });
const Products = Type.Array(ProductPattern, { maxItems: 100, uniqueItems: true });

/** A device is in the first ring of whose group it is a member. */
export const Ring = record(
  {
    /** The first one is called Test, the last one Last. */
    name: Type.String({ minLength: 1, maxLength: 60 }),
    groupId: GroupId,
    /** Days after the arrival of an update in the catalog; not fewer than in the ring before. */
    deferralDays: Days,
  },
  { $id: "Ring" },
);
export type Ring = Static<typeof Ring>;
/** In their order, or none. */
const Rings = Type.Array(Ring, { maxItems: policyLimits.maxRings });

export const Policy = record(
  {
    id: Uuid,
    title: Title,
    /** With rings: those of the rings, in their order. */
    groupIds: Type.Array(GroupId),
    rings: Rings,
    /** False: hotpatches that it is about reach no device of its groups. */
    hotpatchEnabled: Type.Boolean(),
    approvalMethod: words(approvalMethods),
    /** What it is about: any of these; empty: all. */
    severities: Severities,
    products: Products,
    deferralDays: Days,
    /** Null: not paused. */
    pausedUntil: Nullable(Instant),
    pauseReason: Type.String(),
    /** Hotpatches that its deferral does not hold back. */
    expedited: Type.Array(HotpatchId),
    createdAt: Instant,
    createdBy: Type.String(),
  },
  { $id: "Policy" },
);
export type Policy = Static<typeof Policy>;

const optional = {
  /** Instead of rings. */
  groupIds: Type.Optional(Groups),
  /** Instead of groups. */
  rings: Type.Optional(Rings),
  hotpatchEnabled: Type.Optional(Type.Boolean()),
  severities: Type.Optional(Severities),
  products: Type.Optional(Products),
  deferralDays: Type.Optional(Days),
};

/** Unless told: no groups, hotpatch enabled, automatic, about everything, no deferral. */
export const NewPolicy = record(
  { title: Title, approvalMethod: Type.Optional(words(approvalMethods)), ...optional },
  { $id: "NewPolicy" },
);
export type NewPolicy = Static<typeof NewPolicy>;

/** What is absent stays; the approval method is fixed when a policy is made. */
export const PolicyChange = record({ title: Type.Optional(Title), ...optional }, { $id: "PolicyChange" });
export type PolicyChange = Static<typeof PolicyChange>;

export const PolicyPause = record(
  { days: Type.Optional(Type.Integer({ minimum: 1, maximum: policyLimits.pauseDays })), reason: Type.Optional(Reason) },
  { $id: "PolicyPause" },
);
export type PolicyPause = Static<typeof PolicyPause>;

export const PolicyExpedite = record({ reason: Type.Optional(Reason) }, { $id: "PolicyExpedite" });
