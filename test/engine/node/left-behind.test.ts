/** Functions that V8 loses in silence: what a factory made for the application alone, with several changes in one file. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeChangeOf } from "../../../src/hotpatch/manifest.ts";
import { nodeMajors } from "../../support/node-versions.ts";
import { startApplication, temporaryFolder } from "./application.ts";
import { type BuiltFix, buildFix, Patching, refusalsOf } from "./patching.ts";

/** With eight equal lines added before it, V8's comparison takes the second method for another one. */
const library = (lines: number, word: string): string => `exports.make = function make() {
  return {
    first(text) {
${"      text = String(text);\n".repeat(lines)}      return text;
    },
    second(text) {
      return text + "${word}";
    },
  };
};
`;
const program = `const { make } = require("sample");
const kept = make();
answer(() => [kept.second("x"), make().second("x")]);`;

/** As the build would have it if one edit of the file were enough. */
function inOneEdit(fix: BuiltFix): BuiltFix {
  const { manifest } = fix.hotpatch;
  const files = nodeChangeOf(manifest).files.map((file) => ({ ...file, ways: { there: "direct" as const } }));
  return {
    ...fix,
    hotpatch: { ...fix.hotpatch, manifest: { ...manifest, node: { ...nodeChangeOf(manifest), files } } },
  };
}

for (const major of nodeMajors) {
  test(`what a factory made for the application follows (Node ${major})`, async (context) => {
    const fix = await buildFix(context, { before: library(0, " old"), after: library(8, " new") });
    const folder = temporaryFolder(context);
    fix.install(folder);
    const application = await startApplication(context, folder, program, { major });
    const patching = new Patching(fix, application);
    for (let round = 1; round <= 2; round++) {
      await patching.apply();
      assert.deepEqual(await application.ask(), ["x new", "x new"], `round ${round}`);
      await patching.revert();
      assert.deepEqual(await application.ask(), ["x old", "x old"], `round ${round}`);
    }
  });

  test(`a lost closure is found, and everything is taken back (Node ${major})`, async (context) => {
    const fix = await buildFix(context, { before: library(0, " old"), after: library(8, " new") });
    const folder = temporaryFolder(context);
    fix.install(folder);
    const application = await startApplication(context, folder, program, { major });
    const patching = new Patching(inOneEdit(fix), application);
    const [refusal] = await refusalsOf(patching.apply());
    assert.match(refusal?.message ?? "", /V8 has left \d+ live functions on the old code \(.*second of index\.js/);
    assert.deepEqual(await application.ask(), ["x old", "x old"], "nothing is half done");
    assert.equal((await patching.verify()).state, "absent");
  });
}

test("a look at every function that does not fit into the budget is left out, and the evidence says so", async (context) => {
  const fix = await buildFix(context, { before: library(0, " old"), after: library(1, " new") });
  const folder = temporaryFolder(context);
  fix.install(folder);
  const application = await startApplication(context, folder, program, {});
  const patching = new Patching(fix, application);
  const { findings } = await patching.apply();
  assert.ok(findings.some(({ subject }) => subject === "every live function"));
  await patching.revert();
  const plan = await patching.plan();
  const hurried = await patching.applyPlan(plan, { maxPauseMs: 1 });
  const finding = hurried.findings.find(({ subject }) => /nothing leads to/.test(subject));
  assert.match(finding?.evidence ?? "", /not looked at, .* a larger --max-pause allows it/);
});

test("functions that end with the call that made them are spared the look", async (context) => {
  const text = (word: string): string => `exports.join = function join(words) {
  const end = (word) => word + "${word}";
  return words.reduce((all, word) => all + end(word), "");
};
`;
  const fix = await buildFix(context, { before: text("."), after: text("!") });
  const folder = temporaryFolder(context);
  fix.install(folder);
  const code = `const { join } = require("sample"); answer(() => join(["a", "b"]));`;
  const application = await startApplication(context, folder, code, {});
  const { findings } = await new Patching(fix, application).apply();
  assert.equal(await application.ask(), "a!b!");
  assert.ok(findings.every(({ subject }) => subject !== "every live function"));
  assert.ok(findings.some(({ state }) => state === "proven"));
});
