/**
 * The life of an action, a hotpatch on a device, as one table.
 *
 * `next` is pure, and every pair of a state and an event is in the table or refused by name.
 * An agent works on while the server is away, so what it tells is what has happened: no report of a change in memory is refused because somebody changed his mind meanwhile.
 * The agent's work is a walk forwards that may begin again from an earlier step after its death.
 * docs/state-machines.md shows the table as a diagram, and a test keeps the two alike.
 */
import {
  type ActionState,
  type AdministratorEvent,
  type AgentEvent,
  actionStates,
  administratorEvents,
  agentEvents,
} from "../../api/schemas/actions.ts";
import type { Refusal } from "../../base/refusal.ts";

export type ActionEvent = AgentEvent | AdministratorEvent;
export const actionEvents: readonly ActionEvent[] = [...agentEvents, ...administratorEvents];

type Row = Partial<Record<ActionEvent, ActionState>>;

/** Before anything is changed on the device; a restarted agent begins again at any of them. */
const beginning: Row = { "fetch-started": "fetching", refuse: "refused", fail: "failed", withdraw: "withdrawn" };

/** Once memory may have been changed, taking back is the only way out. */
const inPlace: Row = { "revert-started": "reverting", fail: "failed", revert: "reverting" };

/** What happened on the device after it was told to stop, or before that word reached it: it is to be taken back. */
const late: Row = {
  "apply-started": "reverting",
  "apply-done": "reverting",
  "verify-started": "reverting",
  "verify-done": "reverting",
  "revert-started": "reverting",
  "revert-done": "reverted",
};

export const actionTable: Readonly<Record<ActionState, Row>> = {
  offered: beginning,
  fetching: { ...beginning, "fetch-done": "fetched" },
  fetched: { ...beginning, "plan-done": "planned" },
  planned: { ...beginning, "apply-started": "applying" },
  applying: { ...inPlace, "apply-started": "applying", "apply-done": "applied", refuse: "refused" },
  applied: { ...inPlace, "verify-started": "verifying" },
  verifying: { ...inPlace, "verify-started": "verifying", "verify-done": "verified" },
  // Verification goes on in the background, and processes of the package that start later are patched as well.
  verified: { ...inPlace, "apply-started": "applying", "verify-started": "verifying" },
  reverting: { ...late, fail: "failed" },
  reverted: { ...late, offer: "offered" },
  // Where some processes were patched and others refused, the agent goes on by itself once nothing is in the way any more.
  refused: { "apply-started": "applying", offer: "offered", withdraw: "withdrawn", revert: "reverting" },
  failed: { ...late, offer: "offered", revert: "reverting" },
  withdrawn: { ...late, offer: "offered" },
};

/** States that an agent has nothing to do in until somebody asks. */
export const settledStates: ReadonlySet<ActionState> = new Set([
  "verified",
  "refused",
  "failed",
  "reverted",
  "withdrawn",
]);

/** Whether the hotpatch is to be in place or not to be, after an event; undefined where it says nothing of that. */
export const wantedAfter: Readonly<Partial<Record<ActionEvent, "applied" | "reverted">>> = {
  offer: "applied",
  withdraw: "reverted",
  revert: "reverted",
  "revert-started": "reverted",
};

export type Transition =
  | { readonly kind: "moved"; readonly state: ActionState }
  | { readonly kind: "refused"; readonly refusal: Refusal };

export function next(state: ActionState, event: ActionEvent): Transition {
  const target = actionTable[state][event];
  if (target !== undefined) return { kind: "moved", state: target };
  const possible = actionEvents.filter((other) => actionTable[state][other] !== undefined);
  return {
    kind: "refused",
    refusal: {
      code: "action/transition",
      message: `${event} is not possible for an action that is ${state}; possible now: ${possible.join(", ")}.`,
      details: { state, event, possible },
    },
  };
}

/** docs/state-machines.md down to the end of what is about actions. */
export function stateMachineDocument(): string {
  return [
    "# State machines",
    "",
    "Made from their tables by `node scripts/with-node.mjs test/server/write-state-machines.ts`; a test tells when it is stale.",
    "",
    "## An action: a hotpatch on a device",
    "",
    "Settled, until somebody asks: " + [...settledStates].join(", ") + ".",
    `Events of the agent: ${agentEvents.join(", ")}.`,
    `Events of an administrator: ${administratorEvents.join(", ")}.`,
    "A pair that is not drawn is refused with `action/transition`.",
    "",
    "```mermaid",
    actionDiagram(),
    "```",
    "",
  ].join("\n");
}

/** A Mermaid state diagram; arrows between the same two states share one label. */
function actionDiagram(): string {
  const lines = ["stateDiagram-v2", "  [*] --> offered"];
  for (const state of actionStates) {
    const arrows = new Map<ActionState, ActionEvent[]>();
    for (const event of actionEvents) {
      const target = actionTable[state][event];
      if (target !== undefined) arrows.set(target, [...(arrows.get(target) ?? []), event]);
    }
    for (const [target, events] of arrows) lines.push(`  ${state} --> ${target}: ${events.join(", ")}`);
    if (settledStates.has(state)) lines.push(`  ${state} --> [*]`);
  }
  return lines.join("\n");
}
