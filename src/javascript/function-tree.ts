/**
 * The functions of a source file as a tree, each with its own tokens: those outside the functions inside it.
 *
 * Two functions with equal own tokens differ at most in the functions inside them, which is what lets a difference be narrowed down to the smallest functions that hold it.
 */
import type { Node } from "acorn";
import { type AnyNode, childNodes, firstIndex, lineOf, type SourceFile } from "./syntax.ts";

/** A half-open range of UTF-16 code units. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

export function isWithin(inner: Range, outer: Range): boolean {
  return outer.start <= inner.start && inner.end <= outer.end;
}

export interface FunctionEntry {
  /** The function node; the program itself for the root. */
  readonly node: AnyNode;
  /** What `Function.prototype.toString` shows; for a constructor the text of the constructor itself. */
  readonly range: Range;
  readonly name: string;
  readonly line: number;
  readonly parent: FunctionEntry | undefined;
  readonly children: FunctionEntry[];
  /** Its index among the children of its parent. */
  readonly place: number;
  readonly depth: number;
  /** Called where it stands while its parent runs, so that it has run already once the module is loaded. */
  readonly runsAtLoad: boolean;
  /** The class whose constructor this is: its closures show the text of the whole class. */
  readonly constructorOf: AnyNode | undefined;
}

const functionTypes = new Set(["FunctionDeclaration", "FunctionExpression", "ArrowFunctionExpression"]);

export function isFunctionNode(node: Node): boolean {
  return functionTypes.has(node.type);
}

/** The nodes around a node, nearest first. */
interface Context {
  readonly parent: AnyNode;
  readonly grandparent: AnyNode | undefined;
  readonly greatGrandparent: AnyNode | undefined;
}

/** Builds the tree; the root stands for the module itself, which has run when the process is patched. */
export function buildFunctionTree(source: SourceFile): FunctionEntry {
  const program = source.program as unknown as AnyNode;
  const root: FunctionEntry = {
    node: program,
    range: { start: program.start, end: program.end },
    name: "(module)",
    line: 1,
    parent: undefined,
    children: [],
    place: 0,
    depth: 0,
    runsAtLoad: true,
    constructorOf: undefined,
  };
  collect(source, program, { parent: program, grandparent: undefined, greatGrandparent: undefined }, root);
  return root;
}

function collect(source: SourceFile, node: AnyNode, context: Context, owner: FunctionEntry): void {
  const inner: Context =
    node === context.parent
      ? context
      : { parent: node, grandparent: context.parent, greatGrandparent: context.grandparent };
  for (const child of childNodes(node)) {
    if (!isFunctionNode(child)) {
      collect(source, child, inner, owner);
      continue;
    }
    const entry: FunctionEntry = {
      node: child,
      range: textRange(source, child, inner),
      name: nameOf(source, child, inner),
      line: lineOf(child),
      parent: owner,
      children: [],
      place: owner.children.length,
      depth: owner.depth + 1,
      runsAtLoad: owner.runsAtLoad && runsInPlace(child, inner),
      constructorOf: constructorClass(child, inner),
    };
    owner.children.push(entry);
    collect(source, child, inner, entry);
  }
}

/** ECMA-262 §20.2.3.5: the source text of a method starts at its name or modifier, without `static`. */
function textRange(source: SourceFile, node: AnyNode, { parent }: Context): Range {
  const isMethod =
    (parent.type === "MethodDefinition" && parent.value === node) ||
    (parent.type === "Property" && parent.value === node && (parent.method === true || parent.kind !== "init"));
  if (!isMethod) return { start: node.start, end: node.end };
  let start = parent.start;
  if (parent.static === true) {
    start += "static".length;
    start += /^(?:\s|\/\*[\s\S]*?\*\/|\/\/.*\n)*/.exec(source.text.slice(start, node.start))?.[0].length ?? 0;
  }
  return { start, end: parent.end };
}

