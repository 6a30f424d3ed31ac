/** Our own checks for object-path, beside the tests that it carries: every function on ordinary and hostile paths. */
"use strict";
const { grid } = require("../checks.cjs");

const fresh = () => ({ a: "b", list: [1, { two: 2 }], deep: { er: { x: null } }, "": 0, 5: "five" });
const paths = [
  "a",
  "a.length",
  "list.0",
  "list.1.two",
  "deep.er.x",
  "deep.new.one",
  ["list", 1, "two"],
  ["list", "7"],
  [],
  "",
  5,
  "__proto__",
  "__proto__.polluted",
  ["__proto__", "polluted"],
  [["__proto__"], "polluted"],
  "constructor.prototype.polluted",
  "list.__proto__.polluted",
  "toString",
];

module.exports = {
  keep: (objectPath) => {
    const { get, set, del, has, push, insert, empty, coalesce, ensureExists } = objectPath;
    const inherited = objectPath.withInheritedProps;
    return { own: { get, set, del, has, push, insert, empty, coalesce, ensureExists }, inherited, bind: objectPath };
  },
  checks: ({ own, inherited, bind }) => {
    const on =
      (work, ...more) =>
      (path) => {
        const object = fresh();
        return [work(object, path, ...more), object];
      };
    const functions = (prefix, { get, set, del, has, push, insert, empty, coalesce, ensureExists }) => ({
      [`${prefix}get`]: on(get, "default"),
      [`${prefix}set`]: on(set, 1),
      [`${prefix}set, not replacing`]: on(set, 1, true),
      [`${prefix}del`]: on(del),
      [`${prefix}has`]: on(has),
      [`${prefix}push`]: on(push, 1, 2),
      [`${prefix}insert`]: on(insert, "in", 1),
      [`${prefix}empty`]: on(empty),
      [`${prefix}ensureExists`]: on(ensureExists, "made"),
      [`${prefix}coalesce`]: on((object, path) => coalesce(object, [path, "deep.er"], 3)),
    });
    const bound = { "bound set": (path) => bind(fresh()).set(path, 1), "bound get": (path) => bind(fresh()).get(path) };
    const lists = paths.map((path) => [path]);
    return [...grid({ ...functions("", own), ...functions("inherited ", inherited), ...bound }, lists)];
  },
};
