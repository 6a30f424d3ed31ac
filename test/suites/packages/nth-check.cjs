/** Checks for nth-check: formulas in every spelling, parsed, compiled and asked. */
"use strict";
const { each, quick } = require("../checks.cjs");

const formulas = [
  "even",
  "odd",
  "EVEN",
  " odd ",
  "n",
  "+n",
  "-n",
  "2n",
  "2n+1",
  "2n + 1",
  "2n- 3",
  "-2n+6",
  "+3n - 2",
  "0n+5",
  "5",
  "+5",
  "-5",
  "0",
  "n+0",
  "-n+3",
  "3N",
  "\t2n\n+\r1\f",
  "10n-1",
  "007n+08",
  "2n+",
  "2n++1",
  "n n",
  "",
  " ",
  "+",
  "-",
  "a",
  "2.5n",
  "1n 1",
  "+ 5",
  "- n",
  "+-2n",
  "2 n",
  "n5",
  "4n+0x1",
  "99999999999n+1",
  "2n +1 ",
  "-0n-0",
  "\u00a02n",
];

module.exports = {
  keep: (nthCheck) => ({
    check: nthCheck.default,
    parse: nthCheck.parse,
    compile: nthCheck.compile,
    old: nthCheck.default("2n+1"),
  }),
  checks: ({ check, parse, compile, old }) => {
    const asked = (test) => Array.from({ length: 14 }, (_, index) => Number(test(index))).join("");
    return [
      ...each("parse", parse, [...formulas, null, 5]),
      ...each("check", (formula) => asked(check(formula)), formulas),
      ...each("compile", (pair) => asked(compile(pair)), [
        [0, 0],
        [1, 0],
        [2, 1],
        [-1, 4],
        [0, 3],
        [3, -1],
        [-2, -2],
        [0, -1],
      ]),
      ["a check that was compiled before", () => asked(old)],
      quick("a formula of many spaces", () => parse(`+1n${" ".repeat(50_000)}.`)),
    ];
  },
};