function constructorClass(node: AnyNode, { parent, greatGrandparent }: Context): AnyNode | undefined {
  if (parent.type !== "MethodDefinition" || parent.kind !== "constructor" || parent.value !== node) return undefined;
  return greatGrandparent;
}

/** `(function () {…})()`, `(function () {…}).call(this)`, and the factory handed to such a call (the UMD pattern). */
function runsInPlace(node: AnyNode, { parent, grandparent }: Context): boolean {
  if (node.generator === true || node.async === true) return false;
  if (parent.type === "CallExpression") {
    if (parent.callee === node) return true;
    return isFunctionNode(parent.callee as AnyNode) && (parent.arguments as unknown[]).includes(node);
  }
  if (parent.type === "MemberExpression" && parent.object === node && grandparent?.type === "CallExpression") {
    const method = parent.property as AnyNode;
    return grandparent.callee === parent && (method.name === "call" || method.name === "apply");
  }
  return false;
}

function nameOf(source: SourceFile, node: AnyNode, { parent, grandparent }: Context): string {
  const slice = (part: unknown): string => {
    const { start, end } = part as AnyNode;
    const text = source.text.slice(start, end).replace(/\s+/g, " ");
    return text.length > 80 ? `${text.slice(0, 77)}...` : text;
  };
  if (node.id) return slice(node.id);
  if (parent.type === "MethodDefinition" || parent.type === "PropertyDefinition") {
    const owner = grandparent?.type === "ClassBody" ? "" : (grandparent?.id as AnyNode | undefined);
    return owner ? `${slice(owner)}.${slice(parent.key)}` : slice(parent.key);
  }
  if (parent.type === "Property") return slice(parent.key);
  if (parent.type === "VariableDeclarator") return slice(parent.id);
  if (parent.type === "AssignmentExpression") return slice(parent.left);
  if (parent.type === "CallExpression" && parent.callee !== node) return `callback of ${slice(parent.callee)}`;
  return "(anonymous)";
}

/**
 * The tokens of a function that stand outside the functions inside it, each of which shows as one placeholder.
 * `normalise` may map a token's text to another, so that differences without meaning compare as equal.
 */
export function ownTokens(
  source: SourceFile,
  entry: FunctionEntry,
  within: Range = { start: entry.node.start, end: entry.node.end },
  normalise: (text: string) => string = (text) => text,
): string[] {
  const texts: string[] = [];
  let index = firstTokenAt(source, within.start);
  let child = entry.children.findIndex((candidate) => candidate.node.end > within.start);
  for (; index < source.tokens.length; index++) {
    const token = source.tokens[index];
    if (token === undefined || token.start >= within.end) break;
    const nested = child < 0 ? undefined : entry.children[child];
    if (nested && token.start >= nested.node.start) {
      // A declaration's name belongs to what is around it: two declarations that changed places are not each other.
      texts.push(nested.node.type === "FunctionDeclaration" ? `\u0192${nested.name}` : "\u0192");
      index = firstTokenAt(source, nested.node.end) - 1;
      child++;
    } else texts.push(normalise(source.text.slice(token.start, token.end)));
  }
  return texts;
}

function firstTokenAt(source: SourceFile, offset: number): number {
  return firstIndex(source.tokens.length, (index) => (source.tokens[index]?.start ?? 0) >= offset);
}

/** Every function below `entry`, outer before inner, in source order. */
export function* descendants(entry: FunctionEntry): Generator<FunctionEntry> {
  for (const child of entry.children) {
    yield child;
    yield* descendants(child);
  }
}

/** The innermost function around the offset. */
export function functionAt(root: FunctionEntry, offset: number): FunctionEntry {
  const child =
    root.children[firstIndex(root.children.length, (index) => (root.children[index]?.node.end ?? 0) > offset)];
  return child && child.node.start <= offset ? functionAt(child, offset) : root;
}
