/**
 * Statements of the new version that ran while the module loaded, and that have to run again because of what changed: those that read a changed value, and those that fill an object which is made anew.
 */
import { type Bindings, ownerOf, type PlacedReference } from "./bindings.ts";
import type { BindingChange, ScopePair } from "./difference.ts";
import { isFilled } from "./exported-values.ts";
import { isWithin } from "./function-tree.ts";
import { referencesIn } from "./rewrite.ts";
import type { AnyNode, SourceFile } from "./syntax.ts";
import type { Unit } from "./units.ts";

export interface LoadedUnit {
  readonly scope: ScopePair;
  readonly unit: Unit;
}

/** What the registry knows. */
export interface LoadKnowledge {
  readonly source: SourceFile;
  readonly bindings: Bindings;
  readonly scopes: readonly ScopePair[];
  units(scope: ScopePair): readonly Unit[];
  changeOf(scope: ScopePair, name: string): BindingChange | undefined;
  isMadeAnew(scope: ScopePair, name: string): boolean;
}

export class LoadStatements {
  readonly #known: LoadKnowledge;

  constructor(known: LoadKnowledge) {
    this.#known = known;
  }

  #scopeOf(variable: Parameters<typeof ownerOf>[1]): ScopePair | undefined {
    const owner = ownerOf(this.#known.bindings, variable);
    return this.#known.scopes.find(({ after }) => after === owner);
  }

  /** Statements of the new version that ran at load and read a binding whose value changed have to run again. */
  *dependents(): Generator<LoadedUnit> {
    for (const scope of this.#known.scopes) {
      for (const unit of this.#known.units(scope)) {
        if (unit.kind === "function" || unit.kind === "import" || unit.kind === "ignored") continue;
        if (this.#ownReferences(unit).some((placed) => this.#isReadOfChanged(placed)) || this.#fillsNew(scope, unit))
          yield { scope, unit };
      }
    }
  }

  /** Statements of the new version that filled, at load, an object that is made anew: `table[key] = …`, `list.push(…)`. */
  *fills(): Generator<LoadedUnit> {
    for (const scope of this.#known.scopes) {
      for (const unit of this.#known.units(scope)) {
        if (unit.names.length > 0 || !["assignment", "call", "control"].includes(unit.kind)) continue;
        if (this.#ownReferences(unit).some((placed) => this.#isFillOfNew(placed))) yield { scope, unit };
      }
    }
  }

  readsChanged(node: AnyNode): boolean {
    return this.#references(node).some((placed) => this.#isReadOfChanged(placed));
  }

  /** What the statement referred to while the module loaded. */
  #references(node: AnyNode): PlacedReference[] {
    return [...referencesIn(this.#known.bindings, node)].filter(({ within }) => within.runsAtLoad);
  }

  /**
   * Without what stands in functions that ran at load within the unit: their statements are units themselves, and run again one by one, so that what was handed out stays.
   * What such a function returned reaches the unit as a whole.
   */
  #ownReferences({ node }: Unit): PlacedReference[] {
    const others = this.#known.scopes
      .filter(({ after }) => after.node !== node && isWithin(after.node, node))
      .flatMap((scope) => this.#known.units(scope))
      .filter(({ kind }) => kind !== "return");
    return this.#references(node).filter(
      ({ reference }) => !others.some((other) => isWithin(reference.identifier as unknown as AnyNode, other.node)),
    );
  }

  #isReadOfChanged({ variable, reference, name }: PlacedReference): boolean {
    const owner = variable && reference.isRead() ? this.#scopeOf(variable) : undefined;
    return owner !== undefined && this.#known.changeOf(owner, name) !== undefined;
  }

  #isFillOfNew(placed: PlacedReference): boolean {
    const owner = placed.variable && this.#scopeOf(placed.variable);
    if (owner === undefined || !this.#known.isMadeAnew(owner, placed.name)) return false;
    return placed.reference.isWrite() || isFilled(this.#known.source, placed);
  }

  /** A call at load of a function of the module that fills a binding which only the new version has. */
  #fillsNew(scope: ScopePair, unit: Unit): boolean {
    const callee =
      unit.kind === "call" && unit.node.type === "CallExpression" ? (unit.node.callee as AnyNode) : undefined;
    if (callee?.type !== "Identifier") return false;
    const called = this.#known.units(scope).find(({ names }) => names.includes(callee.name as string));
    if (called === undefined) return false;
    for (const placed of referencesIn(this.#known.bindings, called.node)) {
      const change = placed.variable && this.#known.changeOf(scope, placed.name);
      if (change && !change.existed && change.unit.kind === "variable" && !placed.within.runsAtLoad) return true;
    }
    return false;
  }
}
