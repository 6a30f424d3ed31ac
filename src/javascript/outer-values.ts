/**
 * Values that a function got from outside while its module was loaded: arguments of the call that ran it, and imports.
 */
import type { Program } from "acorn";
import { pathTo } from "./rewrite.ts";
import type { AnyNode } from "./syntax.ts";

/**
 * What a function that is called where it stands was called with for one of its parameters.
 * `indirect`: it is handed to another function, which calls it with something that only that function knows.
 */
export function argumentOf(program: Program, fn: AnyNode, parameter: string): AnyNode | "indirect" | undefined {
  const index = ((fn.params as AnyNode[] | undefined) ?? []).findIndex(({ name }) => name === parameter);
  if (index < 0) return undefined;
  const call = pathTo(program, fn.start, fn.end, (candidate) => candidate === fn).at(-2);
  if (call?.type !== "CallExpression" || call.callee !== fn) return "indirect";
  return (call.arguments as AnyNode[])[index];
}

/** The expression by which a delta gets at what an import declaration names; `*` is the namespace. */
export function importedValue({ specifier, name }: { readonly specifier: string; readonly name: string }): string {
  const namespace = `imports[${JSON.stringify(specifier)}]`;
  return name === "*" ? namespace : `${namespace}[${JSON.stringify(name)}]`;
}
