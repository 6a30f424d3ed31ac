import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { backOffMs } from "../../src/agent/back-off.ts";
import { advance, type Course, type CourseOutcome, courseTable, reconcile } from "../../src/agent/course.ts";
import { difference } from "../../src/agent/facts.ts";
import { parseOsRelease } from "../../src/agent/machine-facts.ts";
import { type ActionState, actionStates } from "../../src/api/schemas/actions.ts";
import { actionTable, next } from "../../src/server/actions/state-machine.ts";
import { actionAt, courseAt, early, idOf } from "./support/courses.ts";

/** The table once more, by hand: where each outcome of a stage leads, `.` where there is none. */
const expected = `
            done      refused  failed  again
offered     fetching  .        .       .
fetching    fetched   refused  failed  .
fetched     planned   refused  failed  .
planned     applying  refused  failed  .
applying    applied   refused  failed  .
applied     verifying .        .       .
verifying   verified  .        failed  .
verified    .         .        .       applying
reverting   reverted  .        failed  .
reverted    .         .        .       .
refused     .         .        .       applying
failed      .         .        .       .
withdrawn   .         .        .       .
`;

describe("every pair of a stage and an outcome is decided", () => {
  const [head = [], ...rows] = expected
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/\s+/));
  test("the table by hand names every stage", () => {
    assert.deepEqual(rows.map(([stage]) => stage).toSorted(), [...actionStates].toSorted());
  });
  for (const [stage, ...targets] of rows as [ActionState, ...string[]][]) {
    for (const [index, target] of targets.entries()) {
      const outcome = head[index] as CourseOutcome;
      test(`${stage} + ${outcome}: ${target}`, () => {
        assert.equal(advance(stage, outcome)?.to ?? ".", target);
      });
    }
  }
});

test("what the agent reports leads the server's action to the agent's own stage", () => {
  for (const stage of actionStates) {
    for (const arrow of Object.values(courseTable[stage].on)) {
      assert.deepEqual(next(stage, arrow.report), { kind: "moved", state: arrow.to }, `${stage}: ${arrow.report}`);
    }
  }
});

test("where the server turned an action back meanwhile, every report of a change in memory is taken still", () => {
  for (const event of ["apply-started", "apply-done", "verify-started", "verify-done"] as const) {
    for (const state of ["reverting", "withdrawn", "failed"] as const) assert.ok(actionTable[state][event], state);
  }
});

function reconciled(courses: readonly Course[], actions: ReturnType<typeof actionAt>[], unreported: string[] = []) {
  const known = new Map(courses.map((course) => [course.actionId, course]));
  const changes = reconcile(known, new Set(unreported.map(idOf)), { actions, isWhole: true });
  return changes.map((change) => (change.kind === "taken" ? change.course.stage : `forget ${change.actionId}`));
}

test("an assignment is news only where the server knows more than this machine", () => {
  const rows: readonly [what: string, given: string[], wanted: string[]][] = [
    ["a new action", reconciled([], [actionAt("offered", "a")]), ["offered"]],
    ["one of a machine that lost its journal", reconciled([], [actionAt("applying", "a")]), ["applying"]],
    ["the same", reconciled([courseAt("fetching", "a")], [actionAt("fetching", "a")]), []],
    ["behind what is not told yet", reconciled([courseAt("applied", "a")], [actionAt("fetching", "a")], ["a"]), []],
    ["to be taken back", reconciled([courseAt("verified", "a")], [actionAt("reverting", "a")]), ["reverting"]],
    ["the same, early", reconciled([courseAt("applied", "a")], [actionAt("reverting", "a")], ["a"]), ["reverting"]],
    ["taken back, not told yet", reconciled([courseAt("reverted", "a")], [actionAt("reverting", "a")], ["a"]), []],
    ["offered again", reconciled([courseAt("refused", "a")], [actionAt("offered", "a")]), ["offered"]],
    ["withdrawn before it began", reconciled([courseAt("fetched", "a")], []), [`forget ${idOf("a")}`]],
    ["withdrawn, with reports under way", reconciled([courseAt("fetched", "a")], [], ["a"]), []],
    ["settled on the server", reconciled([courseAt("verified", "a")], []), []],
    [
      "an answer that is older than the last acknowledgement",
      reconciled(
        [courseAt("refused", "a", { seenChangedAt: "2026-02-01T00:00:00.000Z" })],
        [actionAt("fetching", "a")],
      ),
      [],
    ],
  ];
  for (const [what, given, wanted] of rows) assert.deepEqual(given, wanted, what);
});

test("an assignment that leaves something out withdraws nothing", () => {
  const course = courseAt("offered", "a", { seenChangedAt: early });
  const courses = new Map([[course.actionId, course]]);
  assert.deepEqual(reconcile(courses, new Set(), { actions: [], isWhole: false }), []);
});

test("a server that is away is asked less and less often, and not by all at once", () => {
  const longest = Array.from({ length: 10 }, (_, attempt) => backOffMs(attempt, 0.999_999));
  assert.deepEqual(longest.slice(0, 8), [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
  assert.equal(backOffMs(0, 0), 500);
  assert.equal(backOffMs(1000, 0), 30_000);
});

test("facts travel as what changed", () => {
  assert.deepEqual(difference({ a: 1, b: "x", c: ["p"] }, { a: 1, b: "y", d: true }), { b: "y", d: true, c: null });
  assert.deepEqual(difference({ a: ["x", "y"] }, { a: ["x", "y"] }), {});
});

test("os-release is read as os-release(5) writes it", () => {
  const text = "PRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"\nID=debian\n# VERSION_ID=1\nVERSION_ID='13'\nOTHER=x\n";
  assert.deepEqual(parseOsRelease(text), {
    "os.name": "Debian GNU/Linux 13 (trixie)",
    "os.id": "debian",
    "os.version": "13",
  });
});
