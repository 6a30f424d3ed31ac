/** Changes that no live process can be given: each is refused when the hotpatch is built, with the name of what is in the way. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Files } from "./application.ts";
import { buildFix, refusalsOf } from "./patching.ts";

interface Refused {
  readonly name: string;
  readonly before: Files;
  readonly after: Files;
  readonly esm?: boolean;
  readonly message: RegExp;
}

const rows: readonly Refused[] = [
  {
    name: "an exported regular expression that whoever loaded the module keeps",
    before: "module.exports = /^(a+)+$/;\n",
    after: "module.exports = /^a+$/;\n",
    message: /module\.exports/,
  },
  {
    name: "an exported table, exported as a whole by its name",
    before: "const table = { a: 1 };\ntable.list = [1];\nmodule.exports = Object.freeze(table);\n",
    after: "const table = { a: 2 };\ntable.list = [1];\nmodule.exports = Object.freeze(table);\n",
    message: /module\.exports|table/,
  },
  {
    name: "an exported constant of an ES module, which importers see at once",
    esm: true,
    before: "export const limit = 10;\nexport function fits(n) {\n  return n < limit;\n}\n",
    after: "export const limit = 5;\nexport function fits(n) {\n  return n < limit;\n}\n",
    message: /limit/,
  },
  {
    name: "the default export of an ES module",
    esm: true,
    before: "const limit = 10;\nexport default { limit };\nexport const size = () => limit;\n",
    after: "const limit = 5;\nexport default { limit };\nexport const size = () => limit;\n",
    message: /default/,
  },
  {
    name: "a variable that closures made before did not keep",
    before: "exports.make = function (a, b) {\n  return function inner() {\n    return a;\n  };\n};\n",
    after: "exports.make = function (a, b) {\n  return function inner() {\n    return a + b;\n  };\n};\n",
    message: /\bb\b/,
  },
  {
    name: "a field of a class that exists",
    before: "class Box {\n  limit = 10;\n  read() {\n    return this.limit;\n  }\n}\nexports.Box = Box;\n",
    after: "class Box {\n  limit = 5;\n  read() {\n    return this.limit;\n  }\n}\nexports.Box = Box;\n",
    message: /limit/,
  },
  {
    name: "a minified file",
    before: { "index.js": `exports.f=function(a){return a}${";exports.x=1".repeat(500)}\n` },
    after: { "index.js": `exports.f=function(a){return a+1}${";exports.x=1".repeat(500)}\n` },
    message: /minified/,
  },
  {
    name: "state that instances made before got from an old constructor",
    before: "exports.Store = class Store {\n  constructor() {\n    this.data = [1];\n  }\n};\n",
    after: "exports.Store = class Store {\n  constructor() {\n    this.data = new Map();\n  }\n};\n",
    message: /data/,
  },
];

for (const { name, before, after, esm, message } of rows) {
  test(name, { timeout: 120_000 }, async (context) => {
    const [refusal] = await refusalsOf(
      buildFix(context, { before, after, ...(esm ? { type: "module" as const } : {}) }),
    );
    assert.match(refusal?.code ?? "", /^build\//);
    assert.match(refusal?.message ?? "", message);
  });
}
