/** Changes of what a module computed when it was loaded: constants, tables, expressions, helpers, exports. */
import { type Change, testChanges } from "./change.ts";

const changes: readonly Change[] = [
  {
    name: "new helper functions and constants at module level, and a module that was not required before",
    before: `exports.check = function check(text) {
  return text.length < 100;
};
`,
    after: `const path = require("node:path");
const limit = 5;
const pattern = /^[a-z]+$/;
const table = { a: 1 };
function short(text) {
  return text.length < limit && Object.hasOwn(table, text[0]);
}
class Rule {
  test(text) {
    return pattern.test(text);
  }
}
const rule = new Rule();
exports.check = function check(text) {
  return short(text) && rule.test(text) && path.basename(text) === text;
};
`,
    application: `const { check } = require("sample"); answer(() => ["abc", "abcdef", "bcd", "aB"].map((text) => check(text)));`,
    old: [true, true, true, true],
    fixed: [true, false, false, false],
    everywhere: true,
  },
  {
    name: "require, module and __dirname in a file that used none of them in a function",
    before: `exports.where = function where() {
  return "nowhere";
};
`,
    after: `exports.where = function where() {
  const path = require("node:path");
  return [path.basename(__dirname), path.basename(__filename), typeof module.exports.where];
};
`,
    application: `const { where } = require("sample"); answer(() => where());`,
    old: "nowhere",
    fixed: ["sample", "index.js", "function"],
    everywhere: true,
  },
  {
    name: "helpers and constants at the level of an immediately called function",
    before: `(function () {
  "use strict";
  var limit = 3;
  function clean(text) {
    return text;
  }
  function parse(text) {
    return clean(text).slice(0, limit);
  }
  exports.parse = parse;
})();
`,
    after: `(function () {
  "use strict";
  var limit = 4;
  var unsafe = /[<>]/g;
  function escape(text) {
    return text.replace(unsafe, "_");
  }
  function clean(text) {
    return escape(text);
  }
  function parse(text) {
    return clean(text).slice(0, limit);
  }
  exports.parse = parse;
})();
`,
    application: `const { parse } = require("sample"); answer(() => parse("<b>bold"));`,
    old: "<b>",
    fixed: "_b_b",
    everywhere: true,
  },
  {
    name: "a variable that is assigned twice while the module loads, and that nothing reads any more",
    before: `var path = { sep: "/" };
try {
  path = require("path");
} catch (error) {}
exports.join = function join(list) {
  return list.join(path.sep);
};
exports.same = function same(text) {
  return text;
};
`,
    after: `var path = (() => {
  try {
    return require("path");
  } catch (error) {}
})() || { sep: "/" };
exports.join = function join(list) {
  return list.filter(Boolean).join(path.sep);
};
exports.same = function same(text) {
  return text;
};
`,
    application: `const { join, same } = require("sample"); answer(() => same(join(["a", "", "b"])));`,
    old: "a//b",
    fixed: "a/b",
    everywhere: true,
  },
  {
    name: "helpers that a compiler wrote and that run only while the module loads",
    before: `function _each(target, props) { for (var i = 0; i < props.length; i++) { target[props[i].key] = props[i].value; } } function _make(Constructor, props) { if (props) _each(Constructor.prototype, props); return Constructor; }
var Reader = _make(function Reader() {}, [{ key: "read", value: function read(text) { return text; } }]);
exports.Reader = Reader;
`,
    after: `function _each(target, props) { for (var i = 0; i < props.length; i++) { Object.defineProperty(target, _key(props[i].key), { value: props[i].value, writable: true }); } } function _make(Constructor, props) { if (props) _each(Constructor.prototype, props); Object.defineProperty(Constructor, "prototype", { writable: false }); return Constructor; } function _key(key) { return typeof key === "symbol" ? key : String(key); }
var Reader = _make(function Reader() {}, [{ key: "read", value: function read(text) { return text.trim(); } }]);
exports.Reader = Reader;
`,
    application: `const { Reader } = require("sample"); const reader = new Reader(); answer(() => reader.read(" x "));`,
    old: " x ",
    fixed: "x",
  },
  {
    name: "a module in the UMD pattern",
    before: `(function (root, factory) {
  if (typeof module === "object" && module.exports) module.exports = factory();
  else root.sample = factory();
})(this, function () {
  "use strict";
  var depth = 1;
  function merge(target, source) {
    for (var key in source) target[key] = source[key];
    return target;
  }
  return { merge: merge, depth: function () { return depth; } };
});
`,
    after: `(function (root, factory) {
  if (typeof module === "object" && module.exports) module.exports = factory();
  else root.sample = factory();
})(this, function () {
  "use strict";
  var depth = 2;
  var blocked = ["__proto__", "constructor"];
  function safe(key) {
    return blocked.indexOf(key) < 0;
  }
  function merge(target, source) {
    for (var key in source) if (safe(key)) target[key] = source[key];
    return target;
  }
  return { merge: merge, depth: function () { return depth; } };
});
`,
    application: `const { merge, depth } = require("sample"); answer(() => [Object.keys(merge({}, { a: 1, constructor: 2 })), depth()]);`,
    old: [["a", "constructor"], 1],
    fixed: [["a"], 2],
    everywhere: true,
  },
  {
    name: "regular expressions, tables and limits that closures captured",
    before: `const pattern = /^(a+)+$/;
const names = ["one", "two"];
const entities = { "<": "&lt;" };
const seen = new Map([["x", 1]]);
const limit = 10;
function matches(text) {
  return pattern.test(text);
}
exports.matches = matches;
exports.has = (name) => names.includes(name);
exports.escape = (text) => text.replace(/[<>"]/g, (character) => entities[character] || character);
exports.count = function () { return seen.size; };
exports.maker = function () {
  return function over(n) {
    return n > limit;
  };
};
`,
    after: `const pattern = /^a+$/i;
const names = ["one", "two", "three"];
const entities = { "<": "&lt;", ">": "&gt;" };
const seen = new Map([["x", 1], ["y", 2]]);
const limit = 5;
function matches(text) {
  return pattern.test(text);
}
exports.matches = matches;
exports.has = (name) => names.includes(name);
exports.escape = (text) => text.replace(/[<>"]/g, (character) => entities[character] || character);
exports.count = function () { return seen.size; };
exports.maker = function () {
  return function over(n) {
    return n > limit;
  };
};
`,
    application: `const { matches, has, escape, count, maker } = require("sample");
const over = maker();
answer(() => [matches("aA"), has("three"), escape("<>"), count(), over(7), maker()(7)]);`,
    old: [false, false, "&lt;>", 1, false, false],
    fixed: [true, true, "&lt;&gt;", 2, true, true],
    everywhere: true,
  },
  {
    name: "an exported constant that another file destructures, and one that it reads from the exports",
    before: {
      "constants.js": `const MAX = 10;\nconst names = ["a"];\nmodule.exports = { MAX, names, pattern: /a/ };\n`,
      "index.js": `const { MAX, pattern } = require("./constants");
const constants = require("./constants");
exports.fits = (n) => n <= MAX;
exports.test = function (text) {
  return pattern.test(text) && constants.names.includes(text);
};
`,
    },
    after: {
      "constants.js": `const MAX = 5;\nconst names = ["a", "ab"];\nmodule.exports = { MAX, names, pattern: /b/ };\n`,
      "index.js": `const { MAX, pattern } = require("./constants");
const constants = require("./constants");
exports.fits = (n) => n <= MAX;
exports.test = function (text) {
  return pattern.test(text) && constants.names.includes(text);
};
`,
    },
    application: `const { fits, test } = require("sample"); const kept = require("sample/constants"); answer(() => [fits(7), test("ab"), test("a"), kept.MAX]);`,
    old: [true, false, true, 10],
    fixed: [false, true, false, 5],
    everywhere: true,
  },
  {
    name: "new files that changed files require",
    before: {
      "index.js": `const { clean } = require("./clean");\nexports.parse = function parse(text) {\n  return clean(text);\n};\n`,
      "clean.js": `exports.clean = function clean(text) {\n  return text;\n};\n`,
    },
    after: {
      "index.js": `const { clean } = require("./clean");
const { check } = require("./lib/check");
exports.parse = function parse(text) {
  check(text);
  return clean(text);
};
`,
      "clean.js": `const table = require("./lib/table.json");
exports.clean = function clean(text) {
  return table[text] ?? "unknown";
};
`,
      "lib/check.js": `const rules = require("./rules");\nexports.check = (text) => { if (rules.blocked.has(text)) throw new Error("blocked"); };\n`,
      "lib/rules.js": `exports.blocked = new Set(["evil"]);\n`,
      "lib/table.json": `{"good": "fine"}`,
    },
    application: `const { parse } = require("sample");
answer(() => ["good", "other", "evil"].map((text) => { try { return parse(text); } catch (error) { return error.message; } }));`,
    old: ["good", "other", "evil"],
    fixed: ["fine", "unknown", "blocked"],
    everywhere: true,
  },
  {
    name: "a new export, a new property of an exported object, a getter on the exports",
    before: `exports.defaults = { depth: 10, strict: false };
exports.parse = function parse(options) {
  return { ...exports.defaults, ...options };
};
`,
    after: `exports.defaults = { depth: 10, strict: true, limit: 5 };
exports.parse = function parse(options) {
  return { ...exports.defaults, ...exports.safe(options) };
};
exports.safe = function safe(options) {
  return { depth: Math.min(options.depth, 10) };
};
Object.defineProperty(exports, "version", { enumerable: true, get: () => "new" });
`,
    application: `const library = require("sample");
const { defaults, parse } = library;
answer(() => [parse({ depth: 99 }), defaults.strict, typeof library.safe, library.version ?? "none"]);`,
    old: [{ depth: 99, strict: false }, false, "undefined", "none"],
    fixed: [{ depth: 10, strict: true, limit: 5 }, true, "function", "new"],
  },
  {
    name: "values computed from changed values when the module was loaded",
    before: `const letters = "abc";
const set = new Set(letters);
const list = [...set].map((letter) => letter.toUpperCase());
const source = "^[" + letters + "]+$";
const pattern = new RegExp(source);
exports.test = (text) => pattern.test(text);
exports.list = () => list;
exports.has = (letter) => set.has(letter);
`,
    after: `const letters = "abcd";
const set = new Set(letters);
const list = [...set].map((letter) => letter.toUpperCase());
const source = "^[" + letters + "]+$";
const pattern = new RegExp(source);
exports.test = (text) => pattern.test(text);
exports.list = () => list;
exports.has = (letter) => set.has(letter);
`,
    application: `const { test, list, has } = require("sample"); answer(() => [test("d"), list(), has("d")]);`,
    old: [false, ["A", "B", "C"], false],
    fixed: [true, ["A", "B", "C", "D"], true],
    everywhere: true,
  },
  {
    name: "prototypes in the old style, methods added and changed, instances that exist",
    before: `function Cookie(text) {
  this.text = text;
}
Cookie.prototype.parse = function () {
  return this.text;
};
Cookie.prototype = Object.assign(Cookie.prototype, { size: function () { return this.text.length; } });
Cookie.create = function (text) {
  return new Cookie(text);
};
module.exports = Cookie;
`,
    after: `function Cookie(text) {
  this.text = text;
}
Cookie.prototype.parse = function () {
  return this.clean(this.text);
};
Cookie.prototype.clean = function (text) {
  return text.replace(/;/g, "");
};
Cookie.prototype = Object.assign(Cookie.prototype, { size: function () { return this.parse().length; } });
Cookie.create = function (text) {
  return new Cookie(text + "!");
};
module.exports = Cookie;
`,
    application: `const Cookie = require("sample"); const cookie = new Cookie("a;b"); const { create } = Cookie;
answer(() => [cookie.parse(), cookie.size(), create("x;").parse(), typeof cookie.clean]);`,
    old: ["a;b", 3, "x;", "undefined"],
    fixed: ["ab", 2, "x!", "function"],
  },
  {
    name: "a registry that the module fills while it loads",
    before: `const handlers = {};
function add(name, fn) {
  handlers[name] = fn;
}
add("upper", (text) => text.toUpperCase());
add("same", (text) => text);
exports.run = (name, text) => handlers[name](text);
`,
    after: `const handlers = {};
function add(name, fn) {
  handlers[name] = fn;
}
add("upper", (text) => text.trim().toUpperCase());
add("same", (text) => text);
exports.run = (name, text) => (Object.hasOwn(handlers, name) ? handlers[name](text) : "none");
`,
    application: `const { run } = require("sample"); answer(() => [run("upper", " a "), String(run("toString", "x")).slice(0, 7)]);`,
    old: [" A ", "[object"],
    fixed: ["A", "none"],
    everywhere: true,
  },
  {
    name: "an application's own state survives, and so do values that were handed out",
    before: `const cache = new Map();
let hits = 0;
exports.get = function get(key) {
  hits++;
  if (!cache.has(key)) cache.set(key, { key });
  return cache.get(key);
};
exports.hits = () => hits;
`,
    after: `const cache = new Map();
let hits = 0;
exports.get = function get(key) {
  hits++;
  const name = String(key);
  if (!cache.has(name)) cache.set(name, { key: name });
  return cache.get(name);
};
exports.hits = () => hits;
`,
    application: `const { get, hits } = require("sample"); const kept = get("a"); let last = hits();
answer(() => { const same = get("a") === kept; const result = [same, get(7).key, hits() - last]; last = hits(); return result; });`,
    old: [true, 7, 2],
    fixed: [true, "7", 2],
  },
  {
    name: "instances made before are brought up to date, and back again",
    before: `exports.Store = class Store {
  constructor() {
    this.limit = 100;
    this.data = {};
  }
  set(name, key, value) {
    const part = this.data[name] || (this.data[name] = {});
    part[key] = value;
    return this.limit;
  }
};
`,
    after: `exports.Store = class Store {
  constructor() {
    this.limit = 10;
    this.data = Object.create(null);
  }
  set(name, key, value) {
    const part = this.data[name] || (this.data[name] = {});
    part[key] = value;
    return this.limit;
  }
};
`,
    application: `const { Store } = require("sample"); const kept = new Store(); kept.set("a", "b", 1);
answer(() => { const limit = kept.set("__proto__", "polluted", true); const result = [limit, {}.polluted === true, Object.getPrototypeOf(kept.data) === null];
  delete Object.prototype.polluted; if (result[2]) delete kept.data.__proto__; return result; });`,
    old: [100, true, false],
    fixed: [10, false, true],
    everywhere: true,
  },
];

testChanges(changes);
