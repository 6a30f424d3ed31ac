/**
 * Text of the new version made to run where the old version runs.
 *
 * A reference whose variable the running process does not hold, or holds with an old value, goes through the registry object instead; every other reference stays as it is.
 */
import type { Node } from "acorn";
import type { Bindings, PlacedReference } from "./bindings.ts";
import type { Range } from "./function-tree.ts";
import { type AnyNode, childNodes, firstIndex, isNode, type SourceFile } from "./syntax.ts";

/** Undefined where the reference can stay. */
export type Substitute = (placed: PlacedReference) => string | undefined;

export interface Edit extends Range {
  readonly text: string;
}

/** The text of `range` with every reference in it substituted. */
export function rewriteReferences(
  source: SourceFile,
  bindings: Bindings,
  range: Range,
  substitute: Substitute,
): string {
  const edits: Edit[] = [];
  for (const placed of referencesIn(bindings, range)) {
    const edit = referenceEdit(source, placed, substitute);
    if (edit) edits.push(edit);
  }
  return applyEdits(source.text, range, edits);
}

/** The edit that puts the substitute in the reference's place; undefined where it can stay. */
export function referenceEdit(source: SourceFile, placed: PlacedReference, substitute: Substitute): Edit | undefined {
  const text = substitute(placed);
  return text === undefined
    ? undefined
    : { start: placed.start, end: placed.end, text: inPosition(source, placed, text) };
}

export function applyEdits(text: string, range: Range, edits: readonly Edit[]): string {
  let result = "";
  let at = range.start;
  for (const edit of [...edits].sort((a, b) => a.start - b.start || a.end - b.end)) {
    // `var x = 1` refers to x twice at one place (declaration and initialiser); once is enough.
    if (edit.start < at) continue;
    result += text.slice(at, edit.start) + edit.text;
    at = edit.end;
  }
  return result + text.slice(at, range.end);
}

export function* referencesIn(bindings: Bindings, range: Range): Generator<PlacedReference> {
  const { references } = bindings;
  let index = firstIndex(references.length, (at) => (references[at]?.start ?? 0) >= range.start);
  for (let placed = references[index]; placed !== undefined && placed.start < range.end; placed = references[++index]) {
    if (placed.end <= range.end) yield placed;
  }
}

function inPosition(source: SourceFile, placed: PlacedReference, text: string): string {
  const path = pathTo(source.program, placed.start, placed.end);
  const parent = path.at(-2);
  if (parent?.type === "Property" && parent.shorthand === true) return `${placed.name}: ${text}`;
  const grandparent = path.at(-3);
  if (
    parent?.type === "AssignmentPattern" &&
    grandparent?.type === "Property" &&
    grandparent.shorthand === true &&
    parent.left === path.at(-1)
  ) {
    return `${placed.name}: ${text}`;
  }
  // A call through a member would hand the registry over as `this`.
  const isCalled =
    (parent?.type === "CallExpression" && parent.callee === path.at(-1)) ||
    (parent?.type === "TaggedTemplateExpression" && parent.tag === path.at(-1));
  return isCalled ? `(0, ${text})` : text;
}

/** The nodes from the program down to the one at exactly this place that is wanted (an identifier unless told). */
export function pathTo(
  program: Node,
  start: number,
  end: number,
  isWanted: (node: AnyNode) => boolean = (node) => node.type === "Identifier",
): AnyNode[] {
  const path: AnyNode[] = [];
  let current: AnyNode | undefined = isNode(program) ? program : undefined;
  while (current) {
    path.push(current);
    if (current.start === start && current.end === end && isWanted(current)) return path;
    current = childNodes(current).findLast((child) => child.start <= start && child.end >= end);
  }
  return path;
}
