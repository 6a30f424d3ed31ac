/** Checks for devalue: values there and back, and documents that nobody's stringify wrote. */
"use strict";
const { each } = require("../checks.cjs");

const values = [
  1,
  -0,
  Number.NaN,
  Infinity,
  -Infinity,
  "x",
  "</script>\u2028",
  true,
  null,
  undefined,
  10n,
  new Date(0),
  new Date(Number.NaN),
  /a+/gi,
  [1, undefined],
  Object.assign([1], { 2: 3 }),
  new Map([[1, { a: 2 }]]),
  new Set([1, "b"]),
  { a: { b: [1] } },
  Object.assign(Object.create(null), { n: 1 }),
  new Uint8Array([1, 2, 3]),
  new Float64Array([0.5]),
  new ArrayBuffer(2),
  Object("boxed"),
  Object(3),
  new URL("http://a.b/c?d"),
  { "odd key": 1, "": 2 },
  Symbol("s"),
  () => 1,
  new (class Own {})(),
  { [Symbol("s")]: 1 },
  JSON.parse('{"__proto__":1}'),
];
const documents = [
  "",
  "1",
  "-1",
  "-2",
  "-7",
  "[]",
  "[1]",
  '[{"a":1},2]',
  '[{"__proto__":1},[]]',
  '[{"__proto__":1},{"x":2},3]',
  '[{"a":1},{"__proto__":2},[]]',
  '["x"]',
  '[[1],"a"]',
  '[["Date",1],2]',
  '[["Date","1970-01-01T00:00:00.000Z"]]',
  '[["Set",1,2],"a","b"]',
  '[["Map",1,2],"k","v"]',
  '[["RegExp","a+","g"]]',
  '[["Object",1],5]',
  '[["BigInt","12"]]',
  '[["null","a",1],2]',
  '[["null","__proto__",1],{"x":2},3]',
  '[["Unknown",1],2]',
  '[["Uint8Array","AQID"]]',
  '[{"a":"0"},1]',
  '[{"a":"__proto__"}]',
  '[{"a":{"b":1}},2]',
  '[["a"],1]',
  "[[null]]",
  "[[true,1],2]",
  "[[1,-2,1],5]",
  "{}",
  '{"a":1}',
  '"x"',
  "null",
  "[[0]]",
  '[{"self":0}]',
];

class Vector {
  constructor(x, y) {
    this.x = x;
    this.y = y;
  }
}
const reducers = { Vector: (value) => value instanceof Vector && [value.x, value.y] };
const revivers = { Vector: ([x, y]) => new Vector(x, y) };

module.exports = {
  keep: ({ parse, stringify, uneval, unflatten }) => ({ parse, stringify, uneval, unflatten }),
  checks: ({ parse, stringify, uneval, unflatten }) => [
    ...each("stringify", (value) => stringify(value), values),
    ...each("uneval", (value) => uneval(value), values),
    ...each("there and back", (value) => parse(stringify(value)), values),
    ...each("parse", (text) => parse(text), documents),
    ...each("parse with revivers", (text) => parse(text, revivers), documents),
    ...each("unflatten", (text) => unflatten(JSON.parse(text)), documents.slice(1)),
    ...each("isAdmin", (text) => Object.getPrototypeOf(parse(text)) === Object.prototype, documents.slice(6, 11)),
    ["a class there and back", () => parse(stringify({ at: new Vector(1, 2) }, reducers), revivers)],
    [
      "a circle",
      () => {
        const circle = { list: [] };
        circle.list.push(circle);
        return parse(stringify(circle));
      },
    ],
    [
      "repetition",
      () => {
        const one = { a: 1 };
        return stringify([one, one, { one }]);
      },
    ],
    [
      "uneval of a circle",
      () => {
        const circle = {};
        circle.self = circle;
        return uneval(circle);
      },
    ],
  ],
};
