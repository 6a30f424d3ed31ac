/** Many rounds of apply and revert in one process leave nothing behind. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeMajors } from "../../support/node-versions.ts";
import { startApplication, temporaryFolder } from "./application.ts";
import { buildFix, Patching } from "./patching.ts";

const settledRound = 10;
const heapGrowthBytesMax = 1024 * 1024;

const files = (word: string, limit: number) => ({
  "index.js": `const { clean } = require("./clean");
const limit = ${limit};
exports.limit = limit;
exports.say = function say(text) {
  return "${word} " + clean(text).slice(0, limit);
};
`,
  "clean.js": `const pattern = /[${word}]/g;
exports.clean = (text) => text.replace(pattern, "");
exports.Box = class Box {
  read() {
    return "${word}";
  }
};
`,
});

const program = `const { say } = require("sample"); const { Box } = require("sample/clean"); const box = new Box();
const inspector = require("node:inspector");
const countScripts = () => {
  const session = new inspector.Session(); session.connect();
  let count = 0; session.on("Debugger.scriptParsed", () => { count++; });
  session.post("Debugger.enable"); session.disconnect();
  return count;
};
const measure = () => {
  gc(); gc();
  return {
    heapBytes: process.memoryUsage().heapUsed,
    globals: Object.getOwnPropertyNames(globalThis).length,
    scripts: countScripts(),
    handles: process._getActiveHandles().length,
  };
};
answer(async (what) => (what === "measure" ? measure() : [say("old new text"), box.read()]));`;

interface Measured {
  readonly heapBytes: number;
  readonly globals: number;
  readonly scripts: number;
  readonly handles: number;
}

for (const major of nodeMajors) {
  const rounds = major === 26 ? 100 : 30;
  test(`${rounds} rounds (Node ${major})`, { timeout: 600_000 }, async (context) => {
    const fix = await buildFix(context, { before: files("old", 6), after: files("new", 7) });
    const folder = temporaryFolder(context);
    fix.install(folder);
    const application = await startApplication(context, folder, program, { major, flags: ["--expose-gc"] });
    const patching = new Patching(fix, application);
    const old = await application.ask();
    let settled: Measured | undefined;
    for (let round = 1; round <= rounds; round++) {
      await patching.apply();
      assert.deepEqual(await application.ask(), ["new old  tx", "new"], `round ${round}`);
      await patching.revert();
      assert.deepEqual(await application.ask(), old, `round ${round}`);
      if (round === settledRound) settled = (await application.ask("measure")) as Measured;
    }
    const end = (await application.ask("measure")) as Measured;
    assert.ok(settled);
    const grown = `from ${JSON.stringify(settled)} to ${JSON.stringify(end)}`;
    assert.ok(end.heapBytes - settled.heapBytes < heapGrowthBytesMax, grown);
    assert.equal(end.globals, settled.globals, grown);
    assert.ok(end.scripts <= settled.scripts + 5, grown);
    assert.ok(end.handles <= settled.handles + 2, grown);
    context.diagnostic(grown);
  });
}
