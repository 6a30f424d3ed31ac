/** Phased rollouts: a hotpatch reaches a group ring by ring, and what happens there decides whether it goes on. */
import { type Static, Type } from "typebox";
import { GroupId, HotpatchId, Instant, Nullable, Reason, record, Tag, Title, Uuid, words } from "./basics.ts";

export const rolloutLimits = {
  ...{ rings: 15, errors: 20, devices: 10_000_000, verifyMinutes: 30 * 24 * 60 },
  ...{ devicesPerHour: 1_000_000, paceHours: 90 * 24, silentHours: 90 * 24 },
} as const;

export const rolloutStates = ["draft", "running", "verifying", "paused", "finished", "halted", "aborted"] as const;
export type RolloutState = (typeof rolloutStates)[number];

/** What may speak against a hotpatch on a device that was granted it. */
export const rolloutSignals = [
  "failed",
  "revertedByGuard",
  "crashed",
  "leaking",
  "slower",
  "ineligible",
  "silent",
] as const;
export type RolloutSignal = (typeof rolloutSignals)[number];

/** What an agent tells of a device on which a hotpatch is in place. */
export const healthSignals = ["crashed", "leaking", "slower"] as const;
export type HealthSignal = (typeof healthSignals)[number];

/** What a threshold does: tell people; stop until a person says so; take it back everywhere; halt, and have what has not begun get the baseline. */
export const thresholdActions = ["alert", "pause", "halt", "baseline"] as const;
export type ThresholdAction = (typeof thresholdActions)[number];

/** Of the devices of a ring: so many of a hundred, or so many. It is reached at the figure itself, and not only above it. */
export const Share = Type.Union(
  [
    record({ percent: Type.Integer({ minimum: 1, maximum: 100 }) }),
    record({ devices: Type.Integer({ minimum: 1, maximum: rolloutLimits.devices }) }),
  ],
  { $id: "Share" },
);
export type Share = Static<typeof Share>;

export const RolloutRing = record(
  {
    name: Type.String({ minLength: 1, maxLength: 60 }),
    /** What it takes of the target that no ring before it took: a share of the whole target, or the members of a group. Null: all the rest, which is for the last ring. */
    takes: Nullable(Type.Union([Share, record({ groupId: GroupId })])),
    /** Nothing is granted before. Null: as soon as the ring before is through. */
    opensAt: Nullable(Instant),
  },
  { $id: "RolloutRing" },
);
export type RolloutRing = Static<typeof RolloutRing>;

/** How fast the devices of a ring are let in: all at once, so many an hour, or evenly over so many hours. */
export const Pace = Type.Union(
  [
    record({ kind: Type.Literal("all") }),
    record({
      kind: Type.Literal("rate"),
      devicesPerHour: Type.Integer({ minimum: 1, maximum: rolloutLimits.devicesPerHour }),
    }),
    record({ kind: Type.Literal("duration"), hours: Type.Integer({ minimum: 1, maximum: rolloutLimits.paceHours }) }),
  ],
  { $id: "Pace" },
);
export type Pace = Static<typeof Pace>;

export const ErrorThreshold = record(
  {
    /** Devices of a ring with any of these. */
    signals: Type.Array(words(rolloutSignals), { minItems: 1, maxItems: rolloutSignals.length, uniqueItems: true }),
    reaches: Share,
    action: words(thresholdActions),
  },
  { $id: "ErrorThreshold" },
);
export type ErrorThreshold = Static<typeof ErrorThreshold>;

const Rings = Type.Array(RolloutRing, { minItems: 1, maxItems: rolloutLimits.rings });
const Errors = Type.Array(ErrorThreshold, { maxItems: rolloutLimits.errors });
const VerifyMinutes = Type.Integer({ minimum: 0, maximum: rolloutLimits.verifyMinutes });
const SilentHours = Type.Integer({ minimum: 1, maximum: rolloutLimits.silentHours });
export const rolloutOrders = ["random", "sites"] as const;
const Order = words(rolloutOrders);
const Shortfall = words(["pause", "halt"]);

