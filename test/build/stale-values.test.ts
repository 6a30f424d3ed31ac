/** Which differences between two processes mean that a patched one would go on with a value of the old version. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { keptFunctions, type ListedVersions, staleValues, type ValueList } from "../../src/build/stale-values.ts";

type Entry = readonly [place: string, text: string, under?: string];

function list(...entries: readonly Entry[]): ValueList {
  return Object.fromEntries(
    entries.map(([place, text, under]) => [place, { text, open: true, ...(under === undefined ? {} : { under }) }]),
  );
}

/** The same before and after the patch unless told, and twice the same for the fixed version. */
function lists(before: ValueList, fixed: ValueList, patched = before, again = fixed): ListedVersions {
  return { before, patched, fixed, again };
}

const root: Entry = ["a.js", "an object"];

test("a variable with the old value is named, with what computes it", () => {
  const [stale, ...more] = staleValues(lists(list(["a.js~limit", "Infinity"]), list(["a.js~limit", "100"])));
  assert.deepEqual(stale, { path: "a.js", place: "limit", held: "Infinity", wanted: "100", source: "limit" });
  assert.deepEqual(more, []);
});

test("a value deep in an export is traced to the export", () => {
  const table: Entry = ["a.js.table", "an object", "a.js"];
  const [stale] = staleValues(
    lists(
      list(root, table, ["a.js.table.re", "/a/", "a.js.table"]),
      list(root, table, ["a.js.table.re", "/b/", "a.js.table"]),
    ),
  );
  assert.deepEqual([stale?.place, stale?.source], ["table.re", "exports.table"]);
});

test("what differs between two processes of the fixed version is chance", () => {
  const seed = (value: string): ValueList => list(["a.js~seed", value]);
  assert.deepEqual(staleValues(lists(seed("1"), seed("2"), seed("1"), seed("3"))), []);
});

test("a function is stale when it shows the old code, and not when it shows that of the live edit", () => {
  const before = list(["a.js~f", "function 111111111111"]);
  const fixed = list(["a.js~f", "function 222222222222"]);
  assert.equal(staleValues(lists(before, fixed))[0]?.source, undefined);
  assert.equal(staleValues(lists(before, fixed)).length, 1);
  assert.deepEqual(staleValues(lists(before, fixed, list(["a.js~f", "function 333333333333"]))), []);
});

test("a missing setting counts, a further export does not", () => {
  const options: Entry = ["a.js~options", "an object"];
  assert.equal(
    staleValues(lists(list(options), list(options, ["a.js~options.depth", "32", "a.js~options"]))).length,
    1,
  );
  assert.deepEqual(staleValues(lists(list(root), list(root, ["a.js.extra", "function 111111111111", "a.js"]))), []);
});

test("a setting that the fixed version took away counts, an export that it took away does not", () => {
  const options: Entry = ["a.js~options", "an object"];
  const unsafe: Entry = ["a.js~options.unsafe", "true", "a.js~options"];
  assert.equal(staleValues(lists(list(options, unsafe), list(options)))[0]?.wanted, "nothing");
  assert.deepEqual(staleValues(lists(list(root, ["a.js.old", "1", "a.js"]), list(root))), []);
});

test("the same keys in another order are the same", () => {
  const keys = (...values: readonly string[]): ValueList =>
    list(
      root,
      ["a.js.keys", `an array of ${values.length}`, "a.js"],
      ...values.map((value, index): Entry => [`a.js.keys.${index}`, `"${value}"`, "a.js.keys"]),
    );
  assert.deepEqual(staleValues(lists(keys("a", "b"), keys("a", "c", "b"), keys("a", "b", "c"))), []);
  assert.notDeepEqual(staleValues(lists(keys("a", "b"), keys("a", "c"), keys("a", "b"))), []);
});

test("an exported function that was replaced is kept by whoever took it", () => {
  assert.deepEqual(
    keptFunctions(["lib/a.js.parse"]).map(({ path, place, source }) => [path, place, source]),
    [["lib/a.js", "parse", undefined]],
  );
});
