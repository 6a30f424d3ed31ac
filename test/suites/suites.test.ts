/** Three suites on the pinned Node.js, one of them with the package's own tests; `npm run suites:npm` runs all. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { runSuites } from "./run-suites.ts";
import { onlySuites } from "./suite-cases.ts";
import { shortcomings } from "./suite-run.ts";

test("a patched process answers as the fixed version does", { timeout: 540_000 }, async (t) => {
  const cases = onlySuites(["minimist", "json5", "devalue"]);
  const results = await runSuites({ cases, majors: [26] }, (line) => t.diagnostic(line));
  assert.deepEqual(
    results.map((result) => [result.case.id, shortcomings(result)]),
    cases.map(({ id }) => [id, []]),
  );
  for (const { case: one, checks, visible } of results) {
    assert.ok(checks >= 50, `${one.id} has ${checks} checks`);
    assert.ok(visible.length > 0, `the suite of ${one.id} cannot tell the vulnerable version from the fixed one`);
  }
});
