/**
 * Which files of a tree use which: the order in which they load, and the values that one copied from another while it loaded.
 */
import type { AnyNode } from "../javascript/syntax.ts";
import { parseSource } from "../javascript/syntax.ts";
import { cutIntoUnits, type Unit } from "../javascript/units.ts";
import { formatOf, resolveInTree, type SourceTree } from "./source-tree.ts";

const specifierPattern = /(?:\brequire\s*\(\s*|\bfrom\s*|\bimport\s*\(?\s*)(["'])(\.{1,2}\/[^"'\n]*)\1/g;

/** The given files, each after the files that it loads; circles are cut where they are met. */
export function dependencyOrder(tree: SourceTree, paths: readonly string[]): string[] {
  const wanted = new Set(paths);
  const ordered: string[] = [];
  const seen = new Set<string>();
  const visit = (path: string): void => {
    if (seen.has(path) || !wanted.has(path)) return;
    seen.add(path);
    for (const used of filesUsedBy(tree, path)) visit(used);
    ordered.push(path);
  };
  for (const path of paths) visit(path);
  return ordered;
}

/** ES modules whose exports an application can import: those that package.json names, and those that they hand on. */
export function publicModules(tree: SourceTree): Set<string> {
  const found = new Set<string>();
  const visit = (path: string | undefined): void => {
    if (path === undefined || found.has(path)) return;
    found.add(path);
    const text = tree.files.get(path) ?? "";
    // What was imported and is exported under its name is handed on as well, so every file that an entry uses by name counts if it exports by name.
    const handsOn = /\bexport\s*(?:\*|\{)/.test(text);
    if (handsOn) for (const used of filesUsedBy(tree, path)) visit(used);
  };
  for (const entry of entriesOf(tree)) visit(resolveInTree(tree, "package.json", entry));
  return found;
}

function entriesOf(tree: SourceTree): string[] {
  const manifest = JSON.parse(tree.files.get("package.json") ?? "{}") as Record<string, unknown>;
  const leaves = (value: unknown): string[] =>
    typeof value === "string"
      ? [value]
      : typeof value === "object" && value !== null
        ? Object.values(value).flatMap(leaves)
        : [];
  const named = leaves([manifest.main, manifest.module, manifest.exports]).filter((path) => !path.includes("*"));
  return [...named, "./index.js", "./index.mjs"].map((path) => (path.startsWith("./") ? path : `./${path}`));
}

function filesUsedBy(tree: SourceTree, path: string): string[] {
  const text = tree.files.get(path) ?? "";
  return [...text.matchAll(specifierPattern)].flatMap(
    ([, , specifier]) => resolveInTree(tree, path, specifier as string) ?? [],
  );
}

/**
 * Names in the module scope of `path` that hold a copy of an export whose value changes.
 * `changed` gives the changed exports of files that come before it in dependency order.
 */
export function copiedNames(
  tree: SourceTree,
  path: string,
  changed: ReadonlyMap<string, ReadonlySet<string>>,
): Set<string> {
  const sources = filesUsedBy(tree, path).filter((used) => (changed.get(used)?.size ?? 0) > 0);
  if (sources.length === 0) return new Set();
  const source = parseSource(path, tree.files.get(path) as string, formatOf(tree, path));
  const names = cutIntoUnits(source, source.program.body as unknown as AnyNode[]).flatMap((unit) =>
    copiesOf(unit, (specifier) => {
      const used = resolveInTree(tree, path, specifier);
      return used === undefined ? undefined : changed.get(used);
    }),
  );
  return new Set(names);
}

function copiesOf(unit: Unit, changedBy: (specifier: string) => ReadonlySet<string> | undefined): string[] {
  if (unit.imported) return changedBy(unit.imported.specifier)?.has(unit.imported.name) ? [...unit.names] : [];
  if (unit.kind !== "variable") return [];
  const init = unit.node.init as AnyNode | null;
  const pattern = unit.node.id as AnyNode;
  if (init?.type === "MemberExpression" && pattern.type === "Identifier") {
    const changed = changedBy(requiredBy(init.object as AnyNode) ?? "");
    return changed?.has((init.property as AnyNode).name as string) ? [...unit.names] : [];
  }
  const changed = init ? changedBy(requiredBy(init) ?? "") : undefined;
  if (changed === undefined || pattern.type !== "ObjectPattern") return [];
  const touched = (pattern.properties as AnyNode[]).some((property) =>
    changed.has((property.key as AnyNode | undefined)?.name as string),
  );
  // The declarator is evaluated again as a whole; names whose export stays get the value that they have.
  return touched ? [...unit.names] : [];
}

function requiredBy(node: AnyNode): string | undefined {
  if (node.type !== "CallExpression" || (node.callee as AnyNode).name !== "require") return undefined;
  const [argument] = node.arguments as AnyNode[];
  return typeof argument?.value === "string" ? argument.value : undefined;
}
