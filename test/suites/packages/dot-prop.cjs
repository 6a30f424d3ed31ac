/** Checks for dot-prop: each function over ordinary, escaped and hostile paths. */
"use strict";
const { calls } = require("../checks.cjs");

const paths = [
  "a",
  "a.b",
  "a.b.c",
  "a.x.y",
  "list.0",
  "list.1.two",
  "esc\\.aped",
  "esc\\.aped.in",
  "a\\\\.b",
  "",
  ".",
  "a.",
  ".a",
  "a..b",
  "undefined",
  "nothing.x",
  "fn.prop",
  "__proto__",
  "__proto__.polluted",
  "a.__proto__.polluted",
  "constructor",
  "constructor.prototype.polluted",
  "a.constructor",
  "prototype.x",
  "\\__proto__.polluted",
  "toString",
  "a.toString",
  "length",
];
const fresh = () => ({
  a: { b: { c: 1 } },
  list: [1, { two: 2 }],
  "esc.aped": { in: "side" },
  nothing: null,
  fn: Object.assign(() => 1, { prop: 2 }),
  undefined: undefined,
});

module.exports = {
  keep: ({ get, set, has, delete: remove }) => ({ get, set, has, remove }),
  checks: ({ get, set, has, remove }) => {
    const on =
      (work, ...more) =>
      (path) => {
        const object = fresh();
        return [work(object, path, ...more), object];
      };
    return [
      ...calls("get", on(get), paths),
      ...calls("get with a default", on(get, "default"), paths),
      ...calls("set", on(set, "new"), paths),
      ...calls("set to an object", on(set, { deep: 1 }), paths),
      ...calls("has", on(has), paths),
      ...calls("delete", on(remove), paths),
      ...calls("get", get, [
        [null, "a"],
        ["text", "length"],
        [undefined, "a", 1],
        [{}, 5],
        [{ a: 1 }, null],
        [[1], "0"],
        [() => 1, "name"],
      ]),
      ...calls("set", set, [
        [null, "a", 1],
        [{}, 5, 1],
        ["text", "x", 1],
      ]),
    ];
  },
};
