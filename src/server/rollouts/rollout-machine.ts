/**
 * The life of a phased rollout as one table.
 *
 * `next` is pure, and every pair of a state and an event is in the table or refused by name.
 * docs/state-machines.md shows the table as a diagram.
 */
import { type RolloutState, rolloutStates } from "../../api/schemas/rollouts.ts";
import { refuse } from "../../base/refusal.ts";

/** `succeed`: the ring that is open reached its success threshold. `fall-back`: it fell below during the verification pause. */
export const rolloutEvents = [
  "start",
  "succeed",
  "fall-back",
  "promote",
  "finish",
  "pause",
  "resume",
  "halt",
  "abort",
] as const;
export type RolloutEvent = (typeof rolloutEvents)[number];

type Row = Partial<Record<RolloutEvent, RolloutState>>;

const stops: Row = { halt: "halted", abort: "aborted" };

export const rolloutTable: Readonly<Record<RolloutState, Row>> = {
  draft: { start: "running", abort: "aborted" },
  running: { succeed: "verifying", promote: "running", finish: "finished", pause: "paused", ...stops },
  verifying: { "fall-back": "running", promote: "running", finish: "finished", pause: "paused", ...stops },
  // It runs on in the same ring, so that a verification pause begins anew.
  paused: { resume: "running", ...stops },
  // What everybody has can still be taken back.
  finished: stops,
  halted: {},
  aborted: {},
};

/** States in which devices wait for their grant. */
export const activeStates: readonly RolloutState[] = ["running", "verifying", "paused"];

/** Refuses with `rollout/transition`. */
export function next(state: RolloutState, event: RolloutEvent): RolloutState {
  const target = rolloutTable[state][event];
  if (target !== undefined) return target;
  const possible = rolloutEvents.filter((other) => rolloutTable[state][other] !== undefined);
  const instead = possible.length === 0 ? "It has ended" : `Possible now: ${possible.join(", ")}`;
  refuse("rollout/transition", `A rollout that is ${state} does not take ${event}. ${instead}.`, {
    state,
    event,
    possible,
  });
}

/** The part of docs/state-machines.md about rollouts, with a Mermaid state diagram. */
export function rolloutDocument(): string {
  const lines = ["stateDiagram-v2", "  [*] --> draft"];
  for (const state of rolloutStates) {
    const row = rolloutTable[state];
    const arrows = Map.groupBy(
      rolloutEvents.filter((event) => row[event] !== undefined),
      (event) => row[event],
    );
    for (const [target, events] of arrows) lines.push(`  ${state} --> ${target}: ${events.join(", ")}`);
    if (!activeStates.includes(state) && state !== "draft") lines.push(`  ${state} --> [*]`);
  }
  return [
    ...["## A phased rollout", "", "A pair that is not drawn is refused with `rollout/transition`.", ""],
    ...["```mermaid", ...lines, "```", ""],
  ].join("\n");
}
