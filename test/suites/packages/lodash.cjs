/** Checks for lodash: the functions that its fix changes, and a broad choice of those around them. */
"use strict";
const { calls, each, grid, quick } = require("../checks.cjs");

const texts = [
  "",
  " ",
  "  a b  ",
  "\t\n a\u00a0\u2003",
  "\ufeffx\ufeff",
  "-_-abc-_-",
  "Foo Bar-bazQux",
  "ÀÉî",
  "👍🏽 ok",
  "&lt;a&amp;b&gt;",
  "<a & 'b'>",
];
const values = [
  0,
  -0,
  1.5,
  Number.NaN,
  "",
  " 12 ",
  "0b101",
  " 0o17",
  "0x1F",
  "-0x1",
  "1e3",
  "\n7\t",
  "12px",
  null,
  undefined,
  true,
  [],
  [3],
  {},
  { valueOf: () => 9 },
  10n,
  Symbol.iterator,
  Object("8"),
];
const templates = [
  ["hello <%= name %>!", { name: "x" }],
  ["<%- html %>", { html: "<b>&'\"</b>" }],
  ["<% for (const i of list) { %>[<%= i %>]<% } %>", { list: [1, 2, 3] }],
  ["${ name } and <%= name %>", { name: "es" }],
  ["<%= missing %>", {}],
  ["<%= a.b.c %>", { a: {} }],
  ["line\nline\r\n\u2028 'quote' \\ back", {}],
  ["<% throw new Error('inside') %>", {}],
  ["<% ( %>", {}],
];
const settings = [
  undefined,
  { variable: "data" },
  { variable: "obj" },
  { variable: "" },
  { variable: "a b" },
  { variable: "a=1" },
  { variable: "{a}" },
  { variable: "a){globalThis.reached=1};with(b" },
  { variable: "data/*x*/" },
  { interpolate: /{{([\s\S]+?)}}/g },
  { imports: { extra: 5 }, sourceURL: "x\ny" },
];
const lists = [
  [],
  [3, 1, 2],
  ["b", "a", null, undefined, Number.NaN],
  [{ n: 1 }, { n: 2, m: [4] }],
  [
    [1, 2],
    [3, [4]],
  ],
];
const paths = [
  "a",
  "a.b",
  "a[0].b",
  ["a", "0"],
  "__proto__.polluted",
  ["__proto__", "polluted"],
  "constructor.prototype.polluted",
  "",
  "a..b",
];

function textChecks({ template, trim, trimStart, trimEnd, rest }) {
  const render = (text, data, setting) => {
    const compiled = template(text, setting);
    const output = compiled(data);
    const reached = globalThis.reached;
    delete globalThis.reached;
    return [output, compiled.source, reached];
  };
  const {
    upperFirst,
    camelCase,
    kebabCase,
    snakeCase,
    startCase,
    deburr,
    words,
    capitalize,
    escape: toEntities,
  } = rest;
  const { unescape: fromEntities, pad, truncate, split } = rest;
  const cases = { upperFirst, camelCase, kebabCase, snakeCase, startCase, deburr, words, capitalize };
  const lengths = {
    pad: (text) => pad(text, 12, "ab"),
    truncate: (text) => truncate(text, { length: 4, separator: /\s+/ }),
    split: (text) => split(text, "", 3),
  };
  const rendered = templates.flatMap(([text, data]) => settings.map((setting) => [text, data, setting]));
  const trimmed = texts.flatMap((text) => [[text], [text, "-_a "], [text, "-", true], [text, ""]]);
  const lists = texts.map((text) => [text]);
  return [
    ...calls("template", render, rendered),
    ...grid({ trim, trimStart, trimEnd }, [...trimmed, [null], [undefined], [12]]),
    ...grid({ ...cases, toEntities, fromEntities, ...lengths }, lists),
    ["a value with its own text", () => template("<%= a %>")({ a: { toString: () => "own" } })],
    quick("trim of many spaces", () => trim(`a${" ".repeat(60_000)}b`)),
    quick("trimEnd of many spaces", () => trimEnd(`a${" ".repeat(60_000)}b`)),
  ];
}

function numberChecks({ toNumber, toInteger, parse, rest, mapped }) {
  const { toFinite, toLength, toSafeInteger, toString: toText } = rest;
  const plain = values.filter((value) => typeof value !== "symbol" && typeof value !== "bigint");
  const radixes = [
    ["10", 2],
    ["zz", 36],
    [" 08", 10],
    ["0x1f", 16],
    ["7", undefined],
  ];
  const numbers = { toNumber, toInteger, parse, toFinite, toLength, toSafeInteger, toText };
  return [
    ...Object.entries(numbers).flatMap(([name, work]) => each(name, work, values)),
    ...calls("parse", parse, radixes),
    ["a closure over toNumber", () => mapped(plain)],
    quick("toNumber of many spaces", () => toNumber(`1${" ".repeat(60_000)}1`)),
  ];
}

function collectionChecks({ rest, chained }) {
  const { sortBy, flattenDeep, uniq, groupBy, chunk, compact, keyBy, sumBy, orderBy, zip, without, cloneDeep } = rest;
  const { set, get, unset, update, has, merge, setWith, defaultsDeep } = rest;
  const on =
    (work, ...more) =>
    (path) => {
      const object = { a: [{ b: 1 }] };
      return [work(object, path, ...more), object];
    };
  const ofLists = {
    ...{ sortBy, flattenDeep, uniq, groupBy, chunk, compact, zip, without, cloneDeep },
    keyBy: (list) => keyBy(list, "n"),
    sumBy: (list) => sumBy(list, "n"),
    orderBy: (list) => orderBy(list, ["n"], ["desc"]),
  };
  const ofPaths = {
    set: on(set, 7),
    get: on(get, "none"),
    unset: on(unset),
    has: on(has),
    update: on(update, (value) => [value]),
    setWith: on(setWith, 1, Object),
  };
  return [
    ...Object.entries(ofLists).flatMap(([name, work]) => each(name, work, lists)),
    ...Object.entries(ofPaths).flatMap(([name, work]) => each(name, work, paths)),
    ...calls("merge", (text) => merge({ a: { b: 1 } }, JSON.parse(text)), sources),
    ...calls("defaultsDeep", (text) => defaultsDeep({ a: 1 }, JSON.parse(text)), sources),
    ["a chain that was begun before", () => chained.value()],
    ["the version that the library states", () => rest.VERSION],
  ];
}

const sources = ['{"a":{"c":2}}', '{"__proto__":{"polluted":1}}', '{"constructor":{"prototype":{"polluted":1}}}'];

module.exports = {
  keep: (lodash) => {
    const { template, trim, trimStart, trimEnd, toNumber, toInteger, parseInt: parse, ...rest } = lodash;
    const chained = lodash.chain(["  a ", " b"]).map(trim);
    const mapped = (list) => list.map((value) => toNumber(value));
    return { template, trim, trimStart, trimEnd, toNumber, toInteger, parse, rest, chained, mapped };
  },
  checks: (kept) => [...textChecks(kept), ...numberChecks(kept), ...collectionChecks(kept)],
};
