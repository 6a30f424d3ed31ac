/** Which code in a process a hotpatch changes: every loaded copy of its version, wherever it lies, and nothing else. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { nodeMajors } from "../../support/node-versions.ts";
import { startApplication, temporaryFolder, writePackage } from "./application.ts";
import { buildFix, Patching, refusalsOf } from "./patching.ts";

const before = `exports.say = function say(text) {\n  return "old " + text;\n};\n`;
const after = `exports.say = function say(text) {\n  return "new " + text.trim();\n};\n`;
const other = `exports.say = function say(text) {\n  return "other " + text;\n};\n`;
const limits = { timeout: 300_000 };

for (const major of nodeMajors) {
  test(`all copies of the version are changed, other versions are not (Node ${major})`, limits, async (context) => {
    const fix = await buildFix(context, { before, after });
    const folder = temporaryFolder(context);
    fix.install(folder);
    fix.install(join(folder, "node_modules", "one"));
    fix.install(join(folder, "deep", "er"));
    writePackage(join(folder, "node_modules", "two", "node_modules", "sample"), other, { version: "2.0.0" });
    fix.install(join(folder, "fixed"), "after");
    const application = await startApplication(
      context,
      folder,
      `const folders = [".", "node_modules/one", "deep/er", "node_modules/two", "fixed"];
const all = folders.map((folder) => require(require("node:path").join(__dirname, folder, "node_modules/sample")).say);
answer(() => all.map((say) => say("x")));`,
      { major },
    );
    const patching = new Patching(fix, application);
    const outcome = await patching.apply();
    assert.equal(outcome.copies.length, 3);
    assert.deepEqual(await application.ask(), ["new x", "new x", "new x", "other x", "new x"]);
    assert.equal((await patching.verify()).state, "in-place");
    await patching.revert();
    assert.deepEqual(await application.ask(), ["old x", "old x", "old x", "other x", "new x"]);
  });
}

test("two copies of one file each keep variables of their own", limits, async (context) => {
  const module = (body: string) => `let count = 0;\nexports.hit = function hit() {\n${body}};\n`;
  const fix = await buildFix(context, {
    before: module("  count++;\n  return count;\n"),
    after: `const step = 10;\n${module("  count += step;\n  return [__dirname.split('/').at(-3), count];\n")}`,
  });
  const folder = temporaryFolder(context);
  fix.install(join(folder, "one"));
  fix.install(join(folder, "two"));
  const application = await startApplication(
    context,
    folder,
    `const one = require("./one/node_modules/sample"), two = require("./two/node_modules/sample"); one.hit();
answer(() => [one.hit(), two.hit()]);`,
  );
  assert.deepEqual(await application.ask(), [2, 1]);
  const patching = new Patching(fix, application);
  await patching.apply();
  assert.deepEqual(await application.ask(), [
    ["one", 12],
    ["two", 11],
  ]);
  await patching.revert();
  assert.deepEqual(await application.ask(), [13, 12]);
});

test(
  "a copy that was removed from require.cache is changed as well, and the one that came after it",
  limits,
  async (context) => {
    const fix = await buildFix(context, { before, after });
    const folder = temporaryFolder(context);
    fix.install(folder);
    const application = await startApplication(
      context,
      folder,
      `const first = require("sample"); delete require.cache[require.resolve("sample")]; const second = require("sample");
globalThis.kept = first.say;
answer(() => [kept("x"), second.say("x"), first === second]);`,
    );
    const patching = new Patching(fix, application);
    await patching.apply();
    assert.deepEqual(await application.ask(), ["new x", "new x", false]);
    await patching.revert();
    assert.deepEqual(await application.ask(), ["old x", "old x", false]);
  },
);

test("hotpatches for different packages do not disturb each other, in any order", limits, async (context) => {
  const one = await buildFix(context, { name: "one", before, after });
  const two = await buildFix(context, {
    name: "two",
    before: before.replace("old", "alt"),
    after: after.replace("new", "neu"),
  });
  const folder = temporaryFolder(context);
  one.install(folder);
  two.install(folder);
  const application = await startApplication(
    context,
    folder,
    `const one = require("one"), two = require("two"); answer(() => [one.say("x"), two.say("x")]);`,
  );
  const [first, second] = [new Patching(one, application), new Patching(two, application)];
  await first.apply();
  await second.apply();
  assert.deepEqual(await application.ask(), ["new x", "neu x"]);
  await first.revert();
  assert.deepEqual(await application.ask(), ["old x", "neu x"]);
  assert.deepEqual([(await first.verify()).state, (await second.verify()).state], ["absent", "in-place"]);
  await first.apply();
  await second.revert();
  assert.deepEqual(await application.ask(), ["new x", "alt x"]);
  await first.revert();
  assert.deepEqual(await application.ask(), ["old x", "alt x"]);
});

test("a second hotpatch on the same file is refused, and taken when the first is out", limits, async (context) => {
  const first = await buildFix(context, { before, after });
  const second = await buildFix(context, { before, after: after.replace("new", "newer"), fixed: "1.0.2" });
  const folder = temporaryFolder(context);
  first.install(folder);
  const application = await startApplication(
    context,
    folder,
    `const { say } = require("sample"); answer(() => say("x"));`,
  );
  const [one, two] = [new Patching(first, application), new Patching(second, application)];
  await one.apply();
  const [refusal] = await refusalsOf(two.apply());
  assert.equal(refusal?.code, "target/conflicting-hotpatch");
  assert.match(refusal?.message ?? "", /npm-sample-1\.0\.0-to-1\.0\.1/);
  assert.equal(await application.ask(), "new x");
  assert.equal((await one.verify()).state, "in-place");
  assert.equal((await refusalsOf(two.revert()))[0]?.code, "target/not-applied");
  await one.revert();
  await two.apply();
  assert.equal(await application.ask(), "newer x");
  await two.revert();
  assert.equal(await application.ask(), "old x");
});

test("what is applied already stays as it is; what is out already is refused", limits, async (context) => {
  const fix = await buildFix(context, { before, after });
  const folder = temporaryFolder(context);
  fix.install(folder);
  const application = await startApplication(
    context,
    folder,
    `const { say } = require("sample"); answer(() => say("x"));`,
  );
  const patching = new Patching(fix, application);
  assert.equal((await refusalsOf(patching.revert()))[0]?.code, "target/not-applied");
  assert.equal((await patching.verify()).state, "absent");
  assert.equal((await patching.apply()).state, "applied");
  assert.equal((await patching.apply()).state, "unchanged");
  assert.equal(await application.ask(), "new x");
  await patching.revert();
  assert.equal((await refusalsOf(patching.revert()))[0]?.code, "target/not-applied");
});

test(
  "a process that never loaded the package, and one whose copy was changed, are refused",
  limits,
  async (context) => {
    const fix = await buildFix(context, {
      before: {
        "index.js": `exports.say = require("./say").say;\nexports.name = function () {\n  return "old";\n};\n`,
        "say.js": before,
      },
      after: {
        "index.js": `exports.say = require("./say").say;\nexports.name = function () {\n  return "new";\n};\n`,
        "say.js": after,
      },
    });
    const folder = temporaryFolder(context);
    const without = await startApplication(context, folder, `answer(() => "nothing");`);
    assert.equal((await refusalsOf(new Patching(fix, without).apply()))[0]?.code, "target/package-absent");
    fix.install(folder);
    writePackage(
      join(folder, "node_modules", "sample"),
      { "say.js": `${before}// changed here\n` },
      { version: "1.0.0" },
    );
    const application = await startApplication(
      context,
      folder,
      `const { say, name } = require("sample"); answer(() => [say("x"), name()]);`,
    );
    const [refusal] = await refusalsOf(new Patching(fix, application).apply());
    assert.equal(refusal?.code, "target/version-mismatch");
    assert.match(refusal?.message ?? "", /say\.js/);
    assert.deepEqual(await application.ask(), ["old x", "old"]);
  },
);
