/** Our own checks for minimist, beside the tests that it carries: keys that reach for prototypes, through every option. */
"use strict";
const { calls } = require("../checks.cjs");

const lines = [
  "",
  "a b c",
  "-a -b --cd e -- f --g",
  "--n=1 --n=2 --n 0x1f --n 1e3 --n=-5 -1",
  "--no-color --color --a.b 1 --a.c 2 --a.b.d 3",
  "-abc -x5 -x=6 -xyz 7 -n-1",
  "--__proto__.polluted yes",
  "--x.__proto__.polluted yes",
  "--constructor.prototype.polluted yes",
  "--x.constructor.prototype.polluted yes",
  "--_.constructor.constructor.prototype.polluted yes",
  "--_.concat.constructor.prototype.polluted yes",
  "--__proto__ 1 --prototype 2 --constructor 3 --toString 4",
  "--x 5 --x.__proto__.polluted 1 --x abc --x.y 2",
  "--a.prototype.b 1 --a.hasOwnProperty 2 --valueOf.call 3",
];

const options = [
  {},
  { string: ["n", "x", "_"] },
  { boolean: ["a", "color", "x"] },
  { boolean: true },
  { alias: { a: ["alpha", "first"], x: "constructor" } },
  { default: { n: 7, "a.b": 8, fresh: [] } },
  { stopEarly: true },
  { "--": true },
];

module.exports = {
  keep: (minimist) => ({ parse: minimist }),
  checks: ({ parse }) => {
    const work = (line, option) => parse(line.split(" ").filter(Boolean), option);
    return calls(
      "parse",
      work,
      lines.flatMap((line) => options.map((option) => [line, option])),
    );
  },
};
