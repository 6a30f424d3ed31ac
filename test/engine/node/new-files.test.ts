/** Files that only the fixed version has, and packages that only it requires: none of them is on the disk of the patched process. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeMajors } from "../../support/node-versions.ts";
import { startApplication, temporaryFolder } from "./application.ts";
import { testChanges } from "./change.ts";
import { buildFix, Patching } from "./patching.ts";

const before = {
  "index.js": `exports.show = function show(text) {\n  return text;\n};\n`,
  "late.js": `exports.shout = function shout(text) {\n  return text.toUpperCase();\n};\n`,
};
const after = {
  "index.js": `const { clean } = require("./lib/clean");
exports.show = function show(text) {
  return clean(text);
};
`,
  "late.js": `const { clean } = require("./lib/clean");
exports.shout = function shout(text) {
  return clean(text).toUpperCase();
};
`,
  "lib/clean.js": `const { pattern } = require("./pattern");
exports.clean = (text) => text.replace(pattern, "_");
`,
  "lib/pattern.js": `exports.pattern = /[<>]/g;\n`,
};

testChanges([
  {
    name: "a package that only the fixed version requires, with an entry of another name and a dependency of its own",
    before: `exports.show = function show(text) {\n  return text;\n};\n`,
    after: {
      "index.js": `const clean = require("cleaner");
exports.show = function show(text) {
  return clean(text);
};
`,
      "node_modules/cleaner/package.json": `{ "name": "cleaner", "version": "1.0.0", "main": "./lib/main.js" }`,
      "node_modules/cleaner/lib/main.js": `const { pattern } = require("patterns");
const table = require("./table.json");
module.exports = (text) => text.replace(pattern, (found) => table[found]);
`,
      "node_modules/cleaner/lib/table.json": `{ "<": "(", ">": ")" }`,
      "node_modules/patterns/package.json": `{ "name": "patterns", "version": "1.0.0" }`,
      "node_modules/patterns/index.js": `exports.pattern = /[<>]/g;\n`,
    },
    application: `const { show } = require("sample"); answer(() => show("<b>"));`,
    old: "<b>",
    fixed: "(b)",
    everywhere: true,
  },
]);

for (const major of nodeMajors) {
  test(`a file that loads after the patch finds the new files too (Node ${major})`, async (context) => {
    const fix = await buildFix(context, { before, after });
    const folder = temporaryFolder(context);
    fix.install(folder);
    const application = await startApplication(
      context,
      folder,
      `const { show } = require("sample");
answer((late) => late ? require("sample/late").shout("<b>") : show("<b>"));`,
      { major },
    );
    await new Patching(fix, application).apply();
    assert.deepEqual([await application.ask(), await application.ask("late")], ["_b_", "_B_"]);
  });
}

test("an ES module that loads after the patch finds the new files too", async (context) => {
  const toModule = (files: Readonly<Record<string, string>>) =>
    Object.fromEntries(
      Object.entries(files).map(([path, text]) => [
        path,
        text
          .replace(/const (\{ \w+ \}) = require\("(.*?)"\)/g, 'import $1 from "$2.js"')
          .replace(/exports\.(\w+) = /g, "export const $1 = "),
      ]),
    );
  const fix = await buildFix(context, { before: toModule(before), after: toModule(after), type: "module" });
  const folder = temporaryFolder(context);
  fix.install(folder);
  const application = await startApplication(
    context,
    folder,
    `import { show } from "sample";
answer(async (late) => late ? (await import("sample/late.js")).shout("<b>") : show("<b>"));`,
    { isModule: true },
  );
  await new Patching(fix, application).apply();
  assert.deepEqual([await application.ask(), await application.ask("late")], ["_b_", "_B_"]);
});
