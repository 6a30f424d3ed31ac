/**
 * Which name means which variable, and which variables live on after their function has returned.
 *
 * V8 keeps a variable in a context object only if a function inside refers to it ("captured"); the others are gone when their function has returned.
 * A live edit must leave the set of captured variables of every function that has run as it was, so this set is what the rest of this folder steers by.
 */
import { analyze, type Reference, type Scope, type ScopeManager, type Variable } from "eslint-scope";
import { type FunctionEntry, functionAt } from "./function-tree.ts";
import type { AnyNode, SourceFile } from "./syntax.ts";

/** The parameters of the function that Node.js wraps around a CommonJS file. */
export const wrapperNames = new Set(["require", "module", "exports", "__filename", "__dirname"]);

export interface Bindings {
  readonly manager: ScopeManager;
  readonly root: FunctionEntry;
  /** Every reference with the function that it stands in, in source order. */
  readonly references: readonly PlacedReference[];
}

export interface PlacedReference {
  readonly reference: Reference;
  readonly start: number;
  readonly end: number;
  readonly name: string;
  readonly within: FunctionEntry;
  /** Undefined for globals and for the names that Node.js passes in. */
  readonly variable: Variable | undefined;
}

export function analyseBindings(source: SourceFile, root: FunctionEntry): Bindings {
  const manager = analyze(
    source.program as never,
    {
      ecmaVersion: 2022,
      sourceType: source.format === "module" ? "module" : "commonjs",
      nodejsScope: source.format === "commonjs",
      ignoreEval: true,
    } as never,
  );
  const references: PlacedReference[] = [];
  for (const scope of manager.scopes) {
    for (const reference of scope.references) {
      const identifier = reference.identifier as unknown as AnyNode;
      references.push({
        reference,
        start: identifier.start,
        end: identifier.end,
        name: identifier.name as string,
        within: functionAt(root, identifier.start),
        variable: reference.resolved ?? undefined,
      });
    }
  }
  references.sort((a, b) => a.start - b.start);
  return { manager, root, references };
}

/** The function whose activation holds the variable. */
export function ownerOf(bindings: Bindings, variable: Variable): FunctionEntry {
  const block = holderOf(variable).block as unknown as AnyNode;
  if (block.type === "Program") return bindings.root;
  // A parameter's scope starts at the function itself, so its own start lies inside it.
  return functionAt(bindings.root, block.start);
}

/** A reference from another function than the variable's own keeps the variable alive in a context. */
export function isCapturing(bindings: Bindings, placed: PlacedReference): boolean {
  if (placed.variable === undefined) return wrapperNames.has(placed.name) && placed.within !== bindings.root;
  // The initialisers of class fields are functions of their own to V8.
  if (holderOf(placed.variable).block !== placed.reference.from.variableScope.block) return true;
  return ownerOf(bindings, placed.variable) !== placed.within;
}

/** The name of a function expression belongs to that function alone, although it lies in a scope around it. */
function holderOf({ scope }: Variable): Scope {
  return scope.type === "function-expression-name" ? scope : scope.variableScope;
}

/** A stable name for a variable: its function's place in the tree, its block's place in the function, its name. */
export function captureKey(
  bindings: Bindings,
  placed: PlacedReference,
  path: (entry: FunctionEntry) => string,
): string {
  if (placed.variable === undefined) return `#${placed.name}`;
  return `${path(ownerOf(bindings, placed.variable))}#${placed.name}`;
}

/** The variable that `name` means at the given scope, looking outwards; undefined when it is a global. */
export function lookUp(scope: Scope | null, name: string): Variable | undefined {
  for (let current = scope; current !== null; current = current.upper) {
    const variable = current.set.get(name);
    if (variable !== undefined && (variable.defs.length > 0 || name === "arguments")) return variable;
  }
  return undefined;
}

/** The scope that surrounds a function, from which its free names are looked up. */
export function scopeAround(bindings: Bindings, entry: FunctionEntry): Scope | null {
  if (entry.parent === undefined) return null;
  const own = bindings.manager.acquire(entry.node as never, false);
  // A named function expression has a scope of its own that holds just its name; what surrounds that is wanted.
  const outermost = own?.type === "function-expression-name" ? own : bindings.manager.acquire(entry.node as never);
  return outermost?.upper ?? null;
}

/** Written again after its declaration has run: its value at one moment says nothing about the next. */
export function isReassigned(bindings: Bindings, variable: Variable): boolean {
  return bindings.references.some(
    ({ variable: resolved, reference, within }) =>
      resolved === variable && reference.isWrite() && reference.init !== true && !within.runsAtLoad,
  );
}
