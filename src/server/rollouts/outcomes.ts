/** How it stands on the devices of a rollout: pure, over devices that are alike in everything that counts. */
import type { ActionState } from "../../api/schemas/actions.ts";
import { type RingCounts, type RolloutSignal, type RolloutSpec, rolloutSignals } from "../../api/schemas/rollouts.ts";
import type { RingFigures } from "./thresholds.ts";

/** So many devices of a ring, all alike. */
export interface Alike {
  readonly ring: number;
  readonly count: number;
  readonly granted: boolean;
  /** Null where there is no action. */
  readonly state: ActionState | null;
  readonly byGuard: boolean;
  readonly crashed: boolean;
  readonly leaking: boolean;
  readonly slower: boolean;
  readonly ineligible: boolean;
  /** Granted and not seen for longer than the rollout allows; it counts where nothing else is known. */
  readonly silent: boolean;
}

const failedStates: ReadonlySet<ActionState | null> = new Set(["failed", "refused"]);
const backStates: ReadonlySet<ActionState | null> = new Set(["reverting", "reverted"]);

/** What speaks against it there. A device that was not granted yet says nothing. */
export function signalsOf(alike: Alike): Set<RolloutSignal> {
  const { granted, state, byGuard, ineligible, silent } = alike;
  const signals = new Set<RolloutSignal>();
  if (!granted) return signals;
  if (failedStates.has(state)) signals.add("failed");
  if (backStates.has(state) && byGuard) signals.add("revertedByGuard");
  for (const signal of ["crashed", "leaking", "slower"] as const) if (alike[signal]) signals.add(signal);
  const isThere = state === "verified";
  if (ineligible && !isThere) signals.add("ineligible");
  if (silent && !isThere && !backStates.has(state) && signals.size === 0) signals.add("silent");
  return signals;
}

export function hasSucceededOn(alike: Alike): boolean {
  return alike.granted && alike.state === "verified" && signalsOf(alike).size === 0;
}

/** A device where it was taken back by a person, or withdrawn by one, is not waited for. */
function isWaiting(alike: Alike): boolean {
  return alike.granted && signalsOf(alike).size === 0 && !hasSucceededOn(alike) && alike.state !== "reverted";
}

function sum(rows: readonly Alike[], counts: (row: Alike) => boolean): number {
  return rows.reduce((total, row) => total + (counts(row) ? row.count : 0), 0);
}

/** For each ring, in their order. */
export function countRings({ rings }: Pick<RolloutSpec, "rings">, rows: readonly Alike[]): RingCounts[] {
  return rings.map(({ name }, ring) => {
    const own = rows.filter((row) => row.ring === ring);
    const counted = rolloutSignals.map((signal) => [signal, sum(own, (row) => signalsOf(row).has(signal))] as const);
    return {
      ...{ name, devices: sum(own, () => true), granted: sum(own, ({ granted }) => granted) },
      ...{ succeeded: sum(own, hasSucceededOn), waiting: sum(own, isWaiting) },
      signals: Object.fromEntries(counted) as Record<RolloutSignal, number>,
    };
  });
}

/** What thresholds are judged by: a device with two signals of one threshold counts once. */
export function figuresOf(spec: Pick<RolloutSpec, "rings" | "errors">, rows: readonly Alike[]): RingFigures[] {
  return countRings(spec, rows).map(({ signals: _, ...counts }, ring) => ({
    ...counts,
    errors: spec.errors.map(({ signals }) =>
      sum(rows, (row) => row.ring === ring && signals.some((signal) => signalsOf(row).has(signal))),
    ),
  }));
}
