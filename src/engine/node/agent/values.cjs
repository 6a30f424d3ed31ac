"use strict";
/**
 * The values that a process holds for the files of a package, as a list of places and what stands there, so that two processes can be compared.
 *
 * The search starts at exports, and goes on through properties, the content of collections, and the variables that functions of the package keep.
 * Only rehearsals use it: it asks the inspector about every function that it meets.
 */

const { createHash } = require("node:crypto");
const Module = require("node:module");
const { fileURLToPath } = require("node:url");
const { types } = require("node:util");

const placeLimit = 30_000;
/** Functions of one file whose variables are looked at: the variables of the module are the same for all. */
const scopeLimit = 40;
const arrayLimit = 2000;
const shownLimit = 120;
const timeLimitMs = 8000;
/** What Node.js passes into a CommonJS module, and what each call has anew. */
const notVariables = new Set(["require", "module", "exports", "__filename", "__dirname", "arguments"]);
const toText = Function.prototype.toString;

/**
 * @param debugging the inspector, turned on
 * @param folder only functions written in files below it are looked into; its path is left out of texts
 * @param version the package's, which is left out of texts as well
 * @param roots `{ path, value }`: the exports of each file
 * @param registryOf gives the registry that took over variables of a file, if one did
 * @returns places to `{ text, open, under }`; what stands below a place that is not open was not looked at
 */
function listValues(debugging, { folder, version, roots, registryOf }) {
  const search = new Search(debugging, { folder, version, registryOf });
  for (const { path, value } of roots) search.put(path, value);
  search.run();
  for (const place of [...search.ambiguous, ...search.single]) delete search.places[place];
  return search.places;
}

class Search {
  constructor(debugging, { folder, version, registryOf }) {
    this.debugging = debugging;
    this.folder = folder;
    this.version = version;
    this.registryOf = registryOf;
    this.places = { __proto__: null };
    this.count = 0;
    this.queue = [];
    this.scoped = new Map();
    this.seen = builtinObjects();
    /** Variables by file and name: the value at first sight, to tell those that are one for the module from those of single calls. */
    this.variables = new Map();
    this.ambiguous = new Set();
    /** Variables of functions that one closure alone was seen to keep. */
    this.single = new Set();
  }

  put(place, value, under) {
    if (this.places[place] !== undefined || this.count++ > placeLimit) return;
    const isObject = (typeof value === "object" && value !== null) || typeof value === "function";
    const entry = { text: this.describe(value), open: false, under };
    this.places[place] = entry;
    if (!isObject || this.seen.has(value) || types.isProxy(value) || value instanceof Module) return;
    this.seen.add(value);
    this.queue.push({ place, value, entry });
  }

  run() {
    const end = performance.now() + timeLimitMs;
    for (let index = 0; index < this.queue.length && performance.now() < end; index++) this.visit(this.queue[index]);
  }

  visit({ place, value, entry }) {
    if (typeof value === "function" && !this.visitFunction(value, entry)) return;
    if (ArrayBuffer.isView(value) || types.isAnyArrayBuffer(value) || types.isPromise(value)) return;
    // An ES module that is loaded has the exports that it has; new ones are found through the registry.
    entry.open = !types.isModuleNamespaceObject(value);
    if (types.isMap(value)) {
      for (const [key, item] of [...Map.prototype.entries.call(value)].slice(0, arrayLimit))
        if (typeof key === "string") this.put(`${place}{${key}}`, item, place);
    }
    if (types.isSet(value))
      for (const item of [...Set.prototype.values.call(value)].slice(0, arrayLimit))
        this.put(`${place}{${this.describe(item)}}`, true, place);
    for (const key of Reflect.ownKeys(value).slice(0, arrayLimit)) {
      if (typeof key === "symbol" || isOwnBusiness(value, key)) continue;
      const descriptor = Reflect.getOwnPropertyDescriptor(value, key);
      if (descriptor === undefined) continue;
      if ("value" in descriptor) this.put(`${place}.${key}`, descriptor.value, place);
      else if (types.isModuleNamespaceObject(value)) this.put(`${place}.${key}`, value[key]);
      else
        for (const part of ["get", "set"]) if (descriptor[part]) this.put(`${place}.${part} ${key}`, descriptor[part]);
    }
    const prototype = Reflect.getPrototypeOf(value);
    // Whether a function is async shows in its prototype, and a live edit leaves that as it was.
    if (typeof value !== "function" || typeof prototype === "function") this.put(`${place}.[[Prototype]]`, prototype);
  }

  /** False for functions of others, which are not looked into. */
  visitFunction(fn, entry) {
    if (toText.call(fn).endsWith("[native code] }")) return false;
    const url = this.debugging.scripts.get(this.debugging.scriptOf(fn) ?? "")?.url ?? "";
    const filename = url.startsWith("file:") ? fileURLToPath(url) : url;
    if (!filename.startsWith(`${this.folder}/`)) return false;
    entry.text = this.describeCode(toText.call(fn));
    const scoped = this.scoped.get(filename) ?? 0;
    this.scoped.set(filename, scoped + 1);
    if (scoped < scopeLimit) this.visitScopes(fn, filename);
    return true;
  }

