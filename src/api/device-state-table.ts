/**
 * The states of a device for a product, as data: when each is reached, and what leads out of it.
 *
 * A product is what a hotpatch targets, as `elf/expat`.
 * The state is worked out anew from what is wanted, the newest action and the blocks (src/server/device-states/work-out.ts), so it cannot drift from them.
 * docs/device-states.md is printed from this table, and a test keeps the two alike.
 */
import { type BlockCode, blockCodes } from "./block-codes.ts";
import type { ActionState } from "./schemas/actions.ts";

export const productStates = [
  "notTargeted",
  "ineligible",
  "offTrack",
  "fallbackToBaseline",
  "awaitingBaseline",
  "pendingRestart",
  "onHold",
  "paused",
  "eligible",
  "offered",
  "downloading",
  "applying",
  "hotpatched",
  "verified",
  "failed",
  "revertedByGuard",
] as const;
export type ProductState = (typeof productStates)[number];

/** Codes of states that do not come from a block: how it stands with the action. */
export const stateCodes = [
  "action/none",
  "action/offered",
  "action/downloading",
  "action/applying",
  "action/in-place",
  "action/verified",
  "action/taking-back",
  "action/taken-back",
  "action/taken-back-by-guard",
  "action/refused",
  "action/failed",
] as const;
export type StateCode = (typeof stateCodes)[number] | BlockCode;

interface ActionRow {
  readonly state: ProductState;
  readonly code: (typeof stateCodes)[number];
  readonly reason: string;
  /** What would change it. */
  readonly helps: string;
}

const asked = "`rebootless action offer` asks for it again on this device; a newer hotpatch is offered by itself.";

/** What the state of an action makes of its device; `withdrawn` makes nothing of it. */
export const stateOfAction: Readonly<Record<Exclude<ActionState, "withdrawn">, ActionRow>> = {
  offered: {
    ...{ state: "offered", code: "action/offered", reason: "It is offered, and the agent has not begun." },
    helps: "The agent begins at its next poll; see when the device was last seen.",
  },
  fetching: downloading("The agent downloads it."),
  fetched: downloading("The agent has it, and looks at the processes."),
  planned: downloading("The agent has planned it, and is about to begin."),
  applying: {
    ...{ state: "applying", code: "action/applying", reason: "The agent changes the code in memory." },
    helps: "The agent reports when it is done.",
  },
  applied: inPlace("It is in place, and its verification has not begun."),
  verifying: inPlace("It is in place, and is being verified."),
  verified: {
    ...{ state: "verified", code: "action/verified", reason: "It is in place, and was verified." },
    helps: "A newer hotpatch, or `rebootless action revert`, changes that.",
  },
  reverting: {
    ...{ state: "applying", code: "action/taking-back", reason: "It is being taken back." },
    helps: "The agent reports when the old code is in place.",
  },
  reverted: {
    ...{ state: "eligible", code: "action/taken-back", reason: "A person had it taken back." },
    helps: asked,
  },
  refused: {
    ...{ state: "ineligible", code: "action/refused", reason: "The agent refused it." },
    helps: `The agent goes on by itself once nothing is in the way; ${asked.charAt(0).toLowerCase()}${asked.slice(1)}`,
  },
  failed: { ...{ state: "failed", code: "action/failed", reason: "The agent failed at it." }, helps: asked },
};

function downloading(reason: string): ActionRow {
  return { state: "downloading", code: "action/downloading", reason, helps: "The agent reports its next step." };
}

function inPlace(reason: string): ActionRow {
  return { state: "hotpatched", code: "action/in-place", reason, helps: "The agent reports when it is verified." };
}

/** What takes the place of `reverting` and `reverted` where the agent's guard began it. */
export const takenBackByGuard: ActionRow = {
  ...{ state: "revertedByGuard", code: "action/taken-back-by-guard", reason: "The guard of the agent took it back." },
  helps: asked,
};

/** Where it is wanted, nothing is in the way, and no action says more. */
export const wantedOnly = {
  ...{ state: "eligible", code: "action/none", reason: "It is wanted here, and nothing keeps it off." },
  helps: "It is offered as soon as the server has looked at it.",
} as const satisfies ActionRow;

const meanings: Readonly<Record<ProductState, string>> = {
  notTargeted: "no hotpatch of the product is wanted on the device, and none is in place",
  ineligible: "the device cannot take it",
  offTrack: "an update took it off the hotpatch track, until a baseline brings it back",
  fallbackToBaseline: "it cannot be hotpatched and gets the cumulative baseline",
  awaitingBaseline: "it has to be on a newer baseline first, which needs a restart",
  pendingRestart: "it has to restart first",
  onHold: "a safeguard hold keeps the hotpatch off it",
  paused: "a policy or a rollout is paused",
  eligible: "it can take the hotpatch, which has not been offered to it yet",
  offered: "it was told, and has not begun",
  downloading: "it fetches and plans",
  applying: "its memory is being changed, or changed back",
  hotpatched: "the hotpatch of that sequence is in place",
  verified: "the hotpatch of that sequence is in place and proven",
  failed: "the agent failed; nothing is tried again by itself",
  revertedByGuard: "the guard took it back; that hotpatch stays off until a person or a newer one says otherwise",
};

/** docs/device-states.md's tables. */
export function deviceStateTables(): string {
  const ofActions = Object.entries(stateOfAction) as [string, ActionRow][];
  const ofBlocks = Object.entries(blockCodes);
  const when = (state: ProductState) => [
    ...ofActions.filter(([, row]) => row.state === state).map(([name]) => `action ${name}`),
    ...(state === takenBackByGuard.state ? ["action reverting or reverted, begun by the guard"] : []),
    ...ofBlocks.filter(([, row]) => row.state === state).map(([code]) => `block \`${code}\``),
    ...(state === "notTargeted" ? ["nothing else"] : []),
  ];
  return [
    "| state | what it means | when |",
    "|---|---|---|",
    ...productStates.map((state) => `| ${state} | ${meanings[state]} | ${when(state).join(", ")} |`),
    "",
    "| block | state | what it means |",
    "|---|---|---|",
    ...ofBlocks.map(([code, { state, meaning }]) => `| \`${code}\` | ${state} | ${meaning} |`),
    "",
    "| action | state | code | why | what would change it |",
    "|---|---|---|---|---|",
    ...[...ofActions, ["reverted, by the guard", takenBackByGuard] as const].map(
      ([name, { state, code, reason, helps }]) => `| ${name} | ${state} | \`${code}\` | ${reason} | ${helps} |`,
    ),
    "",
  ].join("\n");
}
