/** Checks for word-wrap: texts with each option and width. */
"use strict";
const { calls, quick } = require("../checks.cjs");

const texts = [
  "",
  " ",
  "short",
  "The quick brown fox jumped over the lazy dog and then sat down.",
  "a\nb\n\nc",
  "word  with   gaps",
  "averyveryveryverylongwordthatdoesnotfitatall x",
  "trailing   ",
  "\ttab\tbed ",
  "ünïcödé wörds här",
  "line\r\nline",
  "a ".repeat(40),
  "end. \n",
  "x\u00a0y\u00a0z",
  "   leading",
  null,
  undefined,
];
const options = [
  undefined,
  { width: 10 },
  { width: 1 },
  { width: 0 },
  { indent: "" },
  { indent: "> ", newline: "\n\n" },
  { trim: true },
  { trim: true, width: 12, indent: "  " },
  { cut: true, width: 7 },
  { escape: (line) => line.toUpperCase() },
  { cut: true, trim: true, width: 4 },
  { newline: "|" },
];

module.exports = {
  keep: (wrap) => ({ wrap }),
  checks: ({ wrap }) => [
    ...calls(
      "wrap",
      wrap,
      texts.flatMap((text) => options.map((option) => [text, option])),
    ),
    quick("trimming many spaces", () => wrap(`aa${" ".repeat(30_000)}\u00a0a`, { trim: true })),
  ],
};
