"use strict";
/**
 * Files that are loaded after the patch get the fixed text as they load, recognised by their content, for as long as the hotpatch is in place.
 */

const Module = require("node:module");
const { createHash } = require("node:crypto");
const { fileURLToPath } = require("node:url");

/** Fixed texts by length and hash of the text that they replace. */
const replacements = new Map();
/** Where a fixed text was loaded in place of another, by the latter's key: these copies stay fixed when a hotpatch is taken back. */
const loadedFixed = new Map();
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
  return entry.text;
}

/** CommonJS goes through the compile step of its loader; ES modules through the synchronous hooks that Node.js has since 22.15. */
function hook() {
  if (hooked) return;
  hooked = true;
  const compile = Module.prototype._compile;
  Module.prototype._compile = function _compile(content, filename, ...rest) {
    const fixed = typeof content === "string" ? replacementFor(content, filename) : undefined;
    return compile.call(this, fixed ?? content, filename, ...rest);
  };
  if (typeof Module.registerHooks !== "function") return;
  Module.registerHooks({
    load(url, context, next) {
      const loaded = next(url, context);
      if (loaded.format !== "module" || loaded.source === undefined || loaded.source === null) return loaded;
      const text = typeof loaded.source === "string" ? loaded.source : Buffer.from(loaded.source).toString("utf8");
      const fixed = replacementFor(text, url.startsWith("file:") ? fileURLToPath(url) : url);
      return fixed === undefined ? loaded : { ...loaded, source: fixed };
    },
  });
}

/** From now on, a file with exactly this content loads with the fixed text. Tells where that happened, and how to end it. */
function replaceOnLoad(file) {
  hook();
  const key = `${file.before.length}:${file.before.sha256}`;
  replacements.set(key, { length: file.before.length, text: file.after });
  return { filenames: () => [...(loadedFixed.get(key) ?? [])], end: () => replacements.delete(key) };
}

const coversModules = typeof Module.registerHooks === "function";

module.exports = { coversModules, replaceOnLoad };
