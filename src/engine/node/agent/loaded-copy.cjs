"use strict";
/**
 * One loaded copy of a file that a hotpatch changes: the script as V8 holds it, the module that Node.js made of it, and the live functions in it.
 *
 * `find` and `prepare` may take several turns of the event loop and change nothing; `edit`, `check` and `restore` are synchronous, so that a transaction over many copies is one turn.
 */

const { createHash, randomInt } = require("node:crypto");
const fs = require("node:fs");
const Module = require("node:module");
const path = require("node:path");
const { fileURLToPath, pathToFileURL } = require("node:url");
const { findClosures, readScope, toText } = require("./closures.cjs");
const { importModule } = require("./import-module.cjs");
const { importAdded } = require("./load-hook.cjs");
const { isGradual, LiveTexts } = require("./live-texts.cjs");
const { UndoLog } = require("./undo.cjs");

function sha256(text) {
  return createHash("sha256").update(text, "utf8").digest("hex");
}

/** Every loaded copy of the file, wherever it was loaded from, recognised by its text. */
function findCopies(debugging, file) {
  const copies = [];
  for (const script of debugging.scripts.values()) {
    if (script.length !== file.before.length || !/^(file:|\/)/.test(script.url)) continue;
    const source = debugging.trySource(script.scriptId);
    if (source !== undefined && sha256(source) === file.before.sha256)
      copies.push(new LoadedCopy(debugging, file, script, source));
  }
  return [...copies, ...findWithoutScript(debugging, file, new Set(copies.map(({ filename }) => filename)))];
}

/**
 * Modules whose script V8 has dropped, since no function of it lives: their exports live on, and a delta still has to change them.
 * They are recognised by the file that they came from.
 */
function findWithoutScript(debugging, file, known) {
  if (file.delta === undefined) return [];
  return Object.keys(Module._cache)
    .filter((filename) => filename.endsWith(`/${file.path}`) && !known.has(filename))
    .filter(
      (filename) =>
        ![...debugging.scripts.values()].some(
          ({ url, scriptId }) => url === filename && debugging.trySource(scriptId) !== undefined,
        ),
    )
    .flatMap((filename) => {
      const source = readText(filename);
      return source !== undefined && sha256(source) === file.before.sha256
        ? [new LoadedCopy(debugging, file, { url: filename, scriptId: undefined }, source)]
        : [];
    });
}

function readText(filename) {
  try {
    return fs.readFileSync(filename, "utf8").replace(/^\uFEFF/, "");
  } catch {
    // The file is gone from the disk, so that nothing tells what the module was made from.
    return undefined;
  }
}

/** Loaded files of the same copies that are neither the old nor the fixed text: somebody changed them. */
function findMismatched(debugging, hotpatch, copies) {
  const roots = new Set(copies.map(({ filename, file }) => filename.slice(0, filename.length - file.path.length)));
  const known = new Set(copies.map(({ script }) => script.scriptId));
  const mismatched = [];
  for (const script of debugging.scripts.values()) {
    const filename = script.url.startsWith("file:") ? fileURLToPath(script.url) : script.url;
    const file = hotpatch.files.find(
      ({ path: relative }) =>
        filename.endsWith(`/${relative}`) && roots.has(filename.slice(0, filename.length - relative.length)),
    );
    if (file === undefined || known.has(script.scriptId)) continue;
    const source = debugging.trySource(script.scriptId);
    if (source !== undefined && source !== file.after && sha256(source) !== file.before.sha256)
      mismatched.push(filename);
  }
  return mismatched;
}

/** In the name of a registry. */
const digits = 12;
/** The switch of a gated copy, in its registry. */
const flagName = "on$";

const registryNames = new Map();

/**
 * Each copy has variables of its own, so each gets a registry of its own; the names have equal lengths, so offsets stay.
 * A copy that is patched again gets the same name again, so that names do not pile up: what new code handed out may go through the registry for as long as it lives.
 */
