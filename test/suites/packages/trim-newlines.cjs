/** Checks for trim-newlines: an ES module whose default export carries two more functions. */
"use strict";
const { each, quick } = require("../checks.cjs");

const pieces = ["", "\n", "\r", "\r\n", "\n\n\n", " \n", "\n ", "\u2028"];
const middles = ["", "x", "x\ny", " \n x", "a\r\nb", "\u00a0"];
const texts = pieces.flatMap((start) =>
  middles.flatMap((middle) => pieces.slice(0, 5).map((end) => start + middle + end)),
);

module.exports = {
  keep: ({ default: trim }) => ({ trim, start: trim.start, end: trim.end }),
  checks: ({ trim, start, end }) => [
    ...Object.entries({ trim, start, end }).flatMap(([name, work]) => each(name, work, [...new Set(texts), null, 5])),
    ...each("through the default export", (text) => [trim.start(text), trim.end(text)], ["\nx\n", "", "\r\n"]),
    quick("trim of many newlines", () => trim(`a${"\n".repeat(60_000)}b`)),
    quick("end of many newlines", () => end(`a${"\n".repeat(60_000)}b`)),
  ],
};