const spec = {
  rings: Rings,
  /** By chance, or in turn from each site. A site is the devices with the same tag that begins with `siteTag`. */
  order: Order,
  siteTag: Tag,
  pace: Pace,
  /** A ring that reached it is through, and the next one opens behind the verification pause. */
  success: Share,
  /** What happens where no device of a ring is left to wait for, and it did not reach `success`. */
  shortfall: Shortfall,
  errors: Errors,
  verifyMinutes: VerifyMinutes,
  /** A device counts as silent that was granted and not seen for so long. */
  silentHours: SilentHours,
};
export const RolloutSpec = record(spec, { $id: "RolloutSpec" });
export type RolloutSpec = Static<typeof RolloutSpec>;

/** Unless told: a canary of one device, a tenth, the rest; by chance; all of a ring at once; 95 percent; one hour of verification; two percent of failures, guards or crashes halt. */
export const NewRollout = record(
  {
    title: Title,
    hotpatchId: HotpatchId,
    groupId: GroupId,
    ...Type.Partial(Type.Object(spec)).properties,
    reason: Type.Optional(Reason),
  },
  { $id: "NewRollout" },
);
export type NewRollout = Static<typeof NewRollout>;

const Count = Type.Integer({ minimum: 0 });

/** How it stands in a ring. */
export const RingCounts = record(
  {
    name: Type.String(),
    devices: Count,
    granted: Count,
    succeeded: Count,
    /** Granted, and neither succeeded nor spoken against. */
    waiting: Count,
    signals: record(
      Object.fromEntries(rolloutSignals.map((signal) => [signal, Count])) as Record<RolloutSignal, typeof Count>,
    ),
  },
  { $id: "RingCounts" },
);
export type RingCounts = Static<typeof RingCounts>;

export const Rollout = record(
  {
    id: Uuid,
    title: Type.String(),
    hotpatchId: HotpatchId,
    groupId: GroupId,
    spec: RolloutSpec,
    state: words(rolloutStates),
    /** Of the ring that is open; the number of rings where it is finished. */
    ring: Count,
    /** When the verification pause ends. */
    verifyUntil: Nullable(Instant),
    /** Why it is in this state. */
    reason: Type.String(),
    /** What became of devices where it was in place, once it is halted or aborted. */
    outcome: Nullable(words(["keep", "revert", "baseline"])),
    rings: Type.Array(RingCounts),
    createdAt: Instant,
    createdBy: Type.String(),
    changedAt: Instant,
  },
  { $id: "Rollout" },
);
export type Rollout = Static<typeof Rollout>;

export const RolloutDecision = record({ reason: Type.Optional(Reason) }, { $id: "RolloutDecision" });
export const RolloutAbort = record(
  { outcome: words(["keep", "revert"]), reason: Type.Optional(Reason) },
  { $id: "RolloutAbort" },
);

/** A device in a rollout, or in what one would be. */
export const RolloutDevice = record(
  {
    deviceId: Uuid,
    deviceName: Type.String(),
    ring: Type.String(),
    grantedAt: Nullable(Instant),
    /** What would keep it from the device now, apart from the rollout itself. */
    blocks: Type.Array(record({ code: Type.String(), reason: Type.String() })),
  },
  { $id: "RolloutDevice" },
);
export type RolloutDevice = Static<typeof RolloutDevice>;

/** What an agent noticed of a hotpatch that is in place; the same one counts once. */
export const HealthReport = record(
  { hotpatchId: HotpatchId, signal: words(healthSignals), reason: Type.Optional(Reason) },
  { $id: "HealthReport" },
);
export type HealthReport = Static<typeof HealthReport>;

/** Which devices of a group can take a hotpatch as they are now. */
export const Compatibility = record(
  {
    hotpatchId: HotpatchId,
    groupId: GroupId,
    devices: Count,
    ready: Count,
    /** The others, by what counts first for them, most of them first. */
    blocked: Type.Array(record({ code: Type.String(), reason: Type.String(), helps: Type.String(), devices: Count })),
  },
  { $id: "Compatibility" },
);
export type Compatibility = Static<typeof Compatibility>;

/** Who would get it in which ring, and who would not at this moment, and why. */
export const RolloutPreview = record(
  {
    rings: Type.Array(record({ name: Type.String(), devices: Count, ready: Count })),
    /** Devices that something keeps it from, by the code of what counts first. */
    blocks: Type.Array(record({ code: Type.String(), devices: Count })),
    /** The first of them, in the order of the rings. */
    devices: Type.Array(RolloutDevice),
    /** How many there are behind those. */
    more: Count,
  },
  { $id: "RolloutPreview" },
);
export type RolloutPreview = Static<typeof RolloutPreview>;
