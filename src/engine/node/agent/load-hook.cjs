"use strict";
/**
 * Files that are loaded after the patch get the fixed text as they load, recognised by their content, for as long as the hotpatch is in place.
 */

const Module = require("node:module");
const { createHash } = require("node:crypto");

/** Fixed texts by length and hash of the text that they replace. */
const replacements = new Map();
let hooked = false;

function keyOf(text) {
  return `${text.length}:${createHash("sha256").update(text, "utf8").digest("hex")}`;
}

function replacementFor(text) {
  if (replacements.size === 0) return undefined;
  if (![...replacements.values()].some(({ length }) => length === text.length)) return undefined;
  const entry = replacements.get(keyOf(text));
  if (entry === undefined) return undefined;
  entry.count++;
  return entry.text;
}

/** CommonJS goes through the compile step of its loader; ES modules through the synchronous hooks that Node.js has since 22.15. */
function hook() {
  if (hooked) return;
  hooked = true;
  const compile = Module.prototype._compile;
  Module.prototype._compile = function _compile(content, ...rest) {
    const fixed = typeof content === "string" ? replacementFor(content) : undefined;
    return compile.call(this, fixed ?? content, ...rest);
  };
  if (typeof Module.registerHooks !== "function") return;
  Module.registerHooks({
    load(url, context, next) {
      const loaded = next(url, context);
      if (loaded.format !== "module" || loaded.source === undefined || loaded.source === null) return loaded;
      const text = typeof loaded.source === "string" ? loaded.source : Buffer.from(loaded.source).toString("utf8");
      const fixed = replacementFor(text);
      return fixed === undefined ? loaded : { ...loaded, source: fixed };
    },
  });
}

/** From now on, a file with exactly this content loads as `fixed`. Returns how often that happened, and how to end it. */
function replaceOnLoad(file) {
  hook();
  const key = `${file.before.length}:${file.before.sha256}`;
  const entry = { length: file.before.length, text: file.after, count: 0 };
  replacements.set(key, entry);
  return { count: () => entry.count, end: () => replacements.delete(key) };
}

const coversModules = typeof Module.registerHooks === "function";

module.exports = { coversModules, replaceOnLoad };
