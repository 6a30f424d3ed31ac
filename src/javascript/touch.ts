/**
 * Marks on functions that do not change, so that V8 gives each of their closures code of its own.
 *
 * Where one function literal has several closures and none of them has run yet, V8 13 and later leave the closures of a live-edited script in a state in which running one and then another ends the process; a function whose text changed is spared.
 * A comment is change enough. It goes into every function that may have several closures: those written in a function that can run again, or in a loop.
 */
import { buildFunctionTree, descendants, type FunctionEntry, type Range } from "./function-tree.ts";
import { type AnyNode, childNodes, type SourceFile } from "./syntax.ts";

/** The agent exchanges the digit where one edit follows another, since every edit has to change the text. */
export const touchMark = "/*rb:0*/";

/** Where marks go into the text: just inside the braces, or behind the arrow; `isChanged` names functions that need none. */
export function touchOffsets(
  source: SourceFile,
  root: FunctionEntry,
  isChanged: (entry: FunctionEntry) => boolean,
): number[] {
  return [...descendants(root)]
    .filter((entry) => !isChanged(entry) && mayHaveSeveralClosures(entry))
    .map((entry) => insideOf(source, entry.node))
    .sort((a, b) => a - b);
}

export function withMarks(text: string, offsets: readonly number[]): string {
  let result = "";
  let at = 0;
  for (const offset of offsets) {
    result += text.slice(at, offset) + touchMark;
    at = offset;
  }
  return result + text.slice(at);
}

/** A place of the text without marks, in the text with them; a mark at the very place counts as behind it. */
export function shiftByMarks(offset: number, offsets: readonly number[]): number {
  return offset + touchMark.length * offsets.filter((mark) => mark < offset).length;
}

export function shiftRange({ start, end }: Range, offsets: readonly number[]): Range {
  return { start: shiftByMarks(start, offsets), end: shiftByMarks(end, offsets) };
}

function mayHaveSeveralClosures({ parent, node }: FunctionEntry): boolean {
  return parent !== undefined && (!parent.runsAtLoad || isInLoop(parent.node, node));
}

const loops = new Set(["ForStatement", "ForInStatement", "ForOfStatement", "WhileStatement", "DoWhileStatement"]);

function isInLoop(around: AnyNode, node: AnyNode): boolean {
  for (let current: AnyNode | undefined = around; current && current !== node; ) {
    if (loops.has(current.type)) return true;
    current = childNodes(current).find((child) => child.start <= node.start && child.end >= node.end);
  }
  return false;
}

function insideOf(source: SourceFile, node: AnyNode): number {
  const body = node.body as AnyNode;
  if (body.type === "BlockStatement") return body.start + 1;
  const parameters = node.params as AnyNode[];
  return source.text.indexOf("=>", parameters.at(-1)?.end ?? node.start) + 2;
}

/** A function of a live text, in both texts. */
interface MarkedFunction extends Range {
  readonly before: Range;
  readonly body: { readonly start: number; readonly before: number } | undefined;
}

export interface Marked<F> {
  readonly text: string;
  readonly functions: readonly F[];
  /** Places of the old text that get a mark where the old text is taken over into an edit. */
  readonly marks: readonly number[];
}

/** The live text with marks; functions that change, or that a changed one lies in, need none. */
export function markShared<F extends MarkedFunction>(
  before: SourceFile,
  live: SourceFile,
  functions: readonly F[],
): Marked<F> {
  const holds = (outer: Range, inner: Range): boolean => outer.start <= inner.start && inner.end <= outer.end;
  const old = [...descendants(buildFunctionTree(before))];
  // Where the old function had none inside, no closure of an inner one can exist yet.
  const isBare = (found: F): boolean =>
    !old.some(({ range }) => holds(found.before, range) && range.start > found.before.start);
  const bare = functions.filter(isBare);
  const offsets = touchOffsets(
    live,
    buildFunctionTree(live),
    ({ range }) => functions.some((found) => holds(range, found)) || bare.some((found) => holds(found, range)),
  );
  const marks = touchOffsets(before, buildFunctionTree(before), ({ range }) =>
    functions.some((found) => holds(range, found.before)),
  );
  const shifted = functions.map((found) => ({
    ...found,
    ...shiftRange(found, offsets),
    body: found.body && { ...found.body, start: shiftByMarks(found.body.start, offsets) },
  }));
  return { text: withMarks(live.text, offsets), functions: shifted, marks };
}