function registryNameOf({ scriptId, url }) {
  const key = scriptId ?? url;
  const name = registryNames.get(key) ?? `__rebootless_${String(randomInt(10 ** digits)).padStart(digits, "0")}`;
  registryNames.set(key, name);
  return name;
}

class LoadedCopy {
  constructor(debugging, file, script, source) {
    this.debugging = debugging;
    this.file = file;
    this.script = script;
    this.source = source;
    this.filename = script.url.startsWith("file:") ? fileURLToPath(script.url) : script.url;
    this.registryName = registryNameOf(script);
    this.registry = {};
    this.isPublished = false;
    const hasCode = file.live !== undefined && script.scriptId !== undefined;
    this.texts = hasCode ? new LiveTexts(debugging, { source, live: this.ownText(file.live), file }) : undefined;
    this.isGated = false;
    this.functions = [];
    this.scopes = [];
    this.imports = {};
    this.undo = new UndoLog();
    this.defined = [];
    /** The texts that V8 has taken, in order; the last one is in place. */
    this.passed = [];
  }

  ownText(text) {
    // The part before the digits may be written with an escape.
    return text.replaceAll(this.file.registry.slice(-digits), this.registryName.slice(-digits));
  }

  /** The text that the hotpatch puts in place; undefined where it changes no code that is loaded. */
  get text() {
    return this.texts?.text;
  }

  get module() {
    return require.cache?.[this.filename] ?? Module._cache[this.filename];
  }

  /** Finds the live functions and values that the edit needs; throws with a reason where something needed is not there. */
  async prepare(added, allowGates) {
    const { file, source } = this;
    const roots = await this.roots();
    const oldTexts = file.functions.map(({ before, ofClass = before }) => source.slice(ofClass.start, ofClass.end));
    const witnesses = (file.delta?.scopes ?? []).map((scope) =>
      scope.witnesses.map(({ start, end }) => source.slice(start, end)),
    );
    const found = await findClosures(this.debugging, this.script, roots, [...oldTexts, ...witnesses.flat()]);
    const places = this.texts === undefined ? [] : file.functions;
    this.functions = places.map((place, index) => ({
      name: place.name,
      several: place.several,
      brief: place.brief,
      oldText: oldTexts[index],
      newText: undefined,
      closures: (found.get(oldTexts[index]) ?? []).map((fn) => new WeakRef(fn)),
    }));
    this.witnesses = witnesses.map((texts, index) => {
      const witness = texts.map((text) => found.get(text)?.[0]).find((fn) => fn !== undefined);
      if (witness === undefined) {
        throw new Error(`No live function of ${this.filename} leads to ${file.delta.scopes[index].names.join(", ")}.`);
      }
      return witness;
    });
    await this.loadImports(added);
    if (this.texts === undefined) return;
    // The ways were found by a rehearsal; a switch is the one that is tried first where several files change.
    const mayGate = file.switchable === true && (allowGates || isGradual(file));
    const way = file.ways?.there ?? (mayGate ? "switched" : "direct");
    this.isGated = way === "switched";
    if (this.isGated) this.texts.gate(`${this.registryName}.${flagName}`);
    this.noteShownTexts();
  }

  noteShownTexts() {
    for (const [index, text] of this.texts.shownTexts().entries()) this.functions[index].newText = text;
  }

  /** Functions that still show the new code after the way back. */
  leftBehind() {
    return this.functions
      .filter(({ oldText, closures }) =>
        closures.some((reference) => (reference.deref() ? toText.call(reference.deref()) !== oldText : false)),
      )
      .map(({ name }) => ({ path: this.file.path, name }));
  }

  /** Switches a gated copy; any other has no switch. */
  switchTo(on) {
    this.registry[flagName] = on;
  }

  async roots() {
    if (this.file.format === "commonjs") {
      const own = this.module?.exports;
      // A module that was taken out of the cache can still be reached through the modules that use it.
      return own === undefined ? Object.values(Module._cache).map((module) => module.exports) : [own];
    }
    return [await importModule(this.script.url)];
  }

  async loadImports(added) {
    for (const specifier of this.file.delta?.imports ?? []) {
      const found = added.find(this.filename, specifier);
      this.imports[specifier] =
        found === undefined ? await importModule(this.resolveImport(specifier)) : await this.loadAdded(added, found);
    }
  }

