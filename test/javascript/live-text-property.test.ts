/** What holds for every pair of modules: the live text parses, and no function of the old text is lost or gained outside the exchanged ones. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { buildFunctionTree, descendants } from "../../src/javascript/function-tree.ts";
import { parseSource } from "../../src/javascript/syntax.ts";
import { fc } from "../support/properties.ts";
import { liveText } from "./versions.ts";

const names = ["alpha", "beta", "gamma"] as const;
const name = fc.constantFrom(...names);
const literal = fc.constantFrom("1", '"text"', "/x+/g", "[1, 2]", "{ a: 1 }", "null");
const body = fc.oneof(
  literal.map((value) => `return ${value};`),
  name.map((other) => `return typeof ${other} === "function" ? ${other}(value) : ${other};`),
  fc
    .tuple(name, literal)
    .map(([inner, value]) => `const ${inner} = ${value}; return [value].map((item) => [item, ${inner}]);`),
);
const declaration = fc.oneof(
  fc.tuple(name, body).map(([id, text]) => ({ id, text: `function ${id}(value) {\n  ${text}\n}` })),
  fc.tuple(name, body).map(([id, text]) => ({ id, text: `var ${id} = function (value) {\n  ${text}\n};` })),
  fc.tuple(name, literal).map(([id, value]) => ({ id, text: `var ${id} = ${value};` })),
  fc.tuple(name, literal).map(([id, value]) => ({ id, text: `const ${id} = (value) => [value, ${value}];` })),
  fc.tuple(name, body).map(([id, text]) => ({ id, text: `const ${id} = (value) => {\n  ${text}\n};` })),
  fc.tuple(name, body).map(([id, text]) => ({ id, text: `const ${id} = {\n  method(value) {\n    ${text}\n  },\n};` })),
  fc
    .tuple(name, body)
    .map(([id, text]) => ({ id, text: `const ${id} = {\n  method: function (value) {\n    ${text}\n  },\n};` })),
  fc
    .tuple(name, literal)
    .map(([id, value]) => ({ id, text: `const ${id} = {\n  method: (value) => [value, ${value}],\n};` })),
  fc.tuple(name, body).map(([id, text]) => ({ id, text: `class ${id} {\n  method(value) {\n    ${text}\n  }\n}` })),
);
const moduleText = fc
  .uniqueArray(declaration, { selector: ({ id }) => id, minLength: 1, maxLength: 3 })
  .map((list) => `${list.map(({ text, id }) => `${text}\nexports.${id} = ${id};`).join("\n")}\n`);

test("the live text parses, and every old function that is not exchanged stands in it as it stood", () => {
  fc.assert(
    fc.property(moduleText, moduleText, (before, after) => {
      const live = liveText(before, after);
      const tree = buildFunctionTree(parseSource("live.js", live.text, "commonjs"));
      const texts = new Set([...descendants(tree)].map(({ range }) => live.text.slice(range.start, range.end)));
      const old = [...descendants(buildFunctionTree(parseSource("old.js", before, "commonjs")))];
      const changed = live.functions.map((place) => place.before);
      for (const { range } of old) {
        const isTouched = changed.some(({ start, end }) => range.start < end && start < range.end);
        if (!isTouched) assert.ok(texts.has(before.slice(range.start, range.end)));
      }
      for (const { start, end } of live.functions) assert.ok(texts.has(live.text.slice(start, end)));
      if (live.delta) new Function("scopes", "imports", "define", live.delta.text);
    }),
    { numRuns: 300 },
  );
});

test("nothing is to be done from a text to itself, and the same pair gives the same text", () => {
  fc.assert(
    fc.property(moduleText, moduleText, (before, after) => {
      const same = liveText(before, before);
      assert.equal(same.text, before);
      assert.deepEqual([same.functions, same.delta, same.gaps], [[], undefined, []]);
      assert.deepEqual(liveText(before, after).text, liveText(before, after).text);
    }),
    { numRuns: 100 },
  );
});
