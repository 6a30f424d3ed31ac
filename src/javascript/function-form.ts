/**
 * A function written in one form, put where the old version has it in another: a declaration, an expression, a method.
 *
 * Fixes come with `function f() {}` turned into `const f = function () {}` or `{ f: function () {} }` into `{ f() {} }`; the live text keeps the old form, since the place of the function has to stay.
 */
import { type FunctionEntry, isFunctionNode, type Range } from "./function-tree.ts";
import { type AnyNode, childNodes, type SourceFile } from "./syntax.ts";

export interface WrittenFunction {
  readonly source: SourceFile;
  readonly entry: FunctionEntry;
}

/** The text for the old place; undefined where both have the same form, and the new text can stand as it is. */
export function textInOldForm(
  before: WrittenFunction,
  after: WrittenFunction,
  rewrite: (range: Range) => string,
): string | undefined {
  const head = headOf(before, after);
  if (head === undefined || usesThis(after.entry.node)) return undefined;
  const { node } = after.entry;
  // What was a generator or gave a promise cannot be made to give a value by calling another function.
  if (before.entry.node.generator !== node.generator || (before.entry.node.async === true && node.async !== true))
    return undefined;
  const isSameKind = before.entry.node.async === node.async;
  if (node.type === "ArrowFunctionExpression" || !isSameKind || hasOtherName(before, after))
    return `${head}(...values) { return (${expressionOf(after, rewrite)}).apply(this, values); }`;
  return head + rewrite({ start: parametersStart(after), end: node.end });
}

/** An arrow function takes `this` from around it, which it would lose in another form. */
function usesThis(node: AnyNode): boolean {
  const isUsed = (inner: AnyNode): boolean =>
    inner.type === "ThisExpression" ||
    (!(isFunctionNode(inner) && inner.type !== "ArrowFunctionExpression") && childNodes(inner).some(isUsed));
  return node.type === "ArrowFunctionExpression" && childNodes(node).some(isUsed);
}

/** What stands before the parameters; undefined where the forms are the same. */
function headOf(before: WrittenFunction, after: WrittenFunction): string | undefined {
  const old = before.entry.node;
  const wasMethod = isMethod(before);
  if (wasMethod && !isMethod(after)) return before.source.text.slice(before.entry.range.start, old.start);
  if (!wasMethod && isMethod(after) && old.type !== "ArrowFunctionExpression") return keywords(old, nameOf(old));
  if (after.entry.node.type === "ArrowFunctionExpression" && old.type === "FunctionExpression")
    return keywords(old, nameOf(old));
  if (old.type === "FunctionDeclaration" && after.entry.node.type !== "FunctionDeclaration" && nameOf(old) !== "")
    return keywords(old, nameOf(old));
  return undefined;
}

function isMethod({ entry }: WrittenFunction): boolean {
  return entry.range.start !== entry.node.start || entry.range.end !== entry.node.end;
}

function keywords({ async, generator }: AnyNode, name: string): string {
  return `${async === true ? "async " : ""}function${generator === true ? "*" : ""} ${name}`;
}

function nameOf(node: AnyNode): string {
  return ((node.id as AnyNode | null)?.name as string | undefined) ?? "";
}

/** Its code may call it by a name that it would not have in the old form. */
function hasOtherName({ entry: before }: WrittenFunction, { entry: after }: WrittenFunction): boolean {
  const name = nameOf(after.node);
  return name !== "" && name !== nameOf(before.node);
}

function parametersStart({ source, entry: { node } }: WrittenFunction): number {
  return source.text.indexOf("(", (node.id as AnyNode | null)?.end ?? node.start);
}

function expressionOf(after: WrittenFunction, rewrite: (range: Range) => string): string {
  const { node } = after.entry;
  if (!isMethod(after)) return rewrite(node);
  return keywords(node, "") + rewrite({ start: parametersStart(after), end: node.end });
}