  visitScopes(fn, filename) {
    const registry = this.registryOf(filename) ?? {};
    const takenOver = Map.groupBy(Object.keys(registry), (key) => key.replace(/\$\d+$/, ""));
    const done = new Set();
    const scopes = this.debugging.scopesOf(fn);
    for (const scope of scopes) {
      // The outermost variables are the module's; those of functions are one for the module only if several closures share them.
      const isShared = scope === scopes.at(-1);
      for (const name of Object.keys(scope)) {
        if (done.has(name) || notVariables.has(name)) continue;
        done.add(name);
        const taken = takenOver.get(name);
        if (taken?.length > 1) continue;
        this.putVariable(
          `${filename.slice(this.folder.length + 1)}~${name}`,
          taken?.length === 1 ? registry[taken[0]] : scope[name],
          isShared,
        );
      }
    }
  }

  putVariable(place, value, isShared) {
    if (!this.variables.has(place)) {
      this.variables.set(place, value);
      if (!isShared) this.single.add(place);
      this.put(place, value);
    } else if (!Object.is(this.variables.get(place), value)) this.ambiguous.add(place);
    else this.single.delete(place);
  }

  /**
   * A class shows its whole text, although methods are given to it one by one, so it is compared by those.
   * Where comments cannot be told from strings at a glance, the code is not compared.
   */
  describeCode(text) {
    if (/^class\b/.test(text) || /(["'`/]).*?\/[*/].*?\1/.test(text.replace(/^\s*\/[/*].*$/gm, ""))) return "function";
    return `function ${digest(plainText(text.replaceAll(this.version, "")))}`;
  }

  describe(value) {
    if (value === null) return "null";
    if (typeof value === "string")
      return `"${shorten(value.replaceAll(this.folder, "").replaceAll(this.version, "(version)"))}"`;
    if (typeof value === "symbol") return "a symbol";
    if (typeof value === "function") return "function";
    if (typeof value !== "object") return typeof value === "bigint" ? `${value}n` : String(value);
    if (types.isProxy(value)) return "a proxy";
    if (types.isRegExp(value)) return shorten(RegExp.prototype.toString.call(value));
    if (Array.isArray(value)) return `an array of ${value.length}`;
    if (types.isMap(value)) return `a map of ${value.size}`;
    if (types.isSet(value)) return `a set of ${value.size}`;
    return "an object";
  }
}

/** What tells nothing about the code: names and lengths of functions, and how a class leads back to itself. */
function isOwnBusiness(value, key) {
  if (types.isRegExp(value)) return key === "lastIndex";
  if (key === "constructor") return true;
  return typeof value === "function" && ["length", "name", "arguments", "caller"].includes(key);
}

/** Long values by their beginning and their hash. */
function shorten(text) {
  return text.length > shownLimit ? `${text.slice(0, shownLimit)}… (${digest(text)})` : text;
}

function digest(text) {
  return createHash("sha256").update(text).digest("hex").slice(0, 12);
}

/** Without comments and white space, roughly: enough to compare a text with itself in another version. */
function plainText(text) {
  return text.replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*/g, "").replace(/\s+/g, "");
}

/** Node.js's own objects, which are no business of a package. */
function builtinObjects() {
  const seen = new Set([globalThis, process]);
  for (const name of Object.getOwnPropertyNames(globalThis)) {
    const { value } = Object.getOwnPropertyDescriptor(globalThis, name);
    if (typeof value !== "function") continue;
    seen.add(value);
    if (value.prototype) seen.add(value.prototype);
  }
  for (const line of process.moduleLoadList) {
    const [, name] = /^NativeModule (.+)$/.exec(line) ?? [];
    if (name === undefined || !Module.isBuiltin(name) || /^(internal|_)|inspector/.test(name)) continue;
    const exports = require(`node:${name}`);
    seen.add(exports);
    for (const descriptor of Object.values(Object.getOwnPropertyDescriptors(exports))) {
      if (typeof descriptor.value === "function") seen.add(descriptor.value).add(descriptor.value.prototype);
      else if (typeof descriptor.value === "object") seen.add(descriptor.value);
    }
  }
  return seen;
}

/** The functions that the exports of each file hold, by place. */
function exportedFunctions(roots) {
  const found = new Map();
  for (const { path, value } of roots) {
    if (typeof value === "function") found.set(path, value);
    if (value === null || (typeof value !== "object" && typeof value !== "function")) continue;
    for (const key of Object.keys(value)) {
      try {
        if (typeof value[key] === "function") found.set(`${path}.${key}`, value[key]);
      } catch {
        // A getter that throws exports nothing.
      }
    }
  }
  return found;
}

/** Places whose function is another than before: whoever has taken the former one keeps it. */
function replacedFunctions(before, roots) {
  const now = exportedFunctions(roots);
  return [...before].filter(([place, fn]) => now.has(place) && now.get(place) !== fn).map(([place]) => place);
}

module.exports = { exportedFunctions, listValues, replacedFunctions };
