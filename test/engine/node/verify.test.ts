/** `verify` looks at what the process really does: whatever somebody else changed back is found and named. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { RebootlessError } from "../../../src/base/errors.ts";
import { startApplication, temporaryFolder } from "./application.ts";
import { buildFix, Patching, refusalsOf } from "./patching.ts";

const limits = { timeout: 300_000 };
const before = `exports.limits = { depth: 10 };
exports.say = function say(text) {
  return "old " + text;
};
exports.Box = class Box {
  read() {
    return 1;
  }
};
`;
const after = `exports.limits = { depth: 5 };
const prefix = "new ";
exports.say = function say(text) {
  return prefix + text;
};
exports.Box = class Box {
  read() {
    return this.safe();
  }
  safe() {
    return 2;
  }
};
`;

interface Tampering {
  readonly name: string;
  /** Runs in the application. */
  readonly code: string;
  readonly evidence: RegExp;
  /** What `revert` answers, when it does not just do its work. */
  readonly revert?: string;
}

const rows: readonly Tampering[] = [
  {
    name: "somebody edited the code back",
    code: `const session = new (require("node:inspector").Session)(); session.connect();
const scripts = []; session.on("Debugger.scriptParsed", ({ params }) => scripts.push(params));
session.post("Debugger.enable");
for (const { url, scriptId } of scripts.filter(({ url }) => url.endsWith("sample/index.js"))) session.post("Debugger.setScriptSource", { scriptId, scriptSource: source });
session.disconnect();`,
    evidence: /say/,
    revert: "target/conflicting-hotpatch",
  },
  { name: "somebody overwrote an exported value", code: `library.limits.depth = 99;`, evidence: /depth/ },
  {
    name: "somebody put an old value in the place of an exported object's",
    code: `Object.assign(library.limits, { depth: 10 });`,
    evidence: /depth/,
  },
  {
    name: "somebody removed a method that came with the hotpatch",
    code: `delete library.Box.prototype.safe;`,
    evidence: /safe/,
  },
  {
    name: "somebody removed the registry that new code goes through",
    code: `for (const key of Object.getOwnPropertyNames(globalThis)) if (key.startsWith("__rebootless_")) delete globalThis[key];`,
    evidence: /registry/,
  },
];

for (const { name, code, evidence, revert } of rows) {
  test(`${name}: broken`, limits, async (context) => {
    const fix = await buildFix(context, { before, after });
    const folder = temporaryFolder(context);
    fix.install(folder);
    const application = await startApplication(
      context,
      folder,
      `const library = require("sample"); const { say, Box } = library; const box = new Box();
const source = require("node:fs").readFileSync(require.resolve("sample"), "utf8");
answer((tamper) => { if (tamper) { ${code} return null; } return [say("x"), box.read(), library.limits.depth]; });`,
    );
    const patching = new Patching(fix, application);
    await patching.apply();
    assert.deepEqual(await application.ask(), ["new x", 2, 5]);
    assert.equal((await patching.verify()).state, "in-place");
    await application.ask(true);
    const verdict = await patching.verify();
    assert.equal(verdict.state, "broken");
    const bad = verdict.findings
      .filter(({ state }) => state === "broken")
      .map(({ subject, evidence: told }) => `${subject}: ${told}`);
    assert.match(bad.join("\n"), evidence);
    await assert.rejects(
      patching.apply(),
      (error) => error instanceof RebootlessError && error.code === "failure/verify",
    );
    if (revert !== undefined) {
      assert.equal((await refusalsOf(patching.revert()))[0]?.code, revert);
      return;
    }
    await patching.revert();
    assert.deepEqual(await application.ask(), ["old x", 1, 10]);
    await patching.apply();
    assert.deepEqual(await application.ask(), ["new x", 2, 5]);
    assert.equal((await patching.verify()).state, "in-place");
  });
}

test("another build of the same hotpatch is told from this one", limits, async (context) => {
  const fix = await buildFix(context, { before, after });
  const other = await buildFix(context, { before, after: after.replace('"new "', '"newer "') });
  const folder = temporaryFolder(context);
  fix.install(folder);
  const application = await startApplication(
    context,
    folder,
    `const { say } = require("sample"); answer(() => say("x"));`,
  );
  await new Patching(fix, application).apply();
  const wrong = new Patching(other, application);
  const verdict = await wrong.verify();
  assert.equal(verdict.state, "absent");
  assert.match(verdict.findings[0]?.evidence ?? "", /another build/);
  assert.equal((await refusalsOf(wrong.apply()))[0]?.code, "target/conflicting-hotpatch");
  assert.equal(await application.ask(), "new x");
});
