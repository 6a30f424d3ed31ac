/**
 * How many devices of the open ring may have been granted by now: pure.
 *
 * The pace counts from `fromMs`, when `already` of the ring had been granted: the opening of the ring, or the end of a pause, so that a pause is not made up for.
 */
import type { Pace } from "../../api/schemas/rollouts.ts";

const hourMs = 60 * 60 * 1000;

export interface Opening {
  /** Devices of the ring. */
  readonly size: number;
  /** Instants in milliseconds since 1970 UTC. */
  readonly fromMs: number;
  readonly already: number;
  /** Nothing before it. */
  readonly opensAtMs: number | null;
  readonly pace: Pace;
}

/** Milliseconds from one grant to the next. */
function stepMs({ pace, size, already }: Opening): number {
  if (pace.kind === "all") return 0;
  if (pace.kind === "rate") return hourMs / pace.devicesPerHour;
  return (pace.hours * hourMs) / Math.max(1, size - already);
}

function startMs({ fromMs, opensAtMs }: Opening): number {
  return opensAtMs === null ? fromMs : Math.max(fromMs, opensAtMs);
}

/** Of the devices of the ring, in their order; the first one at the start itself. */
export function admitted(opening: Opening, nowMs: number): number {
  const { size, already } = opening;
  const passed = nowMs - startMs(opening);
  if (passed < 0) return Math.min(size, already);
  const step = stepMs(opening);
  if (step === 0) return size;
  return Math.min(size, already + Math.floor(passed / step) + 1);
}

/** When one more may be granted than now, in milliseconds since 1970 UTC; undefined where all may. */
export function nextAdmissionMs(opening: Opening, nowMs: number): number | undefined {
  const now = admitted(opening, nowMs);
  if (now >= opening.size) return undefined;
  const start = startMs(opening);
  return nowMs < start ? start : Math.ceil(start + (now - opening.already) * stepMs(opening));
}
