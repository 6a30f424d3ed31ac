"use strict";
/**
 * Files that are loaded after the patch get the fixed text as they load, recognised by their content, for as long as the hotpatch is in place.
 */

const Module = require("node:module");
const { createHash } = require("node:crypto");
const { fileURLToPath, pathToFileURL } = require("node:url");
const { importModule } = require("./import-module.cjs");

/** Fixed texts by length and hash of the text that they replace. */
const replacements = new Map();
/** Where a fixed text was loaded in place of another, by the latter's key: these copies stay fixed when a hotpatch is taken back. */
const loadedFixed = new Map();
/** The added files that a file which was loaded fixed may use, and those that an added file itself may, by filename. */
const servedBy = new Map();
let hooked = false;
const filenamesMax = 1000;

function keyOf(text) {
  return `${text.length}:${createHash("sha256").update(text, "utf8").digest("hex")}`;
}

function replacementFor(text, filename) {
  if (replacements.size === 0) return undefined;
  if (![...replacements.values()].some(({ length }) => length === text.length)) return undefined;
  const key = keyOf(text);
  const entry = replacements.get(key);
  if (entry === undefined) return undefined;
  const filenames = loadedFixed.get(key) ?? new Set();
  if (filenames.size < filenamesMax) loadedFixed.set(key, filenames.add(filename));
  entry.added.provideFor(filename, entry.path);
  servedBy.set(filename, entry.added);
  return entry;
}

/** The added file that a specifier of an ES module means. */
function addedFile(specifier, parentUrl) {
  if (specifier.startsWith("file:")) {
    const filename = fileURLToPath(specifier);
    return servedBy.get(filename)?.texts.has(filename) ? filename : undefined;
  }
  const from = parentUrl?.startsWith("file:") ? fileURLToPath(parentUrl) : undefined;
  const added = from === undefined ? undefined : servedBy.get(from);
  const found = added?.find(from, specifier);
  if (found !== undefined) servedBy.set(found, added);
  return found;
}

/** Added files are loaded by ES modules only, so one without a telling extension is one too. */
function formatOf(filename) {
  if (filename.endsWith(".json")) return "json";
  return filename.endsWith(".cjs") ? "commonjs" : "module";
}

/** CommonJS goes through the compile step of its loader; ES modules through the synchronous hooks that Node.js has since 22.15. */
function hook() {
  if (hooked) return;
  hooked = true;
  const compile = Module.prototype._compile;
  Module.prototype._compile = function _compile(content, filename, ...rest) {
    const fixed = typeof content === "string" ? replacementFor(content, filename) : undefined;
    fixed?.added.serve(this);
    return compile.call(this, fixed?.text ?? content, filename, ...rest);
  };
  if (typeof Module.registerHooks !== "function") return;
  Module.registerHooks({
    resolve(specifier, context, next) {
      const found = addedFile(specifier, context.parentURL);
      if (found === undefined) return next(specifier, context);
      return { url: pathToFileURL(found).href, format: formatOf(found), shortCircuit: true };
    },
    load(url, context, next) {
      const filename = url.startsWith("file:") ? fileURLToPath(url) : url;
      const source = servedBy.get(filename)?.texts.get(filename);
      if (source !== undefined) return { format: context.format ?? formatOf(filename), source, shortCircuit: true };
      const loaded = next(url, context);
      if (loaded.format !== "module" || loaded.source === undefined || loaded.source === null) return loaded;
      const text = typeof loaded.source === "string" ? loaded.source : Buffer.from(loaded.source).toString("utf8");
      const fixed = replacementFor(text, filename);
      return fixed === undefined ? loaded : { ...loaded, source: fixed.text };
    },
  });
}

/** From now on, a file with exactly this content loads with the fixed text, and finds the added files. Tells where that happened, and how to end it. */
function replaceOnLoad(file, added) {
  hook();
  const key = `${file.before.length}:${file.before.sha256}`;
  replacements.set(key, { length: file.before.length, text: file.after, path: file.path, added });
  return { filenames: () => [...(loadedFixed.get(key) ?? [])], end: () => replacements.delete(key) };
}

/** The namespace of an added file that is an ES module; throws where Node.js gives no way to load one from memory. */
async function importAdded(added, filename) {
  if (!coversModules)
    throw new Error(`Node.js ${process.versions.node} cannot load the new ES module ${filename}; it can since 22.15.`);
  hook();
  servedBy.set(filename, added);
  return await importModule(pathToFileURL(filename).href);
}

const coversModules = typeof Module.registerHooks === "function";

module.exports = { coversModules, importAdded, replaceOnLoad };
