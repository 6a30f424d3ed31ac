/**
 * Which device of a target is in which ring, and in which order: pure, and the same for the same seed.
 *
 * Invariant: each device is in one ring; a ring takes of what the rings before it left; the last ring takes all the rest.
 */
import { createHash } from "node:crypto";
import { type RolloutRing, type RolloutSpec, rolloutLimits, type Share } from "../../api/schemas/rollouts.ts";
import { RebootlessError } from "../../base/errors.ts";

export interface Target {
  readonly deviceId: string;
  /** Empty where it has none. */
  readonly site: string;
  readonly groupIds: ReadonlySet<string>;
}

export interface Placed {
  readonly deviceId: string;
  readonly ring: number;
  /** From 0 in each ring. */
  readonly position: number;
}

/** Throws `request/invalid`. */
export function checkRings(rings: readonly RolloutRing[]): void {
  const wrong = (what: string) => {
    throw new RebootlessError("request/invalid", what);
  };
  if (rings.length === 0 || rings.length > rolloutLimits.rings)
    wrong(`A rollout has 1 to ${rolloutLimits.rings} rings.`);
  if (new Set(rings.map(({ name }) => name)).size < rings.length) wrong("Each ring has a name of its own.");
  for (const [index, { name, takes, opensAt }] of rings.entries()) {
    const isLast = index === rings.length - 1;
    if (isLast !== (takes === null)) {
      wrong(
        isLast
          ? `The last ring, ${name}, takes the rest: leave out what it takes.`
          : `Say what the ring ${name} takes: percent, devices or a group.`,
      );
    }
    const before = rings[index - 1]?.opensAt;
    if (opensAt !== null && before !== null && before !== undefined && opensAt < before) {
      wrong(`The ring ${name} opens before ${rings[index - 1]?.name}, which stands before it.`);
    }
  }
}

function chance(seed: string, what: string): string {
  return createHash("sha256").update(`${seed} ${what}`).digest("hex");
}

/** By chance; for sites the first of each site, then the second of each, and so on. */
function inOrder(targets: readonly Target[], { seed, order }: { seed: string; order: RolloutSpec["order"] }): Target[] {
  const keyed = targets.map((target) => ({ target, key: chance(seed, target.deviceId) }));
  const shuffled = keyed.toSorted((a, b) => (a.key < b.key ? -1 : 1)).map(({ target }) => target);
  if (order === "random") return shuffled;
  const sites = [...Map.groupBy(shuffled, ({ site }) => site)]
    .map(([site, devices]) => ({ key: chance(seed, `site ${site}`), devices }))
    .toSorted((a, b) => (a.key < b.key ? -1 : 1));
  const longest = sites.reduce((most, { devices }) => Math.max(most, devices.length), 0);
  const turns: Target[] = [];
  for (let turn = 0; turn < longest; turn++) {
    for (const { devices } of sites) {
      const device = devices[turn];
      if (device !== undefined) turns.push(device);
    }
  }
  return turns;
}

/** Devices of `size` that a share is, rounded up, so that a share of somebody is never nobody. */
export function devicesOf(share: Share, size: number): number {
  return Math.min(size, "devices" in share ? share.devices : Math.ceil((share.percent * size) / 100));
}

/** Places a whole target. */
export function planRings(
  targets: readonly Target[],
  spec: Pick<RolloutSpec, "rings" | "order">,
  seed: string,
): Placed[] {
  let left = inOrder(targets, { seed, order: spec.order });
  return spec.rings.flatMap(({ takes }, ring) => {
    const taken = new Set(takenBy(takes, left, targets.length));
    const devices = left.filter((target) => taken.has(target));
    left = left.filter((target) => !taken.has(target));
    return devices.map(({ deviceId }, position) => ({ deviceId, ring, position }));
  });
}

function takenBy(takes: RolloutRing["takes"], left: readonly Target[], size: number): readonly Target[] {
  if (takes === null) return left;
  if ("groupId" in takes) return left.filter(({ groupIds }) => groupIds.has(takes.groupId));
  return left.slice(0, devicesOf(takes, size));
}

/** The ring of a device that comes into the target later: that of a group it is in, or the last one. Nobody else moves. */
export function ringOfLate(rings: readonly RolloutRing[], groupIds: ReadonlySet<string>): number {
  const own = rings.findIndex(({ takes }) => takes !== null && "groupId" in takes && groupIds.has(takes.groupId));
  return own === -1 ? rings.length - 1 : own;
}
