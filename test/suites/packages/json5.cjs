/** Checks for JSON5: documents by their pieces, revivers, replacers, and hostile keys. */
"use strict";
const { calls, each } = require("../checks.cjs");

const scalars = [
  "null",
  "true",
  "0",
  "-0",
  "+1.5",
  ".5",
  "5.",
  "0xDECAF",
  "1e-3",
  "Infinity",
  "-Infinity",
  "NaN",
  "'single'",
  '"double"',
  "'it\\'s'",
  '"\\u0041\\x42\\\n"',
  "'\u2028'",
  "01",
  "0x",
  "+",
  "'open",
  "tru",
  "undefined",
  "--1",
  "1__0",
];
const documents = [
  "",
  "// only a comment",
  "/* open",
  "[1,2,3,]",
  "[,]",
  "[1 2]",
  "{a:1,'b':2,\"c\":3,}",
  "{$_:1,\\u0061b:2,ünï:3}",
  "{a:1,a:2}",
  "{1:2}",
  "{a}",
  "{a:{b:[{c:[[]]}]}}",
  "{__proto__:{isAdmin:true}}",
  '{"__proto__":{"isAdmin":true},"x":1}',
  '{"a":{"__proto__":[1]}}',
  '[{"__proto__":null}]',
  '{"constructor":{"prototype":{"polluted":1}}}',
  '{"toString":1,"hasOwnProperty":2,"length":3}',
  '{"__proto__":1,"__proto__":{"twice":1}}',
  "1 // end",
  "1 2",
  "\ufeff[1]",
  "{a:/**/1/*\n*/}",
];
const values = [
  null,
  undefined,
  true,
  0,
  -0,
  1.5,
  Number.NaN,
  Infinity,
  "it's",
  'say "x"',
  "\u2028\0\b\f\n\r\t\v\x0f",
  [],
  [undefined, () => 1, Symbol("x")],
  {},
  { a: undefined, b: [1, { c: "d" }], "odd key": 1, $ok: 2 },
  new Date(0),
  Object("boxed"),
  new Map([[1, 2]]),
  { toJSON: () => "by toJSON" },
  { toJSON5: () => "by toJSON5" },
  JSON.parse('{"__proto__":1}'),
  10n,
];
const revivers = {
  "a reviver that keeps": (_key, value) => value,
  "a reviver that drops numbers": (_key, value) => (typeof value === "number" ? undefined : value),
  "a reviver that tells keys": (key, value) => (typeof value === "object" ? value : `${key}=${value}`),
};

module.exports = {
  keep: (json5) => ({ parse: json5.parse, stringify: json5.stringify, later: (text) => json5.parse(text) }),
  checks: ({ parse, stringify, later }) => {
    const roundTrip = (text) => parse(stringify(parse(text), null, 2));
    const everything = [...documents, ...scalars, ...scalars.map((scalar) => `{a:[${scalar},{b:${scalar}}]}`)];
    return [
      ...each("parse", parse, [...everything, null, 12, {}]),
      ...each("parse through the library object", later, documents),
      ...each("round trip", roundTrip, documents),
      ...Object.entries(revivers).flatMap(([name, reviver]) =>
        each(`parse with ${name}`, (text) => parse(text, reviver), documents),
      ),
      ...each("own keys", (text) => Reflect.ownKeys(parse(text)), documents.slice(10, 20)),
      ...each("isAdmin", (text) => parse(text).isAdmin, documents.slice(10, 20)),
      ...each("stringify", (value) => stringify(value), values),
      ...each("stringify with spaces", (value) => stringify(value, null, 2), values),
      ...calls("stringify", stringify, [
        [{ a: 1, b: { a: 2 } }, ["a"]],
        [{ a: 1 }, (_key, value) => (value === 1 ? [1] : value)],
        [{ a: [1] }, null, "--"],
        [{ a: 1 }, { space: 3, quote: "'" }],
        [["it's"], { quote: '"' }],
      ]),
      [
        "stringify in a circle",
        () => {
          const circle = {};
          circle.self = circle;
          return stringify(circle);
        },
      ],
    ];
  },
};
