/** Checks for dset: both of its modes, over paths of every form. */
"use strict";
const { calls } = require("../checks.cjs");

const paths = [
  "a",
  "a.b",
  "a.b.c",
  "a.0",
  "a.0.b",
  "list.1",
  "list.x",
  "deep.er.est",
  "",
  ".",
  "a..b",
  ["a", "b"],
  ["a", 0, "x"],
  [0, 1],
  ["a.b"],
  "__proto__",
  "__proto__.polluted",
  "a.__proto__.polluted",
  ["__proto__", "polluted"],
  [["__proto__"], "polluted"],
  [["constructor"], ["prototype"], "polluted"],
  "constructor.prototype.polluted",
  "prototype.x",
  "toString.x",
  5,
  null,
];
const values = [1, null, undefined, { x: { y: 1 } }, [1, 2]];
const objects = [{}, { a: 1 }, { a: { b: { c: 1 } }, list: [1, { z: 2 }] }, { a: [{ b: 1 }], deep: null }];

module.exports = {
  keep: (dset, require) => ({ dset: dset.dset, merge: require("x-dset/merge").dset }),
  checks: ({ dset, merge }) => {
    const lists = paths.flatMap((path) =>
      values.slice(0, 3).flatMap((value) => objects.map((object) => [object, path, value])),
    );
    const on = (work) => (object, path, value) => {
      const copy = structuredClone(object);
      work(copy, path, value);
      return copy;
    };
    const merging = paths.flatMap((path) =>
      objects.slice(2).flatMap((object) => values.slice(3).map((value) => [object, path, value])),
    );
    return [...calls("dset", on(dset), lists), ...calls("merge", on(merge), merging)];
  },
};
