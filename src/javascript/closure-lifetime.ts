/**
 * Which functions cannot be called any more once the call that made them has returned.
 *
 * No closure of such a function from before a live edit can run after it, so none needs to be found again.
 * Where the text leaves a doubt, a function counts as one that lives on.
 */
import type { Variable } from "eslint-scope";
import { type Bindings, ownerOf } from "./bindings.ts";
import { type FunctionEntry, isWithin } from "./function-tree.ts";
import { pathTo } from "./rewrite.ts";
import type { AnyNode, SourceFile } from "./syntax.ts";

/** Methods of arrays, strings, maps and iterators that call their argument before they return; `map` and `filter` of iterators do so later. */
const eagerMethods = new Set(["forEach", "some", "every", "reduce", "reduceRight", "sort", "replace", "replaceAll"]);

export class ClosureLifetime {
  readonly #source: SourceFile;
  readonly #bindings: Bindings;
  readonly #known = new Map<FunctionEntry, boolean>();

  constructor(source: SourceFile, bindings: Bindings) {
    this.#source = source;
    this.#bindings = bindings;
  }

  /** Made by a function that can run again, and out of reach when that call has returned. */
  endsWithItsMaker(entry: FunctionEntry): boolean {
    const known = this.#known.get(entry);
    if (known !== undefined) return known;
    // Functions that only call each other end together.
    this.#known.set(entry, true);
    const ends = this.#ends(entry);
    this.#known.set(entry, ends);
    return ends;
  }

  #ends(entry: FunctionEntry): boolean {
    const { parent, node } = entry;
    if (parent === undefined || parent.runsAtLoad || isSuspendable(node) || isSuspendable(parent.node)) return false;
    if (this.#hasUnseenUses(parent)) return false;
    const [ownName] = node.id ? this.#declaredBy(node) : [];
    if (node.type === "FunctionDeclaration") {
      // Without strict mode, a declaration in a block is a variable of the whole function as well.
      const isPlain = ownName !== undefined && ownName.scope === ownName.scope.variableScope;
      return isPlain && this.#isOnlyCalled(ownName, parent);
    }
    if (ownName !== undefined && !this.#isOnlyCalled(ownName, entry)) return false;
    const path = pathTo(this.#source.program, node.start, node.end, (candidate) => candidate === node);
    if (isCalledHere(path)) return true;
    const declarator = path.at(-2);
    if (declarator?.type !== "VariableDeclarator" || (declarator.id as AnyNode).type !== "Identifier") return false;
    const [variable] = this.#declaredBy(declarator);
    return variable !== undefined && this.#isOnlyCalled(variable, parent);
  }

  /** Every mention of the variable calls it, in a function that has ended as well when `owner` has. */
  #isOnlyCalled(variable: Variable, owner: FunctionEntry): boolean {
    if (ownerOf(this.#bindings, variable) !== owner) return false;
    return this.#bindings.references.every((placed) => {
      if (placed.variable !== variable || !placed.reference.isRead()) return true;
      if (!isCalledHere(pathTo(this.#source.program, placed.start, placed.end))) return false;
      for (let within = placed.within; within !== owner; within = within.parent as FunctionEntry)
        if (within.parent === undefined || !this.endsWithItsMaker(within)) return false;
      return true;
    });
  }

  /** `eval` and `arguments.callee` reach functions without naming them. */
  #hasUnseenUses(entry: FunctionEntry): boolean {
    return this.#bindings.references.some(({ name, start, end }) => {
      if (!isWithin({ start, end }, entry.range)) return false;
      return (
        name === "eval" || (name === "arguments" && /^\s*\.\s*callee/.test(this.#source.text.slice(end, end + 80)))
      );
    });
  }

  #declaredBy(node: AnyNode): readonly Variable[] {
    return this.#bindings.manager.getDeclaredVariables(node as never);
  }
}

/** `f(…)`, `f.call(…)`, `f.apply(…)`, or an argument of an eager method; `path` ends at the function or its name. */
function isCalledHere(path: readonly AnyNode[]): boolean {
  const [call, around, mention] = [path.at(-3), path.at(-2), path.at(-1)];
  if (around?.type === "MemberExpression" && around.object === mention && call?.type === "CallExpression")
    return call.callee === around && !around.computed && ["call", "apply"].includes(propertyName(around));
  if (around?.type !== "CallExpression") return false;
  if (around.callee === mention) return true;
  const callee = around.callee as AnyNode;
  return callee.type === "MemberExpression" && !callee.computed && eagerMethods.has(propertyName(callee));
}

function propertyName({ property }: AnyNode): string {
  return String((property as AnyNode).name);
}

/** A call of it may be under way while others run. */
function isSuspendable(node: AnyNode): boolean {
  return node.async === true || node.generator === true;
}
