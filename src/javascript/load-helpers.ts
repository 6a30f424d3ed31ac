/**
 * Functions that only the loading of a module called: once it has loaded, nothing leads to them, so their changes have nothing to do in a running process.
 *
 * Compilers write such helpers into every file that they make (`_createClass`, `__exportStar`) and change them from release to release.
 */
import type { Variable } from "eslint-scope";
import { type Bindings, ownerOf, type PlacedReference } from "./bindings.ts";
import { descendants, type FunctionEntry } from "./function-tree.ts";
import { type AnyNode, childNodes, type SourceFile } from "./syntax.ts";

/** Declared functions that are called while the module loads, or by one another, and that nothing else refers to. */
export function loadHelpers(source: SourceFile, bindings: Bindings): ReadonlySet<FunctionEntry> {
  const callees = new Set<number>();
  const exported = new Set<AnyNode>();
  survey(source.program as unknown as AnyNode, callees, exported);
  const entries = new Map([...descendants(bindings.root)].map((entry) => [entry.node, entry]));
  const helpers = new Map<Variable, FunctionEntry>();
  const references = Map.groupBy(bindings.references, ({ variable }) => variable);
  for (const variable of references.keys()) {
    const entry = variable && declaredBy(variable, entries);
    if (entry === undefined || exported.has(entry.node) || entry.children.length > 0) continue;
    if (ownerOf(bindings, variable as Variable).runsAtLoad) helpers.set(variable as Variable, entry);
  }
  const isHarmless = ({ start, within }: PlacedReference): boolean =>
    callees.has(start) && (within.runsAtLoad || [...helpers.values()].includes(within));
  for (let shrank = true; shrank; ) {
    shrank = false;
    for (const variable of helpers.keys())
      if (!references.get(variable)?.every(isHarmless)) shrank = helpers.delete(variable) || shrank;
  }
  return new Set(helpers.values());
}

function declaredBy({ defs }: Variable, entries: ReadonlyMap<AnyNode, FunctionEntry>): FunctionEntry | undefined {
  const [only, ...others] = defs;
  if (only?.type !== "FunctionName" || others.length > 0) return undefined;
  const node = only.node as unknown as AnyNode;
  return node.type === "FunctionDeclaration" ? entries.get(node) : undefined;
}

/** Where names stand that are called, and the functions that an ES module exports where it declares them. */
function survey(node: AnyNode, callees: Set<number>, exported: Set<AnyNode>): void {
  if (node.type === "CallExpression" && (node.callee as AnyNode).type === "Identifier")
    callees.add((node.callee as AnyNode).start);
  if (node.type.startsWith("Export") && node.declaration) exported.add(node.declaration as AnyNode);
  for (const child of childNodes(node)) survey(child, callees, exported);
}
