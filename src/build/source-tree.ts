/**
 * The JavaScript files of a package or a program, as texts by path.
 *
 * Reading is bounded in files and bytes, follows no links, and leaves out what belongs to other packages (`node_modules`).
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { RebootlessError } from "../base/errors.ts";
import type { ModuleFormat } from "../javascript/syntax.ts";

export interface SourceTree {
  /** Texts by relative path with `/`, in the order of their paths. */
  readonly files: ReadonlyMap<string, string>;
}

const fileLimit = 20_000;
const fileBytesMax = 32 * 1024 * 1024;
const sourcePattern = /\.(?:[cm]?js|json)$/;

/** Reads every `.js`, `.cjs`, `.mjs` and `.json` file below the folder. */
export function readSourceTree(folder: string): SourceTree {
  const paths: string[] = [];
  collectPaths(folder, "", paths);
  return { files: new Map(paths.sort().map((path) => [path, readText(join(folder, path))])) };
}

function collectPaths(folder: string, relative: string, paths: string[]): void {
  for (const entry of readdirSync(join(folder, relative), { withFileTypes: true })) {
    const path = posix.join(relative, entry.name);
    if (entry.isDirectory() && entry.name !== "node_modules" && entry.name !== ".git")
      collectPaths(folder, path, paths);
    if (entry.isFile() && sourcePattern.test(entry.name)) paths.push(path);
    if (paths.length > fileLimit) {
      throw new RebootlessError(
        "input/too-large",
        `${folder} has more than ${fileLimit} JavaScript files; name a smaller folder.`,
      );
    }
  }
}

function readText(path: string): string {
  if (statSync(path).size > fileBytesMax) {
    throw new RebootlessError("input/too-large", `${path} is larger than ${fileBytesMax} bytes.`);
  }
  // Node.js drops a byte order mark before V8 sees the text, so the text that is compared and recognised has none either.
  return readFileSync(path, "utf8").replace(/^\uFEFF/, "");
}

/** How Node.js loads the file: by its extension, then by `type` of the nearest package.json. */
export function formatOf(tree: SourceTree, path: string): ModuleFormat {
  if (path.endsWith(".mjs")) return "module";
  if (path.endsWith(".cjs")) return "commonjs";
  for (let folder = posix.dirname(path); ; folder = posix.dirname(folder)) {
    const text = tree.files.get(posix.join(folder, "package.json"));
    if (text !== undefined) return packageType(text);
    if (folder === "." || folder === "/") return "commonjs";
  }
}

function packageType(text: string): ModuleFormat {
  try {
    return (JSON.parse(text) as { type?: unknown }).type === "module" ? "module" : "commonjs";
  } catch {
    // A package.json that does not parse names no type, and Node.js would refuse to load the file at all.
    return "commonjs";
  }
}

/** The file of the tree that a relative specifier means, as Node.js resolves it for CommonJS. */
export function resolveInTree(tree: SourceTree, from: string, specifier: string): string | undefined {
  if (!/^\.{1,2}(?:\/|$)/.test(specifier)) return undefined;
  const base = posix.normalize(posix.join(dirname(from), specifier));
  return [base, `${base}.js`, `${base}.json`, `${base}.cjs`, posix.join(base, "index.js")].find((path) =>
    tree.files.has(path),
  );
}
