/** Which functions are out of reach once the call that made them has returned: of these, no live edit can leave one behind. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { analyseBindings } from "../../src/javascript/bindings.ts";
import { ClosureLifetime } from "../../src/javascript/closure-lifetime.ts";
import { buildFunctionTree, descendants } from "../../src/javascript/function-tree.ts";
import { parseSource } from "../../src/javascript/syntax.ts";

/** `inner` is the function asked about, inside `outer`. */
const rows: readonly { readonly what: string; readonly body: string; readonly ends: boolean }[] = [
  { what: "declared and called", body: "function inner(x) { return x; } return inner(1);", ends: true },
  { what: "calls itself", body: "function inner(x) { return x ? inner(x - 1) : 0; } return inner(3);", ends: true },
  { what: "held by a constant and called", body: "const inner = (x) => x; return inner(1);", ends: true },
  { what: "called by call", body: "function inner() {} inner.call(this);", ends: true },
  { what: "argument of forEach", body: "[1].forEach(function inner(x) { return x; });", ends: true },
  { what: "handed to forEach by name", body: "const inner = (x) => x; [1].forEach(inner);", ends: true },
  {
    what: "called from another that ends as well",
    body: "function inner() {} function other() { inner(); } other();",
    ends: true,
  },
  { what: "called from one that is returned", body: "function inner() {} return () => inner();", ends: false },
  { what: "returned", body: "function inner() {} return inner;", ends: false },
  { what: "put on an object", body: "function inner() {} return { inner };", ends: false },
  { what: "handed to a function", body: "function inner() {} setTimeout(inner, 5);", ends: false },
  { what: "handed to map, which an iterator calls later", body: "return xs.map(function inner(x) {});", ends: false },
  { what: "made an instance of", body: "function inner() {} return new inner();", ends: false },
  { what: "returns itself", body: "const f = function inner() { return inner; }; f();", ends: false },
  { what: "kept by a variable outside", body: "kept = function inner() {};", ends: false },
  { what: "a generator", body: "function* inner() {} inner();", ends: false },
  { what: "async", body: "async function inner() {} inner();", ends: false },
  { what: "beside eval", body: "function inner() {} inner(); eval(code);", ends: false },
  {
    what: "reached by arguments.callee",
    body: "function inner() { return arguments.callee; } return inner();",
    ends: false,
  },
  { what: "a declaration in a block", body: "{ function inner() {} inner(); } return inner;", ends: false },
];

for (const { what, body, ends } of rows) {
  test(`${what}: ${ends ? "ends with its maker" : "may live on"}`, () => {
    assert.equal(endsWithItsMaker(`let kept; exports.outer = function outer(xs, code) { ${body} };`), ends);
  });
}

test("the call of an async function or a generator lasts beyond its return", () => {
  for (const head of ["async function", "function*"])
    assert.equal(endsWithItsMaker(`${head} outer() { function inner() {} inner(); }`), false, head);
});

test("what a module made while it was loaded lives on", () => {
  assert.equal(endsWithItsMaker("function inner() {} inner();"), false);
});

function endsWithItsMaker(text: string): boolean {
  const source = parseSource("a.js", text, "commonjs");
  const root = buildFunctionTree(source);
  const lifetime = new ClosureLifetime(source, analyseBindings(source, root));
  const inner = [...descendants(root)].find(({ name, node }) =>
    [name, (node.id as { name?: string } | null)?.name].includes("inner"),
  );
  assert.ok(inner, text);
  return lifetime.endsWithItsMaker(inner);
}
