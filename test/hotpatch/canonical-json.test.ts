import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { canonicalJson, parseCanonicalJson } from "../../src/base/canonical-json.ts";
import { RebootlessError } from "../../src/base/errors.ts";
import { printable, printableJson, quoted } from "../../src/base/printable.ts";
import { fc } from "../support/properties.ts";

const bounds = { maxDepth: 20, maxElements: 10_000, maxStringBytes: 10_000 };

describe("canonical JSON", () => {
  test("writes the numbers, strings and literals of RFC 8785 §3.2.2", () => {
    // biome-ignore lint/correctness/noPrecisionLoss: the literal is the RFC's own
    const numbers = [333333333.33333329, 1e30, 4.5, 2e-3, 0.000000000000000000000000001];
    const value = { numbers, string: '\u20ac$\u000f\u000aA\'B"\\\\"/', literals: [null, true, false] };
    assert.equal(
      canonicalJson(value),
      '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
    );
  });

  test("sorts members by UTF-16 code units, as RFC 8785 §3.2.3 shows", () => {
    const value = { "\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\ud83d\ude00": 5, "\u0080": 6, "\u00f6": 7 };
    const order = Object.values(JSON.parse(canonicalJson(value).replace('"1":', '"one":')));
    assert.deepEqual(order, [2, 4, 6, 7, 1, 5, 3]);
  });

  test("comes back as the same value", () => {
    const value = fc.jsonValue({ maxDepth: 5 }).filter((candidate) => {
      const text = JSON.stringify(candidate);
      return !text.includes("__proto__") && !/\\ud[89a-f]/i.test(text);
    });
    fc.assert(
      fc.property(value, (expected) => {
        const bytes = Buffer.from(canonicalJson(expected));
        assert.deepEqual(parseCanonicalJson(bytes, bounds), JSON.parse(JSON.stringify(expected)));
      }),
    );
  });

  for (const [what, value] of [
    ["undefined", { a: undefined }],
    ["a number that is none", [Number.NaN]],
    ["a date", new Date(0)],
    ["a function", [() => 0]],
    ["a bigint", 1n],
    ["half a surrogate pair", "\ud800"],
    ["a gap in a list", new Array(1)],
  ] as const) {
    test(`does not write ${what}`, () => {
      assert.throws(
        () => canonicalJson(value),
        (error: unknown) => error instanceof RebootlessError && error.code === "bug/invariant",
      );
    });
  }

  test("does not write a circle", () => {
    const circle: unknown[] = [];
    circle.push(circle);
    assert.throws(() => canonicalJson(circle), RebootlessError);
  });

  test("takes a bracket in a string for what it is", () => {
    const text = canonicalJson({ a: '[[[[\\"{{{{' });
    assert.deepEqual(parseCanonicalJson(Buffer.from(text), { ...bounds, maxDepth: 1 }), JSON.parse(text));
  });
});

describe("text of strangers", () => {
  const hostile = "\u001b[2J\u009b31m\r\nevil\u202egnp.exe\u200b\u007f\u2028\ud800";

  test("cannot reach the terminal", () => {
    assert.equal(
      printable(hostile),
      "\\u{1b}[2J\\u{9b}31m\\u{d}\\u{a}evil\\u{202e}gnp.exe\\u{200b}\\u{7f}\\u{2028}\\u{d800}",
    );
    assert.equal(quoted("a\nb"), '"a\\u{a}b"');
    assert.equal(printable("Grüße, 世界 🙂"), "Grüße, 世界 🙂");
  });

  test("stays the same value in JSON that is safe to print", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: "binary" }), fc.constant(hostile), fc.constant("\u{e0041}")), (text) => {
        const safe = printableJson(JSON.stringify({ text }, null, 2));
        assert.deepEqual(JSON.parse(safe), { text });
        assert.doesNotMatch(safe.replaceAll("\n", ""), /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u);
      }),
    );
  });
});
