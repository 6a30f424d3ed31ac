/**
 * Packages that only the fixed version requires: a process that has loaded the old one need not have them anywhere, so their files travel with the hotpatch.
 */
import { readFileSync } from "node:fs";
import { createRequire, isBuiltin } from "node:module";
import { dirname, join, posix, relative, sep } from "node:path";
import type { FetchedPackage } from "./npm-package.ts";
import type { SourceTree } from "./source-tree.ts";

const specifierPattern = /(?:\brequire\s*\(\s*|\bfrom\s*|\bimport\s*\(?\s*)(["'])([^"'\n]+)\1/g;
const fileLimit = 2000;

interface Versions {
  readonly before: FetchedPackage;
  readonly after: FetchedPackage;
  readonly trees: { readonly before: SourceTree; readonly after: SourceTree };
}

/**
 * Texts by the path that they are to have from the package's folder, such as `node_modules/lodash/lodash.js`.
 * Nothing is given for what cannot be found; the rehearsal then says what is missing.
 */
export function newDependencies({ before, after, trees }: Versions): Map<string, string> {
  const found = new Map<string, string>();
  for (const [path, text] of trees.after.files) {
    if (text === trees.before.files.get(path) || !/\.[cm]?js$/.test(path)) continue;
    for (const specifier of packagesIn(text)) {
      if (resolveFrom(before, path, specifier) !== undefined) continue;
      const entry = resolveFrom(after, path, specifier);
      if (entry !== undefined) collect(entry, specifier, after, found);
    }
  }
  return found;
}

function packagesIn(text: string): string[] {
  return specifiersIn(text).filter((specifier) => !/^[./]/.test(specifier));
}

function specifiersIn(text: string): string[] {
  return [...text.matchAll(specifierPattern)]
    .map(([, , specifier]) => specifier as string)
    .filter((specifier) => !isBuiltin(specifier) && !/^\w+:/.test(specifier));
}

function resolveFrom({ folder }: { readonly folder: string }, path: string, specifier: string): string | undefined {
  try {
    return createRequire(join(folder, path)).resolve(specifier);
  } catch {
    // Not installed, or an ES module that CommonJS cannot resolve.
    return undefined;
  }
}

/** The file and all that it requires; `specifier` is made to lead to it. */
function collect(entry: string, specifier: string, after: FetchedPackage, found: Map<string, string>): void {
  const place = placeOf(entry, after);
  if (place === undefined) return;
  if (!/^[./]/.test(specifier)) addAlias(specifier, place, found);
  if (found.has(place) || found.size >= fileLimit) return;
  const text = readFileSync(entry, "utf8");
  found.set(place, text);
  if (!/\.c?js$/.test(entry)) return;
  for (const next of specifiersIn(text)) {
    const file = resolveFrom({ folder: dirname(entry) }, "x.js", next);
    if (file !== undefined) collect(file, next, after, found);
  }
}

/** Where the entry of a package is neither its `index.js` nor named like the specifier, a file of ours leads to it. */
function addAlias(specifier: string, place: string, found: Map<string, string>): void {
  const base = posix.join("node_modules", specifier);
  if ([base, `${base}.js`, `${base}.cjs`, `${base}.json`, `${base}/index.js`].includes(place)) return;
  const alias = `${base}/index.js`;
  found.set(alias, `module.exports = require(${JSON.stringify(`./${posix.relative(base, place)}`)});\n`);
}

/** Below the package's own `node_modules`, wherever npm has put the dependency. */
function placeOf(file: string, { folder, base }: FetchedPackage): string | undefined {
  const own = relative(folder, file);
  const shared = relative(join(base, "node_modules"), file);
  if (!own.startsWith("..")) return own.split(sep).join("/");
  return shared.startsWith("..") ? undefined : join("node_modules", shared).split(sep).join("/");
}
