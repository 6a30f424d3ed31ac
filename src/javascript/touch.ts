/**
 * Marks on functions that do not change, so that V8 gives each of their closures code of its own.
 *
 * Where one function literal has several closures and none of them has run yet, V8 13 and later leave the closures of a live-edited script in a state in which running one and then another ends the process; a function whose text changed is spared.
 * A comment is change enough. It goes into every function that may have several closures: those written in a function that can run again, or in a loop.
 */
import { buildFunctionTree, descendants, type FunctionEntry, isWithin, type Range } from "./function-tree.ts";
import { type AnyNode, childNodes, type SourceFile } from "./syntax.ts";

/** Where a mark goes, and the function that it is for. */
export interface Mark extends Range {
  readonly at: number;
}

/** Just inside the braces, or behind the arrow; `isChanged` names functions that need none. */
function marksOf(source: SourceFile, isChanged: (entry: FunctionEntry) => boolean): Mark[] {
  return [...descendants(buildFunctionTree(source))]
    .filter((entry) => !isChanged(entry) && mayHaveSeveralClosures(entry))
    .map(({ node, range }) => ({ at: insideOf(source, node), start: range.start, end: range.end }))
    .sort((a, b) => a.at - b.at);
}

/** Written in a function that can run again, or in a loop. */
export function mayHaveSeveralClosures({ parent, node }: FunctionEntry): boolean {
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

/** The marks of the old text, and those of the live text; functions that change, or that a changed one lies in, need none. */
export function sharedMarks(
  before: SourceFile,
  live: SourceFile,
  functions: readonly (Range & { readonly before: Range })[],
): { readonly before: Mark[]; readonly live: Mark[] } {
  const old = [...descendants(buildFunctionTree(before))];
  // Where the old function had none inside, no closure of an inner one can exist yet.
  const bare = functions.filter(
    (found) => !old.some(({ range }) => isWithin(range, found.before) && range.start > found.before.start),
  );
  return {
    before: marksOf(before, ({ range }) => functions.some((found) => isWithin(found.before, range))),
    live: marksOf(
      live,
      ({ range }) => functions.some((found) => isWithin(found, range)) || bare.some((found) => isWithin(range, found)),
    ),
  };
}
