/** Checks for Handlebars: templates with data and options, templates that were compiled before, and what tries to break out. */
"use strict";
const { runInThisContext } = require("node:vm");
const { calls, each } = require("../checks.cjs");

class Person {
  constructor(name) {
    this.name = name;
  }
  get loud() {
    return this.name.toUpperCase();
  }
  greet() {
    return `I am ${this.name}`;
  }
}
const context = () => ({
  name: "Ann <b>&'\"",
  list: [1, { name: "in" }, null],
  nested: { a: { b: "deep" }, name: "nested" },
  empty: [],
  yes: true,
  call: () => "called",
  person: new Person("Bob"),
  map: { k1: "v1", k2: "v2" },
  "a b": "spaced",
  'q"uote': "quoted",
});
const templates = [
  "",
  "{{name}}",
  "{{{name}}}",
  "{{&name}}",
  "{{nested.a.b}}",
  "{{nested/a/b}}",
  "{{#if yes}}y{{else}}n{{/if}}",
  "{{#unless empty}}none{{/unless}}",
  "{{#each list}}[{{@index}}:{{this}}:{{name}}]{{/each}}",
  "{{#each map}}{{@key}}={{this}};{{/each}}",
  "{{#with nested}}{{name}}{{../name}}{{/with}}",
  "{{#nested}}{{name}}{{a.b}}{{list}}{{/nested}}",
  "{{#list}}{{name}}{{/list}}",
  "{{^empty}}inverse{{/empty}}",
  "{{call}}",
  "{{[a b]}}",
  "{{['q\"uote']}}",
  "{{'a/.b'}}",
  "{{lookup map 'k1'}}",
  "{{lookup list 1}}",
  "{{shout name}}",
  "{{shout (shout 'x') loud=true}}",
  "{{#wrap tag='p'}}in {{name}}{{/wrap}}",
  "{{> part}}",
  "{{> part name='given'}}",
  "{{#> none}}fallback{{/none}}",
  "{{missing}}",
  "{{missing.deeper}}",
  "{{missing 1}}",
  "{{> absent}}",
  "{{person.name}}",
  "{{person.loud}}",
  "{{person.greet}}",
  "{{constructor.name}}",
  "{{person.constructor.name}}",
  "{{lookup person 'constructor'}}",
  "{{__proto__}}",
  "{{#with person}}{{greet}}{{__defineGetter__}}{{/with}}",
  "{{name.length}}",
  "{{list.length}}",
  "{{#each list as |one at|}}{{at}}{{one}}{{/each}}",
  "{{!-- gone --}}x{{! gone }}",
  "a {{~name~}} b",
  "\\{{name}}",
  "{{{{raw}}}}{{name}}{{{{/raw}}}}",
  "{{#if",
  "{{/if}}",
  "{{#if yes}}",
  "{{name}",
  "{{log name}}",
  "{{@root.name}}",
  "{{@data}}",
  "{{'a/.\") || (globalThis.reached=1) || (\"'}}",
  "{{#nested}}{{'b/.\") || (globalThis.reached=1) || (\"'}}{{/nested}}",
  '{{#nested}}{{[q"uote]}}{{/nested}}',
  "{{#nested}}{{constructor}}{{__proto__.x}}{{/nested}}",
  "{{#*inline 'i'}}[{{name}}]{{/inline}}{{> i}}{{> i nested}}",
];
const options = [
  {},
  { compat: true },
  { strict: true },
  { assumeObjects: true },
  { noEscape: true },
  { knownHelpersOnly: true, knownHelpers: { shout: true } },
  { compat: true, strict: true },
  { preventIndent: true, data: false },
];
const runtimeOptions = [
  {},
  { allowProtoPropertiesByDefault: true },
  { allowProtoMethodsByDefault: true, allowProtoPropertiesByDefault: true },
  { allowedProtoMethods: { greet: true } },
];

function prepare(handlebars) {
  const own = handlebars.create();
  own.registerHelper("shout", (text, given) => `${text}!${given?.hash?.loud ? "!!" : ""}`);
  own.registerHelper("wrap", function (given) {
    return `<${given.hash.tag}>${given.fn(this)}</${given.hash.tag}>`;
  });
  own.registerHelper("raw", (given) => given.fn());
  own.registerPartial("part", "({{name}})");
  own.logger.level = 4;
  return own;
}

module.exports = {
  keep: (handlebars) => {
    const own = prepare(handlebars);
    const { compile, precompile, template, parse, Utils, SafeString } = own;
    const old = new Map(
      templates
        .slice(0, 12)
        .flatMap((text) =>
          options.slice(0, 3).map((option) => [`${text} ${JSON.stringify(option)}`, compile(text, option)]),
        ),
    );
    // One of them has run, and so has compiled itself; the others compile at their first call.
    old.get("{{name}} {}")(context());
    return { handlebars, compile, precompile, template, parse, Utils, SafeString, old };
  },
  checks: ({ handlebars, compile, precompile, template, parse, Utils, SafeString, old }) => {
    const reached = (result) => {
      const found = globalThis.reached;
      delete globalThis.reached;
      return found === undefined ? result : [result, "reached", found];
    };
    const guarded = (work) => {
      try {
        return reached(work());
      } catch (error) {
        return reached(`${error.name}: ${error.message}`);
      }
    };
    const render = (text, option, runtime) => guarded(() => compile(text, option)(context(), runtime));
    const fresh = prepare(handlebars);
    return [
      ...calls(
        "render",
        render,
        templates.flatMap((text) => options.map((option) => [text, option])),
      ),
      ...calls(
        "render with prototypes",
        (text, runtime) => render(text, { compat: true }, runtime),
        templates.slice(30, 38).flatMap((text) => runtimeOptions.map((runtime) => [text, runtime])),
      ),
      ...calls("render in a new environment", (text) => guarded(() => fresh.compile(text)(context())), templates),
      ...[...old].map(([name, compiled]) => [
        `a template from before: ${name}`,
        () => guarded(() => compiled(context())),
      ]),
      ...calls(
        "precompile",
        (text, option) => guarded(() => precompile(text, option)),
        templates.flatMap((text) => [
          [text, {}],
          [text, { compat: true }],
        ]),
      ),
      ...each(
        "precompiled and run",
        (text) => guarded(() => template(runInThisContext(`(${precompile(text, { compat: true })})`))(context())),
        templates.slice(0, 20),
      ),
      ...each("parse", (text) => guarded(() => parse(text).body), templates),
      ...each("escape", (text) => Utils.escapeExpression(text), [
        "<>&\"'`=",
        "",
        null,
        0,
        new SafeString("<b>"),
        { toHTML: () => "<i>" },
      ]),
      ...each("isEmpty", (value) => Utils.isEmpty(value), [[], 0, "", null, false, {}, [0]]),
      ["the version that the library states", () => [handlebars.VERSION, handlebars.COMPILER_REVISION]],
    ];
  },
};
