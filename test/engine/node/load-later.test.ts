/** Files that a process loads after the patch, worker threads, and what a revert does with them. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { nodeMajors } from "../../support/node-versions.ts";
import { startApplication, temporaryFolder } from "./application.ts";
import { buildFix, Patching } from "./patching.ts";

const limits = { timeout: 300_000 };
const before = `const limit = 10;\nexports.fits = function fits(n) {\n  return n < limit;\n};\n`;
const after = `const limit = 5;\nexports.fits = function fits(n) {\n  return n < limit && n > 0;\n};\n`;
const moduleBefore = before.replace("exports.fits = ", "export ");
const moduleAfter = after.replace("exports.fits = ", "export ");

for (const major of nodeMajors) {
  test(
    `a CommonJS copy that is loaded later is fixed as it loads, and stays so (Node ${major})`,
    limits,
    async (context) => {
      const fix = await buildFix(context, { before, after });
      const folder = temporaryFolder(context);
      fix.install(folder);
      for (const place of ["later", "last"]) fix.install(join(folder, place));
      const application = await startApplication(
        context,
        folder,
        `const { fits } = require("sample");
answer((place) => (place ? require("./" + place + "/node_modules/sample") : { fits }).fits(7));`,
        { major },
      );
      const patching = new Patching(fix, application);
      await patching.apply();
      assert.deepEqual([await application.ask(), await application.ask("later")], [false, false]);
      assert.equal((await patching.verify()).state, "in-place");
      const { keptFixed } = await patching.revert();
      assert.deepEqual(keptFixed, [join(folder, "later", "node_modules", "sample", "index.js")]);
      assert.deepEqual([await application.ask(), await application.ask("later")], [true, false]);
      assert.equal(await application.ask("last"), true);
      await patching.apply();
      assert.deepEqual(
        [await application.ask(), await application.ask("last"), await application.ask("later")],
        [false, false, false],
      );
    },
  );

  test(`an ES module that is loaded later (Node ${major})`, limits, async (context) => {
    const fix = await buildFix(context, { before: moduleBefore, after: moduleAfter, type: "module" });
    const folder = temporaryFolder(context);
    fix.install(folder);
    fix.install(join(folder, "later"));
    const application = await startApplication(
      context,
      folder,
      `import { fits } from "sample";
answer(async (later) => (later ? await import("./later/node_modules/sample/index.js") : { fits }).fits(7));`,
      { major, isModule: true },
    );
    const patching = new Patching(fix, application);
    const { findings } = await patching.apply();
    assert.equal(await application.ask(false), false);
    // Before 22.15, Node.js has no hooks in the thread itself: it is said, not passed over.
    const isCovered = major !== 20;
    assert.equal(
      findings.some(({ subject }) => subject === "ES modules that are loaded later"),
      !isCovered,
    );
    assert.equal(await application.ask(true), !isCovered);
    const { keptFixed } = await patching.revert();
    assert.equal(keptFixed.length, isCovered ? 1 : 0);
    assert.equal(await application.ask(false), true);
  });

  test(`workers that run, and workers that start later (Node ${major})`, limits, async (context) => {
    const fix = await buildFix(context, { before, after });
    const folder = temporaryFolder(context);
    fix.install(folder);
    const application = await startApplication(context, folder, workersProgram, { major });
    const answers = async (): Promise<unknown> => await application.ask("all");
    assert.deepEqual(await answers(), [true, true, true]);
    const patching = new Patching(fix, application);
    await patching.apply();
    assert.deepEqual(await answers(), [false, false, false]);
    await application.ask("start");
    // A worker is served as soon as its own code starts, which is a moment after its first line.
    const isServed = async (): Promise<boolean> => isDeepStrictEqual(await answers(), [false, false, false, false]);
    const end = performance.now() + 60_000;
    while (!(await isServed())) assert.ok(performance.now() < end);
    assert.equal((await patching.verify()).state, "in-place");
    await application.ask("end first");
    assert.deepEqual(await answers(), [false, false, false]);
    await patching.revert();
    const [main, running] = (await answers()) as boolean[];
    assert.deepEqual([main, running], [true, true]);
    await application.ask("start");
    assert.equal(((await answers()) as boolean[])[3], true);
    await patching.apply();
    assert.deepEqual(await answers(), [false, false, false, false]);
    await application.end();
  });
}

const workersProgram = `
const { Worker, isMainThread, parentPort } = require("node:worker_threads");
const { fits } = require("sample");
if (!isMainThread) parentPort.on("message", () => parentPort.postMessage(fits(7)));
else {
  const workers = [];
  const once = (worker) => new Promise((resolve) => worker.once("message", resolve));
  const ask = (worker) => { const reply = once(worker); worker.postMessage("?"); return reply; };
  const start = async () => { const worker = new Worker(__filename); workers.push(worker); await ask(worker); };
  answer(async (what) => {
    if (what === "start") return await start().then(() => null);
    if (what === "end first") return await workers.shift().terminate();
    return [fits(7), ...(await Promise.all(workers.map(ask)))];
  });
  module.exports = start().then(start);
}
`;
