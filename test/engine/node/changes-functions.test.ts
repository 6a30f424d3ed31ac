/** Changes of code: closures made before the patch do the new thing after it, and the old thing after it was taken back. */
import { type Change, testChanges } from "./change.ts";

const kept = `
const { EventEmitter } = require("node:events");
const library = require("sample");
`;

const changes: readonly Change[] = [
  {
    name: "a function body, in closures that are destructured, bound, wrapped, in a Map, in a listener and in a timer",
    before: `exports.clean = function clean(text) {\n  return text + " old";\n};\nexports.other = () => "same";\n`,
    after: `exports.clean = function clean(text) {\n  const kept = text.trim();\n  return kept + " new";\n};\nexports.other = () => "same";\n`,
    application: `${kept}
const { clean } = library;
const bound = clean.bind(undefined, "bound");
const wrapped = (text) => clean(text);
const map = new Map([["clean", clean]]);
const emitter = new EventEmitter();
let heard, ticked;
emitter.on("text", (text) => { heard = clean(text); });
setInterval((fn) => { ticked = fn("timer"); }, 5, clean);
const tick = () => new Promise((resolve) => { ticked = undefined; const look = () => (ticked ? resolve(ticked) : setTimeout(look, 5)); look(); });
answer(async () => {
  emitter.emit("text", "heard");
  return [clean("direct"), bound(), wrapped("wrapped"), map.get("clean")("map"), heard, await tick(), library.other()];
});`,
    old: ["direct old", "bound old", "wrapped old", "map old", "heard old", "timer old", "same"],
    fixed: ["direct new", "bound new", "wrapped new", "map new", "heard new", "timer new", "same"],
    everywhere: true,
  },
  {
    name: "methods, getters, setters, static and private methods of a class, on instances that exist",
    before: `class Box {
  #secret = 1;
  static limit() {
    return 1;
  }
  static get kind() {
    return "old kind";
  }
  constructor(value) {
    this.value = value;
  }
  get size() {
    return 1;
  }
  set size(value) {
    this.value = value;
  }
  #hide() {
    return this.#secret + 1;
  }
  show() {
    return ["old", this.value, this.#hide()];
  }
}
module.exports = { Box };
`,
    after: `class Box {
  #secret = 1;
  static limit() {
    return 2;
  }
  static get kind() {
    return "new kind";
  }
  constructor(value) {
    this.value = value;
  }
  get size() {
    return this.value.length;
  }
  set size(value) {
    this.value = "set " + value;
  }
  #hide() {
    return this.#secret + 10;
  }
  show() {
    return ["new", this.value, this.#hide()];
  }
}
module.exports = { Box };
`,
    application: `${kept}
const { Box } = library;
const box = new Box("kept");
const show = box.show.bind(box);
const { limit } = Box;
answer(() => {
  const other = new Box("x");
  other.size = "y";
  return [show(), box.size, limit(), Box.kind, other.value, new Box("fresh").show()];
});`,
    old: [["old", "kept", 2], 1, 1, "old kind", "y", ["old", "fresh", 2]],
    fixed: [["new", "kept", 11], 4, 2, "new kind", "set y", ["new", "fresh", 11]],
    everywhere: true,
  },
  {
    name: "a constructor, of a class and of a function",
    before: `class Parser {
  constructor(options) {
    this.limit = options.limit;
  }
  run() {
    return this.limit;
  }
}
function Reader(options) {
  this.depth = options.depth;
}
Reader.prototype.run = function () {
  return this.depth;
};
exports.Parser = Parser;
exports.Reader = Reader;
`,
    after: `class Parser {
  constructor(options) {
    this.limit = Math.min(options.limit, 10);
  }
  run() {
    return this.limit;
  }
}
function Reader(options) {
  this.depth = Math.min(options.depth, 10);
}
Reader.prototype.run = function () {
  return this.depth;
};
exports.Parser = Parser;
exports.Reader = Reader;
`,
    application: `${kept}
const { Parser, Reader } = library;
class Own extends Parser {}
answer(() => [new Parser({ limit: 99 }).run(), new Reader({ depth: 99 }).run(), new Own({ limit: 50 }).run(), Reflect.construct(Reader, [{ depth: 40 }]).depth]);`,
    old: [99, 99, 50, 40],
    fixed: [10, 10, 10, 10],
    everywhere: true,
  },
  {
    name: "inheritance with super, in methods and constructors",
    before: `class Base {
  constructor(name) {
    this.name = name;
  }
  describe() {
    return "base " + this.name;
  }
  static make(name) {
    return new this(name);
  }
}
class Derived extends Base {
  constructor(name) {
    super(name);
    this.open = true;
  }
  describe() {
    return super.describe() + " old";
  }
  static make(name) {
    return super.make(name);
  }
}
module.exports = { Base, Derived };
`,
    after: `class Base {
  constructor(name) {
    this.name = name;
  }
  describe() {
    return "base " + this.name;
  }
  static make(name) {
    return new this(name);
  }
}
class Derived extends Base {
  constructor(name) {
    super(name.toUpperCase());
    this.open = false;
  }
  describe() {
    const text = super.describe();
    return text + " new";
  }
  static make(name) {
    return super.make(name + "!");
  }
}
module.exports = { Base, Derived };
`,
    application: `${kept}
const { Derived } = library;
const kept = new Derived("Kept");
class Own extends Derived { describe() { return "own " + super.describe(); } }
answer(() => [kept.describe().slice(-3), new Derived("x").describe(), new Derived("x").open, Derived.make("y").name, new Own("z").describe()]);`,
    old: ["old", "base x old", true, "y", "own base z old"],
    fixed: ["new", "base X new", false, "Y!", "own base Z new"],
  },
  {
    name: "a method that only the new version has",
    before: `class Store {
  read(key) {
    return this.data[key];
  }
  constructor() {
    this.data = { a: 1 };
  }
}
module.exports = Store;
`,
    after: `class Store {
  read(key) {
    return this.has(key) ? this.data[key] : "none";
  }
  has(key) {
    return Object.hasOwn(this.data, key);
  }
  constructor() {
    this.data = { a: 1 };
  }
}
module.exports = Store;
`,
    application: `${kept}
const store = new library();
class Own extends library { read(key) { return "own " + super.read(key); } }
answer(() => [store.read("a"), typeof store.read("toString"), new Own().read("a"), typeof store.has]);`,
    old: [1, "function", "own 1", "undefined"],
    fixed: [1, "string", "own 1", "function"],
  },
  {
    name: "async functions, generators and async generators",
    before: `exports.load = async function load(name) {
  return "old " + name;
};
exports.each = function* each(list) {
  for (const item of list) yield item;
};
exports.stream = async function* stream(list) {
  for (const item of list) yield item;
};
`,
    after: `exports.load = async function load(name) {
  await null;
  return "new " + name;
};
exports.each = function* each(list) {
  for (const item of list) {
    if (item !== 2) yield item;
  }
};
exports.stream = async function* stream(list) {
  for (const item of list) {
    await null;
    yield item * 10;
  }
};
`,
    application: `${kept}
const { load, each, stream } = library;
answer(async () => {
  const items = [];
  for await (const item of stream([1, 2])) items.push(item);
  return [await load("x"), [...each([1, 2, 3])], items];
});`,
    old: ["old x", [1, 2, 3], [1, 2]],
    fixed: ["new x", [1, 3], [10, 20]],
    everywhere: true,
  },
  {
    name: "arrow expressions, with and without parentheses, that return an object, one inside the other",
    before: `exports.plain = (x) => x + 1;
exports.object = (x) => ({ x });
exports.nested = (x) => (y) => x + y;
exports.list = (items) => items.map((item) => item * 2);
exports.block = (x) => x;
`,
    after: `exports.plain = (x) => x + 100;
exports.object = (x) => ({ x, safe: true });
exports.nested = (x) => (y) => x * y;
exports.list = (items) => items.filter(Boolean).map((item) => item * 3);
exports.block = (x) => {
  const y = x + 1;
  return y;
};
`,
    application: `${kept}
const { plain, object, nested, list, block } = library;
const times5 = nested(5);
answer(() => [plain(1), object(1), times5(4), nested(2)(3), list([0, 1]), block(1)]);`,
    old: [2, { x: 1 }, 9, 5, [0, 2], 1],
    fixed: [101, { x: 1, safe: true }, 20, 6, [3], 2],
    everywhere: true,
  },
  {
    name: "sync to async, as a function, a method and an arrow function",
    before: `exports.read = function read(name) {
  return "old " + name;
};
exports.Reader = class Reader {
  read(name) {
    return this.prefix + name;
  }
  constructor() {
    this.prefix = "old ";
  }
};
exports.arrow = (name) => {
  return name;
};
`,
    after: `exports.read = async function read(name) {
  await null;
  return "new " + name;
};
exports.Reader = class Reader {
  async read(name) {
    await null;
    return this.prefix + name + "!";
  }
  constructor() {
    this.prefix = "old ";
  }
};
exports.arrow = async (name) => {
  await null;
  return name + "!";
};
`,
    application: `${kept}
const { read, Reader, arrow } = library;
const reader = new Reader();
answer(async () => {
  const results = [read("a"), reader.read("b"), arrow("c")];
  return [results.map((result) => result instanceof Promise), await Promise.all(results)];
});`,
    old: [
      [false, false, false],
      ["old a", "old b", "c"],
    ],
    fixed: [
      [true, true, true],
      ["new a", "old b!", "c!"],
    ],
    everywhere: true,
  },
  {
    name: "parameters: more of them, defaults, patterns, rest",
    before: `exports.more = function (a) {
  return [a];
};
exports.defaults = function (a, b) {
  return [a, b];
};
exports.pattern = function (options) {
  return options.depth;
};
exports.rest = function (a) {
  return arguments.length;
};
`,
    after: `exports.more = function (a, b, c) {
  return [a, b, c];
};
exports.defaults = function (a, b = a * 2) {
  return [a, b];
};
exports.pattern = function ({ depth = 5, ...others } = {}) {
  return [depth, others];
};
exports.rest = function (a, ...others) {
  return others;
};
`,
    application: `${kept}
const { more, defaults, pattern, rest } = library;
answer(() => [more(1, 2, 3), defaults(4), pattern({ depth: 1, x: 2 }), rest(1, 2), more.length]);`,
    old: [[1], [4, null], 1, 2, 1],
    fixed: [[1, 2, 3], [4, 8], [1, { x: 2 }], [2], 3],
  },
  {
    name: "several functions at once, reordered, with comments between them",
    before: `function one() {
  return "one";
}
function two() {
  return "two";
}
function three() {
  return one() + two();
}
module.exports = { one, two, three };
`,
    after: `// Moved to the front.
function three() {
  return two() + one() + "!";
}

/* Changed. */
function two() {
  return "TWO";
}
function one() {
  return "ONE";
}
module.exports = { one, two, three };
`,
    application: `${kept}
const { one, two, three } = library;
answer(() => [one(), two(), three()]);`,
    old: ["one", "two", "onetwo"],
    fixed: ["ONE", "TWO", "TWOONE!"],
    everywhere: true,
  },
  {
    name: "closures of a factory that were made before, with their state",
    before: `module.exports = function limiter(max) {
  let count = 0;
  return {
    hit: function () {
      count++;
      return count;
    },
    reset() {
      count = 0;
    },
    left: () => max - count,
  };
};
`,
    after: `module.exports = function limiter(max) {
  let count = 0;
  return {
    hit: function () {
      count++;
      if (count > max) return "limit";
      return count;
    },
    reset() {
      count = -1;
    },
    left: () => Math.max(0, max - count),
  };
};
`,
    application: `${kept}
const { hit, reset, left } = library(2);
answer(() => {
  hit(); hit();
  const third = hit();
  const result = [third, left()];
  reset();
  return [...result, hit()];
});`,
    old: [3, -1, 1],
    fixed: ["limit", 0, 0],
    everywhere: true,
  },
  {
    name: "functions that were optimised and inlined before",
    before: `function step(x) {
  return x + 1;
}
exports.sum = function sum(n) {
  let total = 0;
  for (let i = 0; i < n; i++) total = step(total);
  return total;
};
`,
    after: `function step(x) {
  return x + 2;
}
exports.sum = function sum(n) {
  let total = 0;
  for (let i = 0; i < n; i++) total = step(total);
  return total;
};
`,
    application: `${kept}
const { sum } = library;
for (let i = 0; i < 2000; i++) sum(1000);
answer(() => [sum(1000), sum(10)]);`,
    old: [1000, 10],
    fixed: [2000, 20],
    everywhere: true,
  },
];

testChanges(changes);
