/** Checks for serialize-javascript: every type that it knows, with every option, evaluated again where that says more. */
"use strict";
const { runInThisContext } = require("node:vm");
const { each } = require("../checks.cjs");

const values = [
  1,
  "x",
  "</script><!--\u2028\u2029",
  null,
  undefined,
  Number.NaN,
  Infinity,
  -Infinity,
  true,
  10n,
  Object.assign([1, undefined], { 3: 4 }),
  { a: undefined, b: 1 },
  { "odd key": "</script>" },
  new Date(0),
  /a<\/script>+/gi,
  new Map([["k", { v: "<" }]]),
  new Set(["<", 2]),
  new URL("http://a.b/?<&>"),
  new URL("x:</script>"),
  new URL('x:"+alert(1)+"'),
  [new URL("x:<!--"), new URL("y:\u2028")],
  function named(a) {
    return a;
  },
  (a) => a + 1,
  async () => 1,
  function* () {
    yield 1;
  },
  {
    method() {
      return "<";
    },
  },
  { async method() {}, *generator() {} },
  { nested: [{ url: new URL("z:</x>"), set: new Set([new URL("w:<")]) }] },
  Object("boxed"),
  Symbol("s"),
  { toJSON: () => "json" },
  "@__F-0-0__@",
  "@__L-aaaa-0__@",
];
const options = {
  "": undefined,
  ", unsafe": { unsafe: true },
  ", isJSON": { isJSON: true },
  ", with spaces": { space: 2 },
  ", with functions ignored": { ignoreFunction: true },
  ", with spaces as a number": 4,
};

module.exports = {
  keep: (serialize) => ({ serialize }),
  checks: ({ serialize }) => [
    ...Object.entries(options).flatMap(([name, option]) =>
      each(`serialize${name}`, (value) => serialize(value, option), values),
    ),
    ...each(
      "evaluated again",
      (value) => runInThisContext(`(${serialize(value)})`),
      values.filter((value) => typeof value !== "function"),
    ),
  ],
};
