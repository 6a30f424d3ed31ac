/**
 * Captured variables that something assigns after their declaration, and those that nothing does.
 *
 * V8 (from version 14) keeps the former in another form than the latter, and code compiled for one form ends the whole process when it meets the other.
 * So whether a captured variable is assigned must be the same in the old and in the live text, for as long as both have it: a reference that is never evaluated, `x = x`, keeps it assigned; a first assignment cannot be hidden.
 */
import type { Variable } from "eslint-scope";
import { type Bindings, captureKey, isCapturing, ownerOf, type PlacedReference } from "./bindings.ts";
import { descendants, type FunctionEntry } from "./function-tree.ts";

/** The functions that assign each captured variable, by the variable's key; none for one that is never assigned. */
export function assignersOf(bindings: Bindings, path: (entry: FunctionEntry) => string): Map<string, FunctionEntry[]> {
  const captured = new Map<Variable, FunctionEntry[]>();
  const keys = new Map<Variable, string>();
  for (const placed of bindings.references) {
    if (placed.variable === undefined || !isCapturing(bindings, placed)) continue;
    captured.set(placed.variable, []);
    keys.set(placed.variable, captureKey(bindings, placed, path));
  }
  for (const placed of bindings.references) {
    if (placed.variable && isAssignment(placed)) captured.get(placed.variable)?.push(placed.within);
  }
  return new Map([...captured].map(([variable, entries]) => [keys.get(variable) as string, entries]));
}

function isAssignment({ reference }: PlacedReference): boolean {
  return reference.isWrite() && reference.init !== true;
}

export interface Side {
  readonly bindings: Bindings;
  readonly text: string;
  readonly entry: FunctionEntry;
}

/** For a function that is exchanged as a whole: variables of it that its inner functions keep, and that one version alone assigns. */
export interface InnerDifference {
  /** To be kept assigned by a reference at the function's end. */
  readonly keep: readonly string[];
  /** Nothing helps. */
  readonly open: readonly string[];
}

export function innerDifference(before: Side, after: Side): InnerDifference {
  const old = ownedInside(before);
  const keep: string[] = [];
  const open: string[] = [];
  for (const [name, variable] of ownedInside(after)) {
    const former = old.get(name);
    if (former === undefined || former.isAssigned === variable.isAssigned) continue;
    if (former.isAssigned && variable.canBeAssignedAtEnd) keep.push(name);
    else if (former.isAssigned || keepsUnchanged(before, after, former.variables)) open.push(name);
  }
  return { keep, open };
}

interface Owned {
  readonly variables: ReadonlySet<Variable>;
  readonly isAssigned: boolean;
  readonly canBeAssignedAtEnd: boolean;
}

/** Captured variables of the function and of those inside it, by name. */
function ownedInside({ bindings, entry }: Side): Map<string, Owned> {
  const owned = new Map<string, Set<Variable>>();
  for (const placed of bindings.references) {
    if (placed.variable === undefined || !isCapturing(bindings, placed)) continue;
    const owner = ownerOf(bindings, placed.variable);
    if (owner.node.start < entry.node.start || owner.node.end > entry.node.end) continue;
    owned.set(placed.name, (owned.get(placed.name) ?? new Set()).add(placed.variable));
  }
  const assigned = new Set(bindings.references.filter(isAssignment).map(({ variable }) => variable));
  return new Map(
    [...owned].map(([name, variables]) => [
      name,
      {
        variables,
        isAssigned: [...variables].some((variable) => assigned.has(variable)),
        canBeAssignedAtEnd: [...variables].every((variable) => isOfBody(bindings, entry, variable)),
      },
    ]),
  );
}

/** Visible, and not constant, at the end of the function's body. */
function isOfBody(bindings: Bindings, entry: FunctionEntry, variable: Variable): boolean {
  const isConstant = variable.defs.some(
    ({ type, parent }) => type === "ClassName" || (parent as { kind?: string } | null)?.kind === "const",
  );
  return !isConstant && ownerOf(bindings, variable) === entry && variable.scope === variable.scope.variableScope;
}

/** An inner function that stays as it is keeps the code that was compiled for the old form. */
function keepsUnchanged(before: Side, after: Side, variables: ReadonlySet<Variable>): boolean {
  const texts = new Set([...descendants(after.entry)].map(({ range }) => after.text.slice(range.start, range.end)));
  return before.bindings.references.some(
    ({ variable, within }) =>
      variable !== undefined &&
      variables.has(variable) &&
      within !== before.entry &&
      texts.has(before.text.slice(within.range.start, within.range.end)),
  );
}
