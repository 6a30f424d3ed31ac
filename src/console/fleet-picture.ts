/** What the lists of the server come to: who is protected, what waits, what needs a person. Pure. */
import type { Action } from "../api/schemas/actions.ts";
import type { Approval } from "../api/schemas/approvals.ts";
import type { Device } from "../api/schemas/devices.ts";
import { type Standing, stateWords } from "./action-words.ts";

export interface FleetPicture {
  /** Enrolled devices that have something to be protected by, and all of it in place and verified. */
  readonly protectedDevices: number;
  /** Enrolled devices that any hotpatch is meant for. */
  readonly coveredDevices: number;
  readonly waiting: readonly Action[];
  readonly needsPerson: readonly Action[];
}

/** Actions of devices that were cut off count nowhere: nobody hears of them any more. */
export function fleetPicture(devices: readonly Device[], actions: readonly Action[]): FleetPicture {
  const enrolled = new Set(devices.filter(({ state }) => state === "enrolled").map(({ id }) => id));
  const live = actions.filter(({ deviceId }) => enrolled.has(deviceId));
  const meant = live.filter(({ wanted }) => wanted === "applied");
  const byDevice = Map.groupBy(meant, ({ deviceId }) => deviceId);
  const whole = [...byDevice.values()].filter((list) => list.every(({ state }) => state === "verified"));
  return {
    protectedDevices: whole.length,
    coveredDevices: byDevice.size,
    waiting: live.filter(({ state }) => stateWords[state].standing === "waiting"),
    needsPerson: live.filter(({ state }) => stateWords[state].standing === "person"),
  };
}

/** How many actions stand how. */
export function standingCounts(actions: readonly Action[]): ReadonlyMap<Standing, number> {
  const counts = new Map<Standing, number>();
  for (const { state } of actions) {
    const { standing } = stateWords[state];
    counts.set(standing, (counts.get(standing) ?? 0) + 1);
  }
  return counts;
}

const order: readonly Standing[] = ["person", "waiting", "protected", "off"];

/** What needs a person first, then what is under way, then the rest; the latest change first in each. */
export function byUrgency(actions: readonly Action[]): readonly Action[] {
  const rank = ({ state }: Action) => order.indexOf(stateWords[state].standing);
  return actions.toSorted(
    (left, right) =>
      rank(left) - rank(right) || (left.changedAt < right.changedAt ? 1 : left.changedAt > right.changedAt ? -1 : 0),
  );
}

const notBegun: ReadonlySet<Action["state"]> = new Set(["offered", "fetching", "fetched", "planned"]);

/** What taking an approval back would do: how much is withdrawn, and how much stays in place. */
export function effectOfRemoval(
  approval: Approval,
  {
    devices,
    actions,
    approvals,
  }: { devices: readonly Device[]; actions: readonly Action[]; approvals: readonly Approval[] },
): { withdrawn: number; staying: number } {
  const others = new Set(
    approvals
      .filter(({ id, hotpatchId }) => id !== approval.id && hotpatchId === approval.hotpatchId)
      .map(({ groupId }) => groupId),
  );
  const inGroup = new Map(
    devices.filter(({ groups }) => groups.includes(approval.groupId)).map((device) => [device.id, device]),
  );
  const concerned = actions.filter(
    ({ deviceId, hotpatchId }) => hotpatchId === approval.hotpatchId && inGroup.has(deviceId),
  );
  const covered = (deviceId: string) => inGroup.get(deviceId)?.groups.some((group) => others.has(group)) === true;
  return {
    withdrawn: concerned.filter(({ state, deviceId }) => notBegun.has(state) && !covered(deviceId)).length,
    staying: concerned.filter(({ state }) => ["applying", "applied", "verifying", "verified"].includes(state)).length,
  };
}
