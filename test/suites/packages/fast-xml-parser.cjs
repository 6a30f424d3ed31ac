/** Checks for fast-xml-parser: documents with every option, parsers that were made before, builders and the validator. */
"use strict";
const { calls, each } = require("../checks.cjs");

const documents = [
  "<a/>",
  "<a>1</a>",
  "<a><b>1</b><b>2</b></a>",
  "<a x=\"1\" y='two' z/>",
  "<a>text<b/>tail</a>",
  "<a><![CDATA[<raw>&]]></a>",
  "<?xml version='1.0'?><a/>",
  "<!-- c --><a><!-- d --></a>",
  "<a>&lt;&amp;&#65;&#x42;&copy;</a>",
  "<n:a xmlns:n='u'><n:b n:c='1'/></n:a>",
  "<a> padded </a>",
  "<a>0x1F</a>",
  "<a>007</a><a>1e3</a><a>true</a>",
  "<a/><b/>",
  "<a><b></a></b>",
  "<a",
  "",
  "text",
  "<a>ü👍🏽</a>",
  "<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>",
  "<__proto__><x>1</x></__proto__>",
  "<root><__proto__><polluted>1</polluted></__proto__></root>",
  '<root __proto__="1"><b __proto__="2">t</b></root>',
  "<root><constructor><prototype><polluted>1</polluted></prototype></constructor></root>",
  "<root><__proto__/>t<__proto__>2</__proto__></root>",
  "<root><a.__proto__>1</a.__proto__><toString>2</toString></root>",
  "<root><stop><x>not parsed</y></stop></root>",
  "<a b='1' b='2'/>",
  "<br>open<p>x</p>",
];
const options = {
  "": {},
  ", attributes": { ignoreAttributes: false },
  ", in order": { preserveOrder: true, ignoreAttributes: false },
  ", groups": { ignoreAttributes: false, attributesGroupName: "$", attributeNamePrefix: "" },
  ", attributes without prefix": { ignoreAttributes: false, attributeNamePrefix: "", allowBooleanAttributes: true },
  ", untouched": { parseTagValue: false, trimValues: false, processEntities: false },
  ", arrays": { isArray: () => true, alwaysCreateTextNode: true },
  ", cdata and comments": { cdataPropName: "cdata", commentPropName: "comment" },
  ", stop nodes": { stopNodes: ["root.stop", "*.pre"], unpairedTags: ["br"] },
  ", prefixes removed": {
    removeNSPrefix: true,
    ignoreAttributes: false,
    transformTagName: (name) => name.toLowerCase(),
    transformAttributeName: (name) => name.replace("x", "__proto__"),
  },
};
const objects = [
  { a: 1 },
  { a: [1, 2] },
  { a: { b: { c: "<&>" } } },
  { a: { "@_x": 1, "#text": "t" } },
  { a: null, b: undefined, c: "" },
  [],
  { a: [{ b: 1 }, { b: [2, 3] }] },
  JSON.parse('{"__proto__":{"a":1}}'),
  { a: new Date(0) },
];
const builderOptions = {
  "": {},
  ", attributes": { ignoreAttributes: false },
  ", formatted": { format: true, indentBy: " ", ignoreAttributes: false },
  ", empty nodes": { suppressEmptyNode: true },
};

module.exports = {
  keep: ({ XMLParser, XMLBuilder, XMLValidator }) => {
    const old = new Map(Object.entries(options).map(([name, option]) => [name, new XMLParser(option)]));
    old.get(", attributes").parse("<warm x='1'><up/></warm>");
    return { XMLParser, XMLBuilder, XMLValidator, old };
  },
  checks: ({ XMLParser, XMLBuilder, XMLValidator, old }) => {
    const withPrototypes = (parsed) => [
      parsed,
      parsed.root === undefined || typeof parsed.root !== "object"
        ? undefined
        : [Object.getPrototypeOf(parsed.root) === Object.prototype, parsed.root.polluted],
    ];
    return [
      ...[...old].flatMap(([name, parser]) =>
        each(`parse${name}`, (text) => withPrototypes(parser.parse(text)), documents),
      ),
      ...Object.entries(options).flatMap(([name, option]) =>
        each(
          `parse with a new parser${name}`,
          (text) => withPrototypes(new XMLParser(option).parse(text)),
          documents.slice(18, 26),
        ),
      ),
      ...Object.entries(builderOptions).flatMap(([name, option]) =>
        each(`build${name}`, (value) => new XMLBuilder(option).build(value), objects),
      ),
      ...each("validate", (text) => XMLValidator.validate(text), documents),
      ...each(
        "validate with boolean attributes",
        (text) => XMLValidator.validate(text, { allowBooleanAttributes: true }),
        documents,
      ),
      ...each("parse a buffer", (text) => new XMLParser().parse(Buffer.from(text)), documents.slice(0, 5)),
      ...each("parse and validate", (text) => new XMLParser().parse(text, true), documents),
      ...calls("parse wrong types", (value) => new XMLParser().parse(value), [null, 5, undefined]),
    ];
  },
};
