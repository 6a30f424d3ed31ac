import assert from "node:assert/strict";
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { Journal, readJournal } from "../../src/agent/journal.ts";
import { RebootlessError } from "../../src/base/errors.ts";
import { temporaryFolder } from "../engine/node/application.ts";
import { fc } from "../support/properties.ts";
import { courseAt, reportOf } from "./support/courses.ts";

test("what was appended is there after the end of the process, in order", (t) => {
  const file = path.join(temporaryFolder(t), "journal.jsonl");
  const journal = Journal.open(file);
  journal.append({ kind: "moved", course: courseAt("fetching", "a"), report: reportOf("a", "fetch-started", 1) });
  journal.append({ kind: "moved", course: courseAt("fetched", "a"), report: reportOf("a", "fetch-done", 2) });
  journal.append({ kind: "moved", course: courseAt("offered", "b") });
  journal.append({ kind: "told", key: reportOf("a", "fetch-started", 1).key, changedAt: "2026-01-02T00:00:00.000Z" });
  journal.append({ kind: "forgotten", actionId: courseAt("offered", "b").actionId });
  journal.close();
  const { state } = readJournal(file);
  const [course, ...others] = [...state.courses.values()];
  assert.deepEqual([course?.stage, course?.seenChangedAt, others], ["fetched", "2026-01-02T00:00:00.000Z", []]);
  assert.deepEqual(
    state.reports.map(({ event }) => event),
    ["fetch-done"],
  );
});

test("however the last line is torn, what stands before it counts, and writing goes on", (t) => {
  const file = path.join(temporaryFolder(t), "journal.jsonl");
  const journal = Journal.open(file);
  journal.append({ kind: "moved", course: courseAt("fetching", "a") });
  const whole = readFileSync(file).length;
  journal.append({ kind: "moved", course: courseAt("fetched", "a") });
  journal.close();
  const bytes = readFileSync(file);
  for (let cut = whole; cut < bytes.length; cut++) {
    writeFileSync(file, bytes.subarray(0, cut));
    const again = Journal.open(file);
    assert.deepEqual(
      [...again.state.courses.values()].map(({ stage }) => stage),
      ["fetching"],
    );
    again.append({ kind: "moved", course: courseAt("planned", "a") });
    again.close();
    const stages = [...readJournal(file).state.courses.values()].map(({ stage }) => stage);
    assert.deepEqual(stages, ["planned"]);
  }
});

test("a damaged line before the last is no guess", (t) => {
  const file = path.join(temporaryFolder(t), "journal.jsonl");
  const journal = Journal.open(file);
  for (const stage of ["fetching", "fetched"] as const) journal.append({ kind: "moved", course: courseAt(stage, "a") });
  journal.close();
  const bytes = readFileSync(file);
  const first = bytes.indexOf(0x0a);
  fc.assert(
    fc.property(fc.nat(first - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const damaged = Buffer.from(bytes);
      damaged[at] = (damaged[at] ?? 0) ^ flip;
      writeFileSync(file, damaged);
      assert.throws(
        () => readJournal(file),
        (error) => error instanceof RebootlessError && error.code === "agent/state-damaged",
      );
    }),
  );
});

test("a journal that has grown is written anew as a whole", (t) => {
  const file = path.join(temporaryFolder(t), "journal.jsonl");
  const journal = Journal.open(file);
  for (let count = 0; count < 1500; count++) journal.append({ kind: "moved", course: courseAt("fetching", "a") });
  journal.append({ kind: "moved", course: courseAt("fetched", "a"), report: reportOf("a", "fetch-done", 3) });
  const before = readFileSync(file).length;
  journal.compactIfLarge();
  assert.ok(readFileSync(file).length < before / 100);
  journal.append({ kind: "moved", course: courseAt("planned", "a"), report: reportOf("a", "plan-done", 4) });
  const { state } = readJournal(file);
  assert.deepEqual([...state.courses.values()][0]?.stage, "planned");
  assert.deepEqual(
    state.reports.map(({ event }) => event),
    ["fetch-done", "plan-done"],
  );
  appendFileSync(file, "torn");
  journal.close();
  assert.equal(readJournal(file).state.reports.length, 2);
});
