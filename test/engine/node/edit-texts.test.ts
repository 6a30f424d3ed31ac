/** The texts that V8 is given on the way from the old code to the new one and back. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeMajors } from "../../support/node-versions.ts";
import { startApplication, temporaryFolder } from "./application.ts";
import { testChanges } from "./change.ts";
import { buildFix, Patching } from "./patching.ts";

const lines = (body: string): string => `"use strict";\nfunction outer(text) {\n${body}}\nmodule.exports = outer;\n`;

testChanges([
  {
    name: "two files whose new statements repeat lines of the old ones, with braces at the line's start",
    before: {
      "index.js": `const inner = require("./inner");
function check(text) {
if (text === "") {
return false;
}
return inner(text);
}
module.exports = check;
`,
      "inner.js": lines(`  return /^(a+|b)$/.test(text);\n`),
    },
    after: {
      "index.js": `const inner = require("./inner");
function check(text) {
if (text === "") {
return false;
}
if (text === "b") {
return false;
}
return inner(text);
}
module.exports = check;
`,
      "inner.js": lines(`  return /^(a{1,3}|b)$/.test(text);\n`),
    },
    application: `const check = require("sample"); answer(() => ["", "a", "aaaa", "b"].map((text) => check(text)));`,
    old: [false, true, true, true],
    fixed: [false, true, false, false],
    everywhere: true,
  },
]);

const count = 300;
const members = Array.from(
  { length: count },
  (_, index) => `  function f${index}() {\n    return base + ${index};\n  }`,
);
const library = (limit: number): string => `function library(base) {
${members.join("\n")}
  function fits(n) {
    return n < ${limit};
  }
  return { fits, all: [${members.map((_, index) => `f${index}`).join(", ")}] };
}
exports.library = library;
exports.first = library(0);
`;

for (const major of nodeMajors) {
  test(`a file with more marks than are worth setting keeps every closure alive (Node ${major})`, async (context) => {
    const fix = await buildFix(context, { before: library(10), after: library(5) });
    const folder = temporaryFolder(context);
    fix.install(folder);
    // Closures of one function that never ran are what V8 leaves in a bad state; so they run only after three edits.
    const application = await startApplication(
      context,
      folder,
      `const { library, first } = require("sample");
const made = [first, library(1000), library(2000)];
answer((step) => {
  if (step === "make") made.push(library(3000), library(4000));
  if (step === "run") return made.map(({ all }) => all.reduce((sum, f) => sum + f(), 0));
  return made.map(({ fits }) => fits(7));
});`,
      { major },
    );
    const patching = new Patching(fix, application);
    await patching.apply();
    assert.deepEqual(await application.ask(), [false, false, false]);
    await application.ask("make");
    await patching.revert();
    assert.deepEqual(await application.ask(), [true, true, true, true, true]);
    await patching.apply();
    const sum = (count * (count - 1)) / 2;
    assert.deepEqual(
      await application.ask("run"),
      [0, 1000, 2000, 3000, 4000].map((base) => base * count + sum),
    );
    await patching.revert();
    assert.deepEqual(await application.ask(), [true, true, true, true, true]);
  });
}