  async loadAdded(added, filename) {
    const isModule = this.file.format === "module" && !/\.(?:cjs|json)$/.test(filename);
    return isModule ? await importAdded(added, filename) : added.load(filename);
  }

  resolveRelative(specifier) {
    return /^\.{1,2}\//.test(specifier) ? path.resolve(path.dirname(this.filename), specifier) : specifier;
  }

  resolveImport(specifier) {
    if (/^(node|file):/.test(specifier) || Module.isBuiltin(specifier)) return specifier;
    if (/^\.{1,2}\//.test(specifier)) return pathToFileURL(this.resolveRelative(specifier)).href;
    return pathToFileURL(Module.createRequire(this.filename).resolve(specifier)).href;
  }

  /** The text is still the one that was prepared for. A script that V8 has dropped meanwhile has no function left to edit. */
  isUnchanged() {
    if (this.text === undefined) return true;
    const current = this.debugging.trySource(this.script.scriptId);
    return current === undefined ? this.forget() : current === this.source;
  }

  /** The text is still the one that the hotpatch put there. */
  isAsApplied() {
    if (this.text === undefined) return true;
    const current = this.debugging.trySource(this.script.scriptId);
    return current === undefined ? this.forget() : current === this.text;
  }

  /** V8 has dropped the script, so that there is nothing left to edit; false when a function of it lives all the same. */
  forget() {
    if (this.functions.some(({ closures }) => closures.some((reference) => reference.deref() !== undefined)))
      return false;
    this.texts = undefined;
    this.functions = [];
    this.passed = [];
    return true;
  }

  edit() {
    this.begin();
    while (!this.isEdited()) this.step();
  }

  begin() {
    this.passed = [];
    // Before the edit, since afterwards V8 shows only those variables that the new text still captures.
    this.scopes = (this.file.delta?.scopes ?? []).map(({ names }, index) =>
      this.readNames(this.witnesses[index], names),
    );
    if (this.texts === undefined) return;
    this.publishRegistry();
    this.texts.writeForNow();
    this.noteShownTexts();
  }

  isEdited() {
    return this.texts === undefined || this.passed.length === this.texts.steps.length;
  }

  /** The next of the texts that lead to the new one. */
  step() {
    const text = this.texts.steps[this.passed.length];
    const { status, detail } = this.debugging.edit(this.script.scriptId, text);
    if (status !== "Ok") throw new EditRefused(this, status, detail);
    this.passed.push(text);
  }

  publishRegistry() {
    this.isPublished = true;
    Object.defineProperty(globalThis, this.registryName, {
      value: this.registry,
      enumerable: false,
      configurable: true,
    });
  }

  /** Runs the delta: after the edit of every copy, in the order of the files. */
  extend(added, copies) {
    const { delta } = this.file;
    if (this.text === undefined && delta === undefined) return;
    this.publishRegistry();
    // The new code may use what Node.js passes into the module, although nothing has to be computed.
    this.fillRegistry(added);
    if (delta === undefined) return;
    const { scopes } = this;
    if (this.module) this.undo.keep(this.module.exports);
    for (const scope of scopes)
      for (const value of Object.values(scope)) if (typeof value === "object") this.undo.keep(value);
    const define = (target, literal, enumerable) => {
      this.undo.define(target, literal, enumerable);
      for (const key of Reflect.ownKeys(literal)) {
        this.defined = this.defined.filter((entry) => entry.target !== target || entry.key !== key);
        this.defined.push({ target, key, descriptor: Reflect.getOwnPropertyDescriptor(target, key) });
      }
    };
    define.keep = (value) => this.undo.keep(value);
    define.atRevert = (action) => this.undo.actions.push(action);
    // The text comes from a hotpatch whose signature was checked before it was sent here.
    const run = new Function("scopes", "imports", "define", this.ownText(delta.text));
    run(scopes, this.importsFrom(copies), define);
  }

  /** An ES module that is loaded cannot be given further exports, so what it lacks is taken from the registry of its copy. */
  importsFrom(copies) {
    return Object.fromEntries(
      Object.entries(this.imports).map(([specifier, namespace]) => {
        const changed = copies.find(({ filename }) => filename === this.resolveRelative(specifier));
        return [specifier, changed ? { ...namespace, ...changed.registry } : namespace];
      }),
    );
  }

  fillRegistry(added) {
    const { module, filename } = this;
    const load = module ? module.require.bind(module) : Module.createRequire(filename);
    this.registry.require = (specifier) => {
      const found = added.find(filename, specifier);
      return found === undefined ? load(specifier) : added.load(found);
    };
    this.registry.module = module ?? { exports: {} };
    this.registry.exports = this.registry.module.exports;
    this.registry.__filename = filename;
    this.registry.__dirname = path.dirname(filename);
  }

  readNames(witness, names) {
    const values = readScope(this.debugging, witness, names);
    const missing = names.filter((name) => !Object.hasOwn(values, name));
    if (missing.length > 0) throw new Error(`${this.filename} does not keep ${missing.join(", ")}.`);
    return values;
  }

  /** What is wrong with the functions and values, as sentences; nothing when all is as the hotpatch says. */
  faults() {
    const faults = [];
    for (const { name, newText, closures } of this.functions) {
      const live = closures.map((reference) => reference.deref()).filter((fn) => fn !== undefined);
      const stale = live.filter((fn) => toText.call(fn) !== newText);
      if (stale.length > 0)
        faults.push(`${name}: ${stale.length} of ${live.length} live closures show other code than the hotpatch's`);
    }
    if (this.isGated && this.registry[flagName] !== true) faults.push("the switch to the new code is off");
    if (this.isPublished && globalThis[this.registryName] !== this.registry)
      faults.push("the registry that the new code goes through was removed");
    for (const { target, key, descriptor } of this.defined) {
      if (!isSame(Reflect.getOwnPropertyDescriptor(target, key), descriptor))
        faults.push(`${String(key)}: the property has another value than the hotpatch gave it`);
    }
    return faults;
  }

  /** The values from before. */
  takeBackValues() {
    this.switchTo(false);
    this.undo.run();
    this.defined = [];
  }

  isInPlace() {
    return this.texts !== undefined && this.passed.at(-1) === this.text;
  }

  /**
   * To the code from before; throws when V8 does not do it.
   * A text with its marks may still be in place afterwards, which another call takes away: where each edit takes long, each gets a turn of its own.
   */
  restoreText() {
    const current = this.passed.at(-1);
    const between = current === undefined ? undefined : this.texts.wayBack(current);
    if (between !== undefined) this.passed = [between, current];
    while (this.passed.length > 0) {
      const { status, detail } = this.debugging.edit(this.script.scriptId, this.passed.at(-2) ?? this.source);
      if (status !== "Ok") throw new EditRefused(this, status, detail);
      this.passed.pop();
      if (this.texts.isSelective || this.texts.isGradual) return;
    }
  }

  findings() {
    return this.functions.map(({ name, newText, closures }) => {
      const live = closures.map((reference) => reference.deref()).filter((fn) => fn !== undefined);
      const good = live.filter((fn) => toText.call(fn) === newText).length;
      const subject = `${this.filename}: ${name}`;
      if (live.length === 0)
        return { subject, state: "unproven", evidence: "no live closure can be reached from the exports" };
      const state = good === live.length ? "proven" : "broken";
      return { subject, state, evidence: `${good} of ${live.length} live closures show the new code` };
    });
  }
}

/** Compares without calling a getter. */
function isSame(one, other) {
  return one !== undefined && ["value", "get", "set"].every((part) => Object.is(one[part], other[part]));
}

class EditRefused extends Error {
  constructor(copy, status, detail) {
    super(`V8 did not edit ${copy.filename}: ${status}${detail ? ` (${detail})` : ""}`);
    this.status = status;
    this.path = copy.file.path;
  }
}

module.exports = { EditRefused, findCopies, findMismatched };
