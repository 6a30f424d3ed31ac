"use strict";
/**
 * Finding live functions of a module by their source text: from its exports through properties and prototypes, and then through the variables that the functions found so far keep.
 *
 * No getter is called and no proxy is touched, so that looking changes nothing. The search yields to the event loop every few milliseconds.
 */

const { types } = require("node:util");

const sliceMs = 4;
const objectLimit = 50_000;
const arrayLimit = 1000;
const scopeLimit = 200;
const perTextLimit = 16;

const toText = Function.prototype.toString;

/**
 * @param debugging the inspector, turned on
 * @param script the script that the functions must come from
 * @param roots where to start: exports or a namespace
 * @param wanted texts of functions
 * @returns a map from text to the functions found (at least one each, or absent), and a function that shows the module's functions
 */
async function findClosures(debugging, script, roots, wanted) {
  const search = new Search(debugging, script, wanted);
  for (const root of roots) search.push(root);
  await search.run();
  return search.found;
}

class Search {
  constructor(debugging, script, wanted) {
    this.debugging = debugging;
    this.script = script;
    this.wanted = new Set(wanted);
    this.found = new Map();
    this.seen = new Set();
    this.queue = [];
    this.functions = [];
    this.scoped = 0;
  }

  get isComplete() {
    return this.found.size === this.wanted.size;
  }

  push(value) {
    if (value === null || (typeof value !== "object" && typeof value !== "function")) return;
    if (this.seen.has(value) || this.seen.size >= objectLimit) return;
    this.seen.add(value);
    this.queue.push(value);
  }

  async run() {
    let sliceEnd = performance.now() + sliceMs;
    while (!this.isComplete && this.step()) {
      if (performance.now() < sliceEnd) continue;
      await new Promise((resolve) => setImmediate(resolve));
      sliceEnd = performance.now() + sliceMs;
    }
  }

  /** One object, or, when there is none left, the variables of one function; false when all is searched. */
  step() {
    const value = this.queue.pop();
    if (value !== undefined) {
      this.visit(value);
      return true;
    }
    const fn = this.functions.shift();
    if (fn === undefined || this.scoped >= scopeLimit) return false;
    if (this.debugging.scriptOf(fn) === this.script.scriptId) {
      this.scoped++;
      for (const scope of this.debugging.scopesOf(fn)) this.push(scope);
    }
    return true;
  }

  visit(value) {
    if (types.isProxy(value)) return;
    if (typeof value === "function") this.visitFunction(value);
    if (ArrayBuffer.isView(value) || types.isAnyArrayBuffer(value)) return;
    if (types.isMap(value))
      for (const item of Array.from(Map.prototype.values.call(value)).slice(0, arrayLimit)) this.push(item);
    if (types.isSet(value))
      for (const item of Array.from(Set.prototype.values.call(value)).slice(0, arrayLimit)) this.push(item);
    const keys =
      Array.isArray(value) && value.length > arrayLimit ? [...Array(arrayLimit).keys()] : Reflect.ownKeys(value);
    for (const key of keys) {
      const descriptor = Reflect.getOwnPropertyDescriptor(value, key);
      if (descriptor === undefined) continue;
      this.push(descriptor.value);
      this.push(descriptor.get);
      this.push(descriptor.set);
    }
    this.push(Reflect.getPrototypeOf(value));
  }

  visitFunction(fn) {
    const text = toText.call(fn);
    if (text.endsWith("[native code] }")) return;
    this.functions.push(fn);
    if (!this.wanted.has(text)) return;
    const list = this.found.get(text) ?? [];
    if (list.length >= perTextLimit) return;
    const scriptId = this.debugging.scriptOf(fn);
    if (this.debugging.leftovers.has(scriptId)) {
      throw new Error(
        `${fn.name || "A function"} of ${this.script.url} was left behind by an earlier live edit and cannot be changed any more; restart the process.`,
      );
    }
    if (scriptId === this.script.scriptId) this.found.set(text, [...list, fn]);
  }
}

/** The value of each name as the function sees it, innermost first; a name that no scope holds is absent. */
function readScope(debugging, fn, names) {
  const values = {};
  const scopes = debugging.scopesOf(fn);
  for (const name of names) {
    const holder = scopes.find((scope) => Object.hasOwn(scope, name));
    if (holder) values[name] = holder[name];
  }
  return values;
}

module.exports = { findClosures, readScope, toText };
