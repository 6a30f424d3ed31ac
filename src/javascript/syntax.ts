/**
 * JavaScript text to a syntax tree with its tokens.
 *
 * Parsing follows what Node.js does with a file: a CommonJS file is the body of a function (return, await as a name, a hashbang line), an ES module is strict and may await at its top.
 * Nothing here judges; a text that does not parse throws a refusal that names the place.
 */
import { type Node, type Program, parse, type Token } from "acorn";
import { refuse } from "../base/refusal.ts";

export type ModuleFormat = "commonjs" | "module";

export interface SourceFile {
  readonly path: string;
  readonly text: string;
  readonly format: ModuleFormat;
  readonly program: Program;
  /** In source order, comments left out. */
  readonly tokens: readonly Token[];
}

/** Parses `text`; throws the refusal `build/syntax` with line and column where it is not JavaScript that acorn knows. */
export function parseSource(path: string, text: string, format: ModuleFormat): SourceFile {
  const tokens: Token[] = [];
  try {
    const program = parse(text, {
      ecmaVersion: "latest",
      sourceType: format === "module" ? "module" : "script",
      allowHashBang: true,
      allowReturnOutsideFunction: format === "commonjs",
      allowSuperOutsideMethod: false,
      ranges: true,
      locations: true,
      onToken: tokens,
    });
    return { path, text, format, program, tokens };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    refuse("build/syntax", `${path} does not parse as ${describeFormat(format)}: ${reason}.`, { path });
  }
}

function describeFormat(format: ModuleFormat): string {
  return format === "module" ? "an ES module" : "a CommonJS module";
}

/** A node seen without its type: enough to walk a tree of any shape. */
export interface AnyNode extends Node {
  readonly [key: string]: unknown;
}

export function isNode(value: unknown): value is AnyNode {
  return typeof value === "object" && value !== null && typeof (value as { type?: unknown }).type === "string";
}

/** Trees do not change once they are parsed, and they are walked many times. */
const knownChildren = new WeakMap<Node, readonly AnyNode[]>();

/** The direct children of a node in source order. */
export function childNodes(node: Node): readonly AnyNode[] {
  const known = knownChildren.get(node);
  if (known) return known;
  const children: AnyNode[] = [];
  for (const key in node) {
    if (key === "loc") continue;
    const value = (node as AnyNode)[key];
    if (Array.isArray(value)) {
      for (const item of value) if (isNode(item)) children.push(item);
    } else if (isNode(value)) children.push(value);
  }
  children.sort((a, b) => a.start - b.start || a.end - b.end);
  knownChildren.set(node, children);
  return children;
}

/** The first index of a sorted list for which `isReached` holds; its length when it holds for none. */
export function firstIndex(length: number, isReached: (index: number) => boolean): number {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (isReached(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

export function lineOf(node: Node): number {
  return node.loc?.start.line ?? 0;
}

/** ECMA-262 §11.2.2: ES modules are strict, other files by their first directive. */
export function isStrict({ format, program }: SourceFile): boolean {
  return format === "module" || program.body.some((node) => "directive" in node && node.directive === "use strict");
}

/** Where a line of code ends within the range: behind its last token, so never within a comment, a string or a template. */
export function lineEnds({ text, tokens }: SourceFile, { start, end }: { start: number; end: number }): number[] {
  const inside = tokens.filter((token) => token.start >= start && token.end <= end);
  return inside
    .filter((token, index) => text.slice(token.end, inside[index + 1]?.start ?? token.end).includes("\n"))
    .map((token) => token.end);
}
