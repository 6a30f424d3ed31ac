/**
 * What may keep a hotpatch off a device that wants it: the closed list of codes, as data.
 *
 * The order is that in which they count: of several blocks, the state of the device is that of the first.
 * docs/device-states.md is printed from it.
 */

/** States of a device for a product that a block may lead to (src/api/schemas/device-states.ts has all of them). */
export type BlockedState =
  | "ineligible"
  | "offTrack"
  | "fallbackToBaseline"
  | "awaitingBaseline"
  | "pendingRestart"
  | "onHold"
  | "paused"
  | "eligible";

interface CodeRow {
  readonly state: BlockedState;
  /** What it means, as a clause. */
  readonly meaning: string;
}

export const blockCodes = {
  "eligibility/unmet": { state: "ineligible", meaning: "a rule of eligibility does not hold" },
  "eligibility/unknown": { state: "ineligible", meaning: "the device does not tell what a rule of eligibility asks" },
  "track/off": { state: "offTrack", meaning: "an update took the device off the hotpatch track" },
  "baseline/fallback": {
    state: "fallbackToBaseline",
    meaning: "the device cannot be hotpatched and gets the cumulative baseline",
  },
  "baseline/behind": { state: "awaitingBaseline", meaning: "the device has to be on a newer baseline first" },
  "restart/pending": { state: "pendingRestart", meaning: "the device has to restart first" },
  "hold/safeguard": { state: "onHold", meaning: "a safeguard hold keeps it off affected devices" },
  "stage/preview": { state: "eligible", meaning: "it is a preview, and the device has not opted in" },
  "track/leaves": { state: "eligible", meaning: "it would take the device off the hotpatch track" },
  "channel/standard": { state: "eligible", meaning: "the device is on the standard channel" },
  "catalog/withdrawn": { state: "eligible", meaning: "the catalog has withdrawn it" },
  "rollout/taken-back": { state: "onHold", meaning: "a rollout of it was taken back" },
  "policy/hotpatch-off": { state: "eligible", meaning: "a policy has hotpatch switched off" },
  "pause/policy": { state: "paused", meaning: "a policy or a rollout is paused" },
  "approval/second-person": { state: "eligible", meaning: "a second person has not decided yet" },
  "deferral/days": { state: "eligible", meaning: "it is deferred" },
  "ring/waiting": { state: "eligible", meaning: "an earlier ring is not done" },
  "phase/waiting": { state: "eligible", meaning: "a later phase of the rollout has it" },
  "window/closed": { state: "eligible", meaning: "the maintenance window is closed" },
} as const satisfies Record<string, CodeRow>;

export type BlockCode = keyof typeof blockCodes;
export const blockCodeNames = Object.keys(blockCodes) as readonly BlockCode[];
