import assert from "node:assert/strict";
import { test } from "node:test";
import { keepLineNumbers, parseNormalDiff } from "../../../src/build/elf/line-numbers.ts";

test("lines behind an insertion keep their numbers", () => {
  const fixed = "a\nnew\nb\nc\n";
  assert.equal(keepLineNumbers(fixed, parseNormalDiff("1a2\n> new\n")), "a\nnew\n#line 2\nb\nc\n");
});

test("lines behind a removal keep theirs", () => {
  assert.equal(keepLineNumbers("a\nc\n", parseNormalDiff("2d1\n< b\n")), "a\n#line 3\nc\n");
});

test("a change that keeps the number of lines needs nothing", () => {
  assert.equal(keepLineNumbers("a\nB\nc\n", parseNormalDiff("2c2\n< b\n---\n> B\n")), "a\nB\nc\n");
});

test("after two changes that cancel out the numbers are right again", () => {
  const text = "new\na\nb\nd\n";
  // `new` was added before a, and c taken away before d.
  assert.equal(keepLineNumbers(text, parseNormalDiff("0a1\n> new\n3d3\n< c\n")), "new\n#line 1\na\nb\n#line 4\nd\n");
});

test("no directive goes into a comment, a call's parentheses or a continued line", () => {
  const text = "new\nf(1,\n 2);\n/* c\n*/ #define M \\\n x\ny\n";
  const numbered = keepLineNumbers(`/* open\n${text}`, [{ oldStart: 1, oldEnd: 1, newStart: 1, newEnd: 2 }]);
  assert.equal(numbered, "/* open\nnew\nf(1,\n 2);\n/* c\n*/ #define M \\\n x\n#line 7\ny\n");
});

test("a text that numbers its own lines stays as it is", () => {
  const text = '#line 4 "grammar.y"\nnew\nb\n';
  assert.equal(keepLineNumbers(text, parseNormalDiff("1a2\n> new\n")), text);
});
