/**
 * What the figures of the rings come to: pure.
 *
 * A threshold is reached at its figure, not only above it.
 * What a person has seen and gone on from is kept in `fired`, by threshold and ring, with the count at that time: it stops the rollout again only when the count rises.
 */
import type { ErrorThreshold, RingCounts, RolloutSpec, Share } from "../../api/schemas/rollouts.ts";
import { devicesOf } from "./plan-rings.ts";

export type Fired = Readonly<Record<string, number>>;

/** `devices`: with any of the signals of each error threshold, in their order. */
export interface RingFigures extends Pick<RingCounts, "name" | "devices" | "granted" | "succeeded" | "waiting"> {
  readonly errors: readonly number[];
}

export interface Firing {
  readonly key: string;
  readonly count: number;
  readonly action: ErrorThreshold["action"];
  /** A sentence. */
  readonly reason: string;
}

export function isReached(count: number, size: number, share: Share): boolean {
  return "devices" in share ? count >= share.devices : count > 0 && count * 100 >= share.percent * size;
}

function told(share: Share): string {
  return "devices" in share ? `${share.devices} devices` : `${share.percent} % of the ring`;
}

const severity: Readonly<Record<ErrorThreshold["action"], number>> = { alert: 0, pause: 1, halt: 2, baseline: 2 };

/** Thresholds that are reached and were not before, or by fewer devices; the most severe one first. Rings that were never opened have no figures. */
export function firings(
  { errors }: Pick<RolloutSpec, "errors">,
  rings: readonly RingFigures[],
  fired: Fired,
): Firing[] {
  const found = rings.flatMap((ring, place) =>
    errors.flatMap(({ signals, reaches, action }, index) => {
      const count = ring.errors[index] ?? 0;
      const key = `${place}/${index}`;
      if (!isReached(count, ring.devices, reaches) || count <= (fired[key] ?? 0)) return [];
      const reason = `${count} of ${ring.devices} devices of the ring ${ring.name}: ${signals.join(", ")}; the threshold is ${told(reaches)}.`;
      return { key, count, action, reason };
    }),
  );
  return found.toSorted((a, b) => severity[b.action] - severity[a.action]);
}

/** A ring without devices has succeeded, and so has one of fewer devices than the share asks for once all of them did. */
export function hasSucceeded({ success }: Pick<RolloutSpec, "success">, { devices, succeeded }: RingFigures): boolean {
  if (devices === 0) return true;
  return succeeded >= devicesOf(success, devices);
}

/** Whether no device is left to wait for. */
export function isOver({ devices, granted, waiting }: RingFigures): boolean {
  return granted >= devices && waiting === 0;
}
