/** Closures that a changed function handed out before the patch, and what they would go on doing. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { liveText } from "./versions.ts";

interface Row {
  readonly name: string;
  readonly before: string;
  readonly after: string;
  readonly gap?: RegExp;
}

const factory = (body: string): string => `exports.make = function make(options) { ${body} };`;

const rows: readonly Row[] = [
  {
    name: "a returned closure whose limit was computed otherwise",
    before: factory("const limit = options.limit || Infinity; return function (text) { return text.length < limit; };"),
    after: factory("const limit = options.limit || 100; return function (text) { return text.length < limit; };"),
    gap: /keep their limit/,
  },
  {
    name: "the same by way of another variable",
    before: factory("const d = Infinity; const limit = options.limit || d; return (text) => text.length < limit;"),
    after: factory("const d = 100; const limit = options.limit || d; return (text) => text.length < limit;"),
    gap: /keep their limit/,
  },
  {
    name: "a returned closure that needs a variable that there was not",
    before: factory("return function (text) { return text; };"),
    after: factory("const depth = options.depth || 32; return function (text) { return cut(text, depth); };"),
    gap: /have no depth/,
  },
  {
    name: "a method put on an object",
    before: factory("const re = /a/; this.check = function (text) { return re.test(text); };"),
    after: factory("const re = /b/; this.check = function (text) { return re.test(text); };"),
    gap: /keep their re/,
  },
  {
    name: "a returned object of functions",
    before: factory("const re = /a/; return { check: (text) => re.test(text) };"),
    after: factory("const re = /b/; return { check: (text) => re.test(text) };"),
    gap: /keep their re/,
  },
  {
    name: "a returned closure that changes itself alone",
    before: factory("const limit = 5; return function (text) { return text.length < limit; };"),
    after: factory("const limit = 5; return function (text) { return text.length <= limit; };"),
  },
  {
    name: "a helper that ends with its call",
    before: factory("const re = /a/; function check(text) { return re.test(text); } return check(options);"),
    after: factory("const re = /b/; function check(text) { return re.test(text); } return check(options);"),
  },
  {
    name: "a callback of an operation that comes to its end",
    before: factory("const re = /a/; return options.items.map((text) => re.test(text));"),
    after: factory("const re = /b/; return options.items.map((text) => re.test(text));"),
  },
  {
    name: "a handler of an event of one operation",
    before: factory("const request = open(); request.onload = function () { done(1); };"),
    after: factory("const request = open(); const kind = 2; request.onload = function () { done(kind); };"),
  },
];

for (const { name, before, after, gap } of rows) {
  test(`${name}: ${gap === undefined ? "nothing stays behind" : "a gap"}`, () => {
    const reasons = liveText(before, after).gaps.map(({ reason }) => reason);
    if (gap === undefined) assert.deepEqual(reasons, []);
    else assert.match(reasons.join("\n"), gap);
  });
}
