/** Quality-update policies and update rings as Intune has them. */
import { type Static, Type } from "typebox";
import { ProductPattern, severities } from "./approvals.ts";
import { GroupId, HotpatchId, Instant, Nullable, Reason, record, Title, Uuid, words } from "./basics.ts";

export const approvalMethods = ["automatic", "manual"] as const;
export const policyLimits = {
  ...{ deferralDays: 30, pauseDays: 35, minRings: 2, maxRings: 15, groups: 50 },
  ...{
    deadlineDays: 30,
    graceDays: 7,
    announceHours: 168,
    windows: 20,
    windowMinutes: 24 * 60,
    plusDays: 27,
    preview: 5,
  },
} as const;
/** From the first day of a week (ISO 8601). */
export const weekdays = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"] as const;
export const zoneSources = ["device", "policy", "utc"] as const;

const Days = Type.Integer({ minimum: 0, maximum: policyLimits.deferralDays });
const Groups = Type.Array(GroupId, { maxItems: policyLimits.groups, uniqueItems: true });
const Severities = Type.Array(words(severities), { maxItems: 4, uniqueItems: true });
const Products = Type.Array(ProductPattern, { maxItems: 100, uniqueItems: true });

/** Hours and minutes of a clock. */
const ClockTime = Type.String({ pattern: "^([01][0-9]|2[0-3]):[0-5][0-9]$" });
const TimeZone = Type.String({ minLength: 1, maxLength: 64, pattern: "^[A-Za-z0-9_+/-]+$" });

/** Begins by the clock of the device's time zone. */
export const MaintenanceWindow = record(
  {
    start: ClockTime,
    /** How long it is open, in minutes of real time. */
    minutes: Type.Integer({ minimum: 1, maximum: policyLimits.windowMinutes }),
    /** Empty: each day. */
    weekdays: Type.Array(words(weekdays), { maxItems: 7, uniqueItems: true }),
    /** Instead of weekdays: once a month, so many days after such a day of it, as after the second Tuesday. Null: each week. */
    monthly: Nullable(
      record({
        week: Type.Union([Type.Integer({ minimum: 1, maximum: 4 }), Type.Literal("last")]),
        weekday: words(weekdays),
        plusDays: Type.Integer({ minimum: 0, maximum: policyLimits.plusDays }),
      }),
    ),
  },
  { $id: "MaintenanceWindow" },
);
export type MaintenanceWindow = Static<typeof MaintenanceWindow>;

/** Nothing begins from the one to the other, over midnight where the second is not later. */
export const ActiveHours = record({ from: ClockTime, to: ClockTime }, { $id: "ActiveHours" });
export type ActiveHours = Static<typeof ActiveHours>;

const DeadlineDays = Type.Integer({ minimum: 0, maximum: policyLimits.deadlineDays });
const GraceDays = Type.Integer({ minimum: 0, maximum: policyLimits.graceDays });
const Windows = Type.Array(MaintenanceWindow, { maxItems: policyLimits.windows });

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

const AnnounceHours = Type.Integer({ minimum: 0, maximum: policyLimits.announceHours });

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
    /** Days after the arrival of an update in the catalog; with the grace over, neither deferral nor windows hold it back. Null: none. */
    deadlineDays: Nullable(DeadlineDays),
    graceDays: GraceDays,
    /** Empty: open at any time. */
    windows: Windows,
    activeHours: Nullable(ActiveHours),
    /** Of devices that do not tell theirs; null: UTC. */
    timeZone: Nullable(TimeZone),
    /** How long before hotpatches begin at an opening it is announced; 0: not at all. */
    announceHours: AnnounceHours,
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
  deadlineDays: Type.Optional(Nullable(DeadlineDays)),
  graceDays: Type.Optional(GraceDays),
  windows: Type.Optional(Windows),
  activeHours: Type.Optional(Nullable(ActiveHours)),
  timeZone: Type.Optional(Nullable(TimeZone)),
  announceHours: Type.Optional(AnnounceHours),
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

const zone = { timeZone: TimeZone, source: words(zoneSources) };
export type WindowZone = Static<typeof WindowZone>;
const WindowZone = record(zone);

/** Instants in UTC, and as the clock of the zone reads, with its offset (RFC 3339). */
const WindowOpening = record({
  ...{ opensAt: Instant, closesAt: Instant },
  ...{ opensAtLocal: Type.String(), closesAtLocal: Type.String() },
});

/** The next openings, that under way included; none where the policy is open at any time. */
export const PolicyWindows = record(
  { ...zone, alwaysOpen: Type.Boolean(), openings: Type.Array(WindowOpening) },
  { $id: "PolicyWindows" },
);
export type PolicyWindows = Static<typeof PolicyWindows>;
