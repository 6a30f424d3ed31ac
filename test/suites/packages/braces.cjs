/** Checks for braces: patterns with each option, and each of its inner functions. */
"use strict";
const { calls, each } = require("../checks.cjs");

const patterns = [
  "",
  "a",
  "{a,b}",
  "x{a,b}y",
  "{a,b}{c,d}",
  "{a,{b,c},d}",
  "{1..3}",
  "{1..10..3}",
  "{01..03}",
  "{-2..2}",
  "{a..e}",
  "{a..e..2}",
  "{e..a}",
  "{1..a}",
  "{}",
  "{,}",
  "{a,}",
  "{,a}",
  "{a",
  "a}",
  "{a,b",
  "\\{a,b\\}",
  "{a\\,b,c}",
  '"{a,b}"',
  "'{a,b}'{c,d}",
  "`{a,b}`",
  "[{a,b}]",
  "[a-c]{x,y}",
  "({a,b})",
  "{a|b,c}",
  "${a}{b,c}",
  "a{b}c",
  "{{a,b},{c,d}}",
  "{a,b}{1..2}.js",
  "{1..2000}",
  "**/*.{js,ts}",
  "!{a,b}",
  "{a..}",
  "{..a}",
  "{1...3}",
  "{1..3..0}",
  "{0..5..-2}",
  "$a{b,c}",
  "{a,$b}",
  "x{{a,b}}y",
  "{ a , b }",
  "ü{ö,ä}",
  "{a,b}\\",
  "{\\x,b}",
];
const options = [
  undefined,
  { expand: true },
  { expand: true, nodupes: true },
  { quantifiers: true },
  { keepEscaping: true, expand: true },
  { keepQuotes: true },
  { escapeInvalid: true },
  { rangeLimit: 5, expand: true },
  { nounescape: true },
  { noempty: true, expand: true },
];

module.exports = {
  keep: (braces) => {
    const { parse, stringify, compile, expand, create } = braces;
    return { braces, parse, stringify, compile, expand, create };
  },
  checks: ({ braces, parse, stringify, compile, expand, create }) => [
    ...calls(
      "braces",
      braces,
      patterns.flatMap((pattern) => options.map((option) => [pattern, option])),
    ),
    ...each("parse", (pattern) => flatten(parse(pattern)), patterns),
    ...each("stringify", (pattern) => stringify(parse(pattern)), patterns),
    ...each("compile", (pattern) => compile(pattern), patterns),
    ...each("expand", (pattern) => expand(pattern), patterns),
    ...each("create", (pattern) => create(pattern, { expand: true }), patterns),
    ...each("a list", (list) => braces(list), [["{a,b}", "{c,d}"], ["x", "x"], [], [""]]),
    ...each(
      "a long pattern",
      (length) => braces("a".repeat(length)).length,
      [1, 9_999, 10_000, 10_001, 20_000, 65_536, 65_537],
    ),
    ...each("a long pattern with a limit", (maxLength) => braces("a".repeat(12_000), { maxLength }).length, [
      5,
      11_999,
      12_000,
      50_000,
      "x",
    ]),
    ...each("wrong types", (value) => parse(value), [null, undefined, 5, {}]),
  ],
};

/** Nodes point at their parents and neighbours; what counts is the tree. */
function flatten({ type, value, nodes, invalid, dollar, commas, ranges }) {
  return { type, value, invalid, dollar, commas, ranges, nodes: nodes?.map(flatten) };
}
