/** What is done, besides the live edit, to values that were computed while the old version loaded. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { deltaOf, liveText } from "./versions.ts";

interface Row {
  readonly name: string;
  readonly before: string;
  readonly after: string;
  /** Statements that the delta must hold, each as it stands. */
  readonly delta?: readonly string[];
  /** What the gaps say, each as a pattern; none unless given. */
  readonly gaps?: readonly RegExp[];
}

const enumOf = (members: string): string =>
  `var Kind; (function (Kind) { ${members} })(Kind || (exports.Kind = Kind = {})); exports.f = function () { return Kind.A; };`;

const rows: readonly Row[] = [
  {
    name: "a changed constant and what was computed from it",
    before: `const base = { a: 1 }; const all = { ...base, b: 1 }; exports.f = () => all;`,
    after: `const base = { a: 2 }; const all = { ...base, b: 1 }; exports.f = () => all;`,
    delta: ["R.base = { a: 2 };", "R.all = { ...R.base, b: 1 };"],
  },
  {
    name: "a condition at load that is gone",
    before: `let allow = false; if (process.env.UNSAFE) allow = true; exports.f = () => allow;`,
    after: `let allow = false; exports.f = () => allow;`,
    delta: ["R.allow = false;"],
  },
  {
    name: "a write at load that is gone",
    before: `let depth = 5; depth = Infinity; exports.f = () => depth;`,
    after: `let depth = 5; exports.f = () => depth;`,
    delta: ["R.depth = 5;"],
  },
  {
    name: "one of several writes at load",
    before: `let n = 1; n = 2; n = 3; exports.f = () => n;`,
    after: `let n = 1; n = 2; n = 4; exports.f = () => n;`,
    delta: ["R.n = 1;", "(R.n = 2);", "(R.n = 4);"],
  },
  {
    name: "a guarded require that became an expression",
    before: `var path = { sep: "/" }; try { path = require("path"); } catch (e) {} exports.f = () => path.sep;`,
    after: `const path = (() => { try { return require("path"); } catch (e) {} })() || { sep: "/" }; exports.f = () => path.sep;`,
    delta: [`R.path = (() => { try { return (0, R.require)("path"); } catch (e) {} })() || { sep: "/" };`],
  },
  {
    name: "a setting that is gone from an object",
    before: `const options = { a: 1, unsafe: true }; exports.f = () => options.unsafe;`,
    after: `const options = { a: 1 }; exports.f = () => options.unsafe;`,
    delta: ["R.options = { a: 1 };"],
  },
  {
    name: "a setting that is another",
    before: `const options = { safe: false }; exports.f = () => options;`,
    after: `const options = { safe: true }; exports.f = () => options;`,
    delta: ["define(options, { safe: true }, true);"],
  },
  {
    name: "a member that an enumeration gained",
    before: enumOf(`Kind[Kind["A"] = 0] = "A";`),
    after: enumOf(`Kind[Kind["A"] = 0] = "A"; Kind[Kind["B"] = 1] = "B";`),
    delta: [`define(R.Kind$1, { [R.Kind$1["B"] = 1]: "B" }, true);`],
  },
  {
    name: "an exported table that a changed list fills",
    before: `var table = exports.table = {}; var list = ["a"]; for (var i = 0; i < list.length; i++) { table[list[i]] = 1; }`,
    after: `var table = exports.table = {}; var list = ["a", "b"]; for (var i = 0; i < list.length; i++) { table[list[i]] = 1; }`,
    delta: [
      "R.table = R.exports.table; define.keep(R.table);",
      "for (var i = 0; i < R.list.length; i++) { R.table[R.list[i]] = 1; };",
    ],
  },
  {
    name: "another superclass",
    before: `class A {} class B {} class C extends A {} exports.C = C;`,
    after: `class A {} class B {} class C extends B {} exports.C = C;`,
    gaps: [/extends another class/],
  },
  {
    name: "a changed field",
    before: `class A { limit = 1; m() { return this.limit; } } exports.A = A;`,
    after: `class A { limit = 2; m() { return this.limit; } } exports.A = A;`,
    gaps: [/cannot be given this member/],
  },
  {
    name: "module.exports made by a call",
    before: `module.exports = make(1); function make(n) { return () => n; }`,
    after: `module.exports = make(2); function make(n) { return () => n; }`,
    gaps: [/handed out/],
  },
];

for (const { name, before, after, delta = [], gaps = [] } of rows) {
  test(`${name}: the delta`, () => {
    const live = liveText(before, after);
    const text = deltaOf(live);
    for (const statement of delta) assert.ok(text.includes(statement), `${statement}\nis missing in\n${text}`);
    assert.equal(live.gaps.length, gaps.length, JSON.stringify(live.gaps));
    for (const [index, pattern] of gaps.entries()) assert.match(live.gaps[index]?.reason ?? "", pattern);
  });
}

test("a value can be computed anew although its own text is the same", () => {
  const text = `function make() { return [1]; } const table = make(); exports.table = table; exports.f = () => table;`;
  assert.match(
    deltaOf(liveText(text, text, { forced: ["table"] })),
    /R\.table = make\(\);|R\.table = \(0, R\.make\)\(\);/,
  );
});

test("an export can be computed anew, from where it is assigned last", () => {
  const text = `exports.keys = void 0; const source = require("./source"); exports.keys = Object.keys(source.table);`;
  const delta = deltaOf(liveText(text, text, { forced: ["exports.keys"] }));
  assert.match(delta, /define\(R\.exports, \{ keys: Object\.keys\(R\.source\.table\) \}, true\);/);
  assert.doesNotMatch(delta, /void 0/);
});
