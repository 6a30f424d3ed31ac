"use strict";
/**
 * Files that only the fixed version has, and packages that only it requires: they exist for the new code alone, beside the copy that needs them, and never on the disk.
 *
 * They are found as Node.js finds files (Node.js documentation, Modules, "All together"), of which only what a build writes is needed: extensions, `index.js`, and `node_modules` folders upwards.
 */

const Module = require("node:module");
const path = require("node:path");

class AddedFiles {
  /** @param added `{ path, text }`, with paths from the package's folder */
  constructor(added) {
    this.added = added;
    /** Absolute filenames to texts, for every copy seen so far. */
    this.texts = new Map();
    this.modules = new Map();
  }

  /** Makes the files exist for one copy of the package; `relative` is the path of `filename` within it. */
  provideFor(filename, relative) {
    if (!filename.endsWith(`/${relative}`)) return;
    const root = filename.slice(0, filename.length - relative.length);
    for (const { path: place, text } of this.added) this.texts.set(path.join(root, place), text);
  }

  /** The added file that a specifier in `filename` means; undefined where it means none. */
  find(filename, specifier) {
    if (this.texts.size === 0 || path.isAbsolute(specifier) || Module.isBuiltin(specifier)) return undefined;
    const folder = path.dirname(filename);
    if (/^\.{1,2}(?:\/|$)/.test(specifier)) return this.fileAt(path.resolve(folder, specifier));
    for (let current = folder; ; current = path.dirname(current)) {
      const found = this.fileAt(path.join(current, "node_modules", specifier));
      if (found !== undefined || current === path.dirname(current)) return found;
    }
  }

  fileAt(place) {
    return [place, `${place}.js`, `${place}.cjs`, `${place}.json`, path.join(place, "index.js")].find((candidate) =>
      this.texts.has(candidate),
    );
  }

  /** What the added file exports. */
  load(filename) {
    const known = this.modules.get(filename);
    if (known) return known.exports;
    const module = new Module(filename);
    this.modules.set(filename, module);
    module.filename = filename;
    module.paths = Module._nodeModulePaths(path.dirname(filename));
    this.serve(module);
    try {
      if (filename.endsWith(".json")) module.exports = JSON.parse(this.texts.get(filename));
      else module._compile(this.texts.get(filename), filename);
    } catch (error) {
      this.modules.delete(filename);
      throw error;
    }
    return module.exports;
  }

  /** Lets a CommonJS module require added files. */
  serve(module) {
    const { filename } = module;
    const load = module.require;
    module.require = (specifier) => {
      const added = this.find(filename, specifier);
      return added === undefined ? load.call(module, specifier) : this.load(added);
    };
  }
}

module.exports = { AddedFiles };
