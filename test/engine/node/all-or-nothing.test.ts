/** Whatever is in the way, a process does entirely what it did before, or entirely what the hotpatch says. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { RebootlessError } from "../../../src/base/errors.ts";
import { RefusalError } from "../../../src/base/refusal.ts";
import { nodeMajors } from "../../support/node-versions.ts";
import { startApplication, temporaryFolder } from "./application.ts";
import { buildFix, Patching, refusalsOf } from "./patching.ts";

const limits = { timeout: 300_000 };

const files = (word: string, more = "") => ({
  "index.js": `exports.one = require("./one").one;\nexports.two = require("./two").two;\n`,
  "one.js": `exports.one = function one(text) {\n  return "${word} " + text;\n};\n`,
  "two.js": `exports.two = function two(text) {\n  return "${word} " + text;\n};\n${more}`,
});

for (const major of nodeMajors) {
  test(`one file of several cannot take effect: nothing is changed (Node ${major})`, limits, async (context) => {
    const fix = await buildFix(context, {
      before: files("old"),
      after: files("new", "exports.three = function three() {\n  return 3;\n};\n"),
    });
    const folder = temporaryFolder(context);
    fix.install(folder);
    const application = await startApplication(
      context,
      folder,
      `const { one, two } = require("sample"); Object.freeze(require("sample/two")); answer(() => [one("x"), two("x"), Object.keys(globalThis).filter((key) => /rebootless/.test(key))]);`,
      { major },
    );
    const patching = new Patching(fix, application);
    const [refusal] = await refusalsOf(patching.apply());
    assert.equal(refusal?.code, "plan/no-way");
    assert.match(refusal?.message ?? "", /two\.js.*three/s);
    assert.deepEqual(await application.ask(), ["old x", "old x", []]);
    assert.equal((await patching.verify()).state, "absent");
  });
}

test("a value that cannot be computed in this process: everything goes back", limits, async (context) => {
  const code = (limit: string, sign: string) =>
    `const limit = ${limit};\nconst table = { a: 1 };\nexports.fits = function fits(n) {\n  return n ${sign} limit && table.a === 1;\n};\n`;
  const fix = await buildFix(context, {
    before: code("10", "<"),
    after: code(`(() => {\n  if (globalThis.isBroken) throw new Error("no limit here");\n  return 5;\n})()`, "<="),
  });
  const folder = temporaryFolder(context);
  fix.install(folder);
  const application = await startApplication(
    context,
    folder,
    `const { fits } = require("sample"); globalThis.isBroken = true; answer((broken) => { globalThis.isBroken = broken; return [fits(5), fits(7)]; });`,
  );
  const patching = new Patching(fix, application);
  assert.deepEqual(await application.ask(true), [true, true]);
  const [refusal] = await refusalsOf(patching.apply());
  assert.equal(refusal?.code, "plan/no-way");
  assert.match(refusal?.message ?? "", /no limit here/);
  assert.deepEqual(await application.ask(false), [true, true]);
  await patching.apply();
  assert.deepEqual(await application.ask(false), [true, false]);
  await patching.revert();
  assert.deepEqual(await application.ask(false), [true, true]);
});

const suspended = {
  before: `exports.load = async function load(gate) {
  await gate;
  return "old";
};
exports.each = function* each() {
  yield "old";
  yield "old";
};
`,
  after: `exports.load = async function load(gate) {
  const value = await gate;
  return "new" + (value ?? "");
};
exports.each = function* each() {
  yield "new";
  yield "newer";
};
`,
};

for (const major of nodeMajors) {
  for (const kind of ["load", "each"]) {
    test(
      `a suspended ${kind === "load" ? "async function" : "generator"} is waited for (Node ${major})`,
      limits,
      async (context) => {
        const fix = await buildFix(context, suspended);
        const folder = temporaryFolder(context);
        fix.install(folder);
        const application = await startApplication(
          context,
          folder,
          `const { load, each } = require("sample");
let open, running, iterator;
if ("${kind}" === "load") running = load(new Promise((resolve) => { open = resolve; }));
else { iterator = each(); iterator.next(); }
answer(async (what) => {
  if (what === "end") { open?.(); iterator?.return(); return await running; }
  return [[...each()][0], await load()];
});`,
          { major },
        );
        const patching = new Patching(fix, application);
        const [refusal] = await refusalsOf(patching.apply({ waitMs: 200 }));
        assert.equal(refusal?.code, "plan/active-function");
        assert.deepEqual(await application.ask(), ["old", "old"]);
        assert.equal((await patching.verify()).state, "absent");
        const waiting = patching.apply({ waitMs: 60_000 });
        assert.equal(await application.ask("end"), kind === "load" ? "old" : undefined);
        assert.equal((await waiting).state, "applied");
        assert.deepEqual(await application.ask(), ["new", "new"]);
        await patching.revert();
        assert.deepEqual(await application.ask(), ["old", "old"]);
      },
    );
  }
}

test(
  "a suspended function is in the way of a revert: the hotpatch stays as a whole until it has ended",
  limits,
  async (context) => {
    const fix = await buildFix(context, suspended);
    const folder = temporaryFolder(context);
    fix.install(folder);
    const application = await startApplication(
      context,
      folder,
      `const { load, each } = require("sample");
let open;
answer(async (what) => {
  if (what === "begin") { load(new Promise((resolve) => { open = resolve; })); return null; }
  if (what === "end") { open(); return null; }
  return [[...each()][0], await load()];
});`,
    );
    const patching = new Patching(fix, application);
    await patching.apply();
    await application.ask("begin");
    assert.equal((await refusalsOf(patching.revert({ waitMs: 200 })))[0]?.code, "plan/active-function");
    assert.deepEqual(await application.ask(), ["new", "new"]);
    assert.equal((await patching.verify()).state, "in-place");
    await application.ask("end");
    await patching.revert();
    assert.deepEqual(await application.ask(), ["old", "old"]);
  },
);

test("a worker that is in the way of an apply or a revert keeps the others as they were", limits, async (context) => {
  const fix = await buildFix(context, suspended);
  const folder = temporaryFolder(context);
  fix.install(folder);
  const application = await startApplication(
    context,
    folder,
    `const { Worker, isMainThread, parentPort } = require("node:worker_threads");
const { load, each } = require("sample");
let open;
const respond = async (what) => {
  if (what === "begin") { load(new Promise((resolve) => { open = resolve; })); return null; }
  if (what === "end") { open(); return null; }
  return await load();
};
if (!isMainThread) parentPort.on("message", async (what) => parentPort.postMessage(await respond(what)));
else {
  const workers = [new Worker(__filename), new Worker(__filename)];
  const ask = (worker, what) => { const reply = new Promise((resolve) => worker.once("message", resolve)); worker.postMessage(what); return reply; };
  answer(async (what) => (what ? await ask(workers[1], what) : [await load(), ...(await Promise.all(workers.map((worker) => ask(worker))))]));
  module.exports = Promise.all(workers.map((worker) => ask(worker)));
}`,
  );
  const patching = new Patching(fix, application);
  await application.ask("begin");
  assert.equal((await refusalsOf(patching.apply({ waitMs: 200 })))[0]?.code, "plan/active-function");
  assert.deepEqual(await application.ask(), ["old", "old", "old"]);
  await application.ask("end");
  await patching.apply();
  assert.deepEqual(await application.ask(), ["new", "new", "new"]);
  await application.ask("begin");
  assert.equal((await refusalsOf(patching.revert({ waitMs: 200 })))[0]?.code, "plan/active-function");
  assert.deepEqual(await application.ask(), ["new", "new", "new"]);
  assert.equal((await patching.verify()).state, "in-place");
  await application.ask("end");
  await patching.revert();
  assert.deepEqual(await application.ask(), ["old", "old", "old"]);
});

test("a process that is blocked for seconds gets the hotpatch when it is free again", limits, async (context) => {
  const fix = await buildFix(context, { before: files("old"), after: files("new") });
  const folder = temporaryFolder(context);
  fix.install(folder);
  const application = await startApplication(
    context,
    folder,
    `const { one } = require("sample");
answer((blockMs) => { if (blockMs) setImmediate(() => { const end = Date.now() + blockMs; while (Date.now() < end); }); return one("x"); });`,
  );
  const patching = new Patching(fix, application);
  await patching.plan();
  assert.equal(await application.ask(3000), "old x");
  assert.equal((await patching.apply()).state, "applied");
  assert.equal(await application.ask(), "new x");
});

test("a process that ends while it is being patched is told of", limits, async (context) => {
  const fix = await buildFix(context, suspended);
  const folder = temporaryFolder(context);
  fix.install(folder);
  const application = await startApplication(
    context,
    folder,
    `const { load } = require("sample"); globalThis.running = new Promise((resolve) => { globalThis.open = resolve; }); load(running);
answer((what) => { if (what === "exit") setTimeout(() => process.exit(0), 10); return "here"; });`,
  );
  const patching = new Patching(fix, application);
  const plan = await patching.plan();
  const waiting = patching.applyPlan(plan, { waitMs: 60_000 });
  const failed = assert.rejects(
    waiting,
    (error) =>
      error instanceof RefusalError || (error instanceof RebootlessError && error.code === "failure/agent-lost"),
  );
  assert.equal(await application.ask("exit"), "here");
  await failed;
});
