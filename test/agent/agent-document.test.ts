import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { courseTable } from "../../src/agent/course.ts";
import type { ActionState } from "../../src/api/schemas/actions.ts";
import { errorCodes } from "../../src/base/errors.ts";
import { refusalCodes } from "../../src/base/refusal.ts";

const document = readFileSync(new URL("../../docs/agent.md", import.meta.url), "utf8");

test("docs/agent.md tells of each stage that has an effect where it leads", () => {
  const words = (cell = "") => [...cell.matchAll(/`(\w+)`/g)].map(([, word]) => word as ActionState);
  const told = new Map<ActionState, ActionState[]>();
  for (const [, stages, targets] of document.matchAll(/^\| (`[^|]+`) \| [^|]+ \| (`[^|]+`) \|$/gm)) {
    for (const stage of words(stages)) told.set(stage, words(targets));
  }
  const busy = (Object.keys(courseTable) as ActionState[]).filter((stage) => courseTable[stage].effect !== undefined);
  assert.deepEqual([...told.keys()].toSorted(), busy.toSorted());
  for (const stage of busy) {
    const targets = Object.values(courseTable[stage].on).map(({ to }) => to);
    const said = told.get(stage) ?? [];
    // Stages that only lead on share a row.
    if (courseTable[stage].effect === "begin") assert.ok(said.includes(targets[0] as ActionState), stage);
    else assert.deepEqual(said.toSorted(), targets.toSorted(), stage);
  }
});

test("docs/agent.md lists every code of the agent's own", () => {
  const listed = [...document.matchAll(/^\| `(agent\/[\w-]+)` \|/gm)].map(([, code]) => code);
  const known = [...Object.keys(errorCodes), ...refusalCodes].filter((code) => code.startsWith("agent/"));
  assert.deepEqual(listed.toSorted(), known.toSorted());
});
