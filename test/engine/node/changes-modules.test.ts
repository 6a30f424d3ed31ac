/** Changes of ES modules, in applications that import by name, as a namespace, and dynamically. */
import { type Change, testChanges } from "./change.ts";

const changes: readonly Change[] = [
  {
    name: "functions, classes and arrow functions that an application imported by name",
    esm: true,
    before: `export function parse(text) {
  return text;
}
export const clean = (text) => text.trim();
export class Reader {
  #depth = 0;
  read(text) {
    return this.#enter(text);
  }
  #enter(text) {
    return [this.#depth, text];
  }
}
export default function main(text) {
  return parse(text);
}
`,
    after: `export function parse(text) {
  if (text.includes("evil")) return "blocked";
  return text;
}
export const clean = (text) => text.trim().toLowerCase();
export class Reader {
  #depth = 0;
  read(text) {
    return this.#enter(parse(text));
  }
  #enter(text) {
    return [this.#depth + 1, text];
  }
}
export default function main(text) {
  return parse(clean(text));
}
`,
    application: `import main, { parse, clean, Reader } from "sample";
import * as all from "sample";
const reader = new Reader(); const bound = parse.bind(undefined, "evil");
answer(async () => [main(" EVIL "), parse("evil"), bound(), clean(" A "), reader.read("evil"), all.parse("evil"), (await import("sample")).parse("evil")]);`,
    old: [" EVIL ", "evil", "evil", "A", [0, "evil"], "evil", "evil"],
    fixed: ["blocked", "blocked", "blocked", "a", [1, "blocked"], "blocked", "blocked"],
    everywhere: true,
  },
  {
    name: "new helpers and constants, changed constants and expressions that stay inside the module",
    esm: true,
    before: `import { basename } from "node:path";
const limit = 10;
const pattern = /^(a+)+$/;
export function check(text) {
  return pattern.test(basename(text)) && text.length < limit;
}
`,
    after: `import { basename, dirname } from "node:path";
import { inspect } from "node:util";
const limit = 5;
const pattern = /^[ab]+$/;
const blocked = new Set(["bb"]);
const isBlocked = (text) => blocked.has(text) || dirname(text) !== ".";
export function check(text) {
  return pattern.test(basename(text)) && text.length < limit && !isBlocked(text) && inspect(text) !== "";
}
`,
    application: `import { check } from "sample"; answer(() => ["aa", "aaaaaa", "ab", "bb"].map((text) => check(text)));`,
    old: [true, true, false, false],
    fixed: [true, false, true, false],
    everywhere: true,
  },
  {
    name: "a new export that another file of the package imports, and a new file",
    esm: true,
    before: {
      "index.js": `import { trim } from "./text.js";\nexport { trim };\nexport function parse(text) {\n  return trim(text);\n}\n`,
      "text.js": `export function trim(text) {\n  return text.trim();\n}\n`,
    },
    after: {
      "index.js": `import { trim, escape } from "./text.js";
import { rules } from "./rules.js";
export { trim };
export function parse(text) {
  return rules.includes(text) ? "blocked" : escape(trim(text));
}
`,
      "text.js": `export function trim(text) {\n  return text.trim();\n}\nexport function escape(text) {\n  return text.replace("<", "&lt;");\n}\n`,
      "rules.js": `export const rules = ["evil"];\n`,
    },
    application: `import { parse } from "sample"; const kept = parse; answer(() => ["evil", " <b>"].map((text) => kept(text)));`,
    old: ["evil", "<b>"],
    fixed: ["blocked", "&lt;b>"],
  },
  {
    name: "live bindings keep their values",
    esm: true,
    before: `export let count = 0;
export function hit() {
  count += 1;
  return count;
}
`,
    after: `export let count = 0;
export function hit() {
  count += 10;
  return count;
}
`,
    application: `import { count, hit } from "sample";
answer(() => { const before = count; const given = hit(); return [given - before, count === given]; });`,
    old: [1, true],
    fixed: [10, true],
    everywhere: true,
  },
  {
    name: "async functions and generators with top-level await around them",
    esm: true,
    before: `const base = await Promise.resolve(1);
export async function load() {
  return base;
}
export function* each() {
  yield base;
}
`,
    after: `const base = await Promise.resolve(1);
export async function load() {
  await null;
  return base + 1;
}
export function* each() {
  yield base;
  yield base + 1;
}
`,
    application: `import { load, each } from "sample"; answer(async () => [await load(), [...each()]]);`,
    old: [1, [1]],
    fixed: [2, [1, 2]],
  },
];

testChanges(changes);
