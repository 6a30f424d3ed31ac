import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { type ActionState, actionStates, administratorEvents, agentEvents } from "../../src/api/schemas/actions.ts";
import {
  type ActionEvent,
  actionEvents,
  actionTable,
  next,
  settledStates,
} from "../../src/server/actions/state-machine.ts";
import { stateMachinesDocument } from "./support/state-machines-document.ts";

/** The table once more, written out by hand: each state with its events in the order of `actionEvents`, `.` for a refusal. */
const expected = `
              fetch-started fetch-done plan-done apply-started apply-done verify-started verify-done revert-started revert-done refuse  fail   offer   withdraw  revert
offered       fetching      .          .         .             .          .              .           .              .           refused failed .       withdrawn .
fetching      fetching      fetched    .         .             .          .              .           .              .           refused failed .       withdrawn .
fetched       fetching      .          planned   .             .          .              .           .              .           refused failed .       withdrawn .
planned       fetching      .          .         applying      .          .              .           .              .           refused failed .       withdrawn .
applying      .             .          .         applying      applied    .              .           reverting      .           refused failed .       .         reverting
applied       .             .          .         .             .          verifying      .           reverting      .           .       failed .       .         reverting
verifying     .             .          .         .             .          verifying      verified    reverting      .           .       failed .       .         reverting
verified      .             .          .         applying      .          verifying      .           reverting      .           .       failed .       .         reverting
reverting     .             .          .         reverting     reverting  reverting      reverting   reverting      reverted    .       failed .       .         .
reverted      .             .          .         reverting     reverting  reverting      reverting   reverting      reverted    .       .      offered .         .
refused       .             .          .         applying      .          .              .           .              .           .       .      offered withdrawn reverting
failed        .             .          .         reverting     reverting  reverting      reverting   reverting      reverted    .       .      offered .         reverting
withdrawn     .             .          .         reverting     reverting  reverting      reverting   reverting      reverted    .       .      offered .         .
`;

const [head = [], ...body] = expected
  .trim()
  .split("\n")
  .map((line) => line.trim().split(/\s+/));

test("the table by hand names every state and every event once", () => {
  assert.deepEqual(head, actionEvents);
  assert.deepEqual(body.map(([state]) => state).toSorted(), [...actionStates].toSorted());
  assert.deepEqual(actionEvents, [...agentEvents, ...administratorEvents]);
});

describe("every pair of a state and an event is decided", () => {
  for (const [state, ...targets] of body as [ActionState, ...string[]][]) {
    for (const [index, target] of targets.entries()) {
      const event = head[index] as ActionEvent;
      test(`${state} + ${event}: ${target === "." ? "refused" : target}`, () => {
        const transition = next(state, event);
        if (target !== ".") return assert.deepEqual(transition, { kind: "moved", state: target });
        assert.equal(transition.kind, "refused");
        assert.equal(transition.refusal.code, "action/transition");
        assert.deepEqual(transition.refusal.details?.event, event);
      });
    }
  }
});

test("every state is reached from an offer, and each unsettled one leads to a settled one by the agent alone", () => {
  const reach = (from: ActionState, events: readonly ActionEvent[]): Set<ActionState> => {
    const seen = new Set([from]);
    for (const state of seen) {
      for (const event of events) {
        const target = actionTable[state][event];
        if (target !== undefined) seen.add(target);
      }
    }
    return seen;
  };
  assert.deepEqual([...reach("offered", actionEvents)].toSorted(), [...actionStates].toSorted());
  for (const state of actionStates) {
    const settled = [...reach(state, agentEvents)].some((reached) => settledStates.has(reached));
    assert.ok(settled, state);
  }
});

test("once memory may have been changed, nothing leads to withdrawn", () => {
  for (const state of ["applying", "applied", "verifying", "verified", "reverting"] as const) {
    assert.ok(!Object.values(actionTable[state]).includes("withdrawn"), state);
  }
});

test("docs/state-machines.md is made from the tables", () => {
  const document = readFileSync(new URL("../../docs/state-machines.md", import.meta.url), "utf8");
  assert.equal(document, stateMachinesDocument());
});
