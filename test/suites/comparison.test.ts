/** Outcomes are compared exactly: what an application could see must differ in the text, and what it cannot see must not. */
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import { differences, unexplained } from "./comparison.ts";

const require = createRequire(import.meta.url);
const { serialise } = require("./serialise.cjs") as { serialise: (value: unknown) => string };
const { carryOut } = require("./checks.cjs") as {
  carryOut: (checks: [string, () => unknown][]) => Promise<{ name: string; outcome: string }[]>;
};

class Own {
  value = 1;
}

/** Each pair looks alike to a careless comparison. */
const pairs: [string, unknown, unknown][] = [
  ["0 and -0", 0, -0],
  ["a number and its text", 1, "1"],
  ["undefined and null", undefined, null],
  ["undefined and no member", { a: undefined }, {}],
  ["a hole and undefined", new Array(1), [undefined]],
  ["the order of members", { a: 1, b: 2 }, { b: 2, a: 1 }],
  ["a class and a plain object", new Own(), { value: 1 }],
  ["no prototype", Object.create(null), {}],
  ["an own __proto__ member", JSON.parse('{"__proto__":{}}'), {}],
  ["another prototype", Object.create({ isAdmin: true }), Object.create({})],
  ["errors by their message", new Error("a"), new Error("b")],
  ["errors by their name", new Error("a"), new TypeError("a")],
  ["errors by their members", Object.assign(new Error("a"), { code: 1 }), new Error("a")],
  ["functions by their length", (a: unknown) => a, () => undefined],
  ["bytes", Buffer.from("a"), Buffer.from("b")],
  ["a set and an array", new Set([1]), [1]],
  ["a date and its text", new Date(0), new Date(0).toISOString()],
  ["the place of a regular expression", /a/g, Object.assign(/a/g, { lastIndex: 1 })],
  ["sharing", ((one) => [one, one])({}), [{}, {}]],
  ["the end of a long text", `${"x".repeat(5000)}a`, `${"x".repeat(5000)}b`],
];

for (const [name, one, other] of pairs) {
  test(`an outcome tells apart: ${name}`, () => assert.notEqual(serialise(one), serialise(other)));
}

test("values made twice have the same outcome, whatever they hold", () => {
  const make = () => {
    const circle: Record<string, unknown> = {
      list: new Array(3),
      map: new Map([["k", new Own()]]),
      error: new Error("e"),
    };
    circle.self = circle;
    return circle;
  };
  assert.equal(serialise(make()), serialise(make()));
});

test("a check that throws, answers later or pollutes a prototype has an outcome", async () => {
  const results = await carryOut([
    ["throws", () => assert.fail("no")],
    ["answers later", () => Promise.resolve(5)],
    ["rejects", () => Promise.reject(new TypeError("later"))],
    ["pollutes", () => Object.assign(Object.prototype, { polluted: 1 }) && 1],
    ["answers later", () => ({}) as { polluted?: number }],
  ]);
  const [thrown, later, rejected, polluting, clean] = results.map(({ outcome }) => outcome);
  assert.match(thrown ?? "", /^throws <AssertionError/);
  assert.equal(later, "gives 5");
  assert.equal(rejected, "throws <TypeError: later>");
  assert.equal(polluting, "gives 1, and leaves Object.prototype.polluted");
  assert.equal(clean, "gives {}");
  assert.deepEqual(
    results.map(({ name }) => name),
    ["throws", "answers later", "rejects", "pollutes", "answers later #2"],
  );
});

test("a differing, a missing and an added check are differences, explained or not", () => {
  const expected = ["same", "version", "other", "missing"].map((name) => ({ name, outcome: "gives 1" }));
  const actual = [
    { name: "same", outcome: "gives 1" },
    { name: "version", outcome: "gives 2" },
    { name: "other", outcome: "gives 2" },
    { name: "added", outcome: "gives 1" },
  ];
  const found = differences(expected, actual, [{ check: /^version$/, reason: "it names the file on disk" }]);
  assert.deepEqual(
    found.map(({ name, reason }) => [name, reason]),
    [
      ["version", "it names the file on disk"],
      ["other", undefined],
      ["missing", undefined],
      ["added", undefined],
    ],
  );
  assert.deepEqual(
    unexplained(found).map(({ name }) => name),
    ["other", "missing", "added"],
  );
});
