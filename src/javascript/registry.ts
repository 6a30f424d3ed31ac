/**
 * What the registry of one file has to hold, and the program (the "delta") that fills it in the running process.
 *
 * The delta is the body of a function that the agent calls once, right after the live edit, with the registry, the live values of captured variables, and means to define properties so that they can be taken back.
 * It never declares a variable of the module: what the running module lacks lives in the registry.
 */
import type { Variable } from "eslint-scope";
import { type Bindings, isCapturing, isReassigned, ownerOf, type PlacedReference, wrapperNames } from "./bindings.ts";
import type { BindingChange, Effect, FileDifference, Gap, ScopePair } from "./difference.ts";
import { assignedPlaces, ExportedValues, exportedNames, lastValue } from "./exported-values.ts";
import type { FunctionEntry, Range } from "./function-tree.ts";
import { LoadStatements } from "./load-statements.ts";
import { argumentOf, importedValue } from "./outer-values.ts";
import { referencesIn, rewriteReferences, type Substitute } from "./rewrite.ts";
import { type AnyNode, isStrict, lineOf } from "./syntax.ts";
import { cutIntoUnits, type Unit } from "./units.ts";

/** What the delta reads of one function that ran at load. */
export interface ScopeReads {
  readonly scope: ScopePair;
  readonly names: ReadonlySet<string>;
}

export interface Delta {
  readonly text: string;
  readonly reads: readonly ScopeReads[];
  /** Module specifiers (ES modules only) that the delta takes from `imports`. */
  readonly imports: readonly string[];
}

export class Registry {
  readonly #difference: FileDifference;
  readonly #before: Bindings;
  readonly #after: Bindings;
  readonly #changed = new Map<string, BindingChange>();
  readonly #captured = new Set<string>();
  readonly #definitions = new Map<
    string,
    { readonly node: AnyNode; readonly text: string; readonly hoisted: boolean }
  >();
  readonly #effects: { readonly start: number; readonly text: string }[] = [];
  readonly #reads = new Map<ScopePair, Set<string>>();
  readonly #imports = new Set<string>();
  readonly #knownUnits = new Map<ScopePair, readonly Unit[]>();
  /** Variables whose value is computed again for the registry. */
  readonly #anew = new Set<string>();
  readonly gaps: Gap[] = [];
  /** Names of exports that get another value. */
  readonly exported = new Set<string>();
  /** Names of an ES module's exports whose value is another now: those who imported them cannot be given it. */
  readonly rebound = new Set<string>();
  readonly name: string;
  readonly exports: ExportedValues;
  readonly loaded: LoadStatements;

  constructor(difference: FileDifference, bindings: { before: Bindings; after: Bindings }, name: string) {
    this.#difference = difference;
    this.#before = bindings.before;
    this.#after = bindings.after;
    this.name = name;
    this.exports = new ExportedValues(name, difference.after.source, difference.scopes[0], (scope) =>
      this.#units(scope),
    );
    this.loaded = new LoadStatements({
      source: difference.after.source,
      bindings: bindings.after,
      scopes: difference.scopes,
      units: (scope) => this.#units(scope),
      changeOf: (scope, bound) => this.#changed.get(this.#key(scope, bound)),
      isMadeAnew: (scope, bound) => this.#anew.has(this.#key(scope, bound)),
    });
    for (const change of difference.bindings) this.#changed.set(this.#key(change.scope, change.name), change);
    for (const placed of bindings.before.references) {
      if (isCapturing(bindings.before, placed)) this.#captured.add(this.#capture(bindings.before, placed));
    }
  }

  get isEmpty(): boolean {
    return this.#definitions.size === 0 && this.#effects.length === 0;
  }

  /** For references that stand in a function of the new version which replaces one of the old. */
  forReplacement(replaced: Range): Substitute {
    return (placed) => this.#substitute(placed, replaced, false);
  }

  /** For references of the old text in functions that stay: only those to bindings with a new value move. */
  forOldText(): Substitute {
    return (placed) => {
      if (placed.within.runsAtLoad || placed.variable === undefined) return undefined;
      const scope = this.#difference.scopes.find(
        ({ before }) => before === ownerOf(this.#before, placed.variable as never),
      );
      if (scope === undefined || !this.#changed.get(this.#key(scope, placed.name))?.existed) return undefined;
      this.#need(scope, placed.name);
      return this.#entryName(scope, placed.name);
    };
  }

  /** New and changed exports of an ES module go into the registry, where the files that import them find them. */
  addModuleExports(): void {
    const { source } = this.#difference.after;
    const [moduleScope] = this.#difference.scopes;
    if (source.format !== "module" || moduleScope === undefined) return;
    for (const name of exportedNames(source.program as unknown as AnyNode)) {
      const change = this.#changed.get(this.#key(moduleScope, name));
      if (change === undefined) continue;
      if (change.existed) this.rebound.add(name);
      this.#need(moduleScope, name);
      this.exported.add(name);
    }
  }

  /** Adds a function of our own; gives the expression that leads to it. */
  addHelper(node: AnyNode, text: string): string {
    const entry = `${this.name}.helper$${node.start}`;
    this.#definitions.set(entry, { node, text: `${entry} = ${text};`, hoisted: true });
    return entry;
  }

  /** False where there is nothing to add. */
  addEffect(effect: Effect): boolean {
    if (effect.kind === "define" && this.#isMadeAnew(effect)) return false;
    const source = this.#difference.after.source;
    const node = effect.kind === "statement" ? effect.node : effect.property;
    if (this.#effects.some(({ start }) => start === node.start)) return false;
    this.#effects.push({ start: node.start, text: "" });
    const at = this.#effects.length - 1;
    const rewrite = (range: Range): string => rewriteReferences(source, this.#after, range, this.#forDelta(node));
    const text = effect.kind === "statement" ? this.#statement(effect.node, rewrite) : this.#define(effect, rewrite);
    this.#effects[at] = { start: node.start, text };
    return true;
  }

  /** Whoever loaded the module keeps what was exported as a whole, so it gets the properties whose values changed. */
  addWholeExport(scope: ScopePair, node: AnyNode): void {
    const value = lastValue(node);
    const properties =
      value.type === "ObjectExpression"
        ? (value.properties as AnyNode[]).filter((property) => this.loaded.readsChanged(property))
        : [];
    if (properties.length === 0 || properties.some(({ type }) => type !== "Property")) {
      this.gaps.push({
        name: "module.exports",
        line: lineOf(node),
        reason: "its value was handed out when the module was loaded, and whoever took it keeps it",
      });
      return;
    }
    for (const property of properties)
      this.addEffect({ kind: "define", scope, target: node.left as AnyNode, onPrototype: false, property });
  }

  /** The variables that an export's value comes from are to be made anew: `exports.keys = keys`, `const keys = exports.keys = …`. */
  recomputeExportedVariables(scope: ScopePair, key: string): void {
    const unit = this.exports.unitExporting(scope, key);
    const value = unit && assignedPlaces(unit).value;
    const [own] = unit?.names ?? [];
    if (own !== undefined) this.addChange(scope, own);
    if (value?.type === "Identifier" && this.#unitDeclaring(scope, value.name as string)?.kind === "variable")
      this.addChange(scope, value.name as string);
  }

  /** Gives an export its value once more: where it is assigned last, or where the exported object is written. */
  recomputeExport(scope: ScopePair, key: string): void {
    const unit = this.exports.unitExporting(scope, key);
    const [own] = unit?.names ?? [];
    if (own !== undefined) this.#need(scope, own);
    else if (unit !== undefined) this.addEffect({ kind: "statement", scope, node: unit.node });
    for (const candidate of this.#units(scope))
      this.#defineExported(scope, candidate, (property) => (property.key as AnyNode).name === key);
  }

  /** Defines those properties of an exported object whose values come from something that changed. */
  updateExportedObject(scope: ScopePair, unit: Unit): void {
    this.#defineExported(scope, unit, (property) => this.loaded.readsChanged(property));
  }

  #defineExported(scope: ScopePair, unit: Unit, isWanted: (property: AnyNode) => boolean): void {
    const { places, value } = assignedPlaces(unit);
    if (value?.type !== "ObjectExpression") return;
    const isWhole = places.some((left) => this.exports.placeOf(left) === `${this.name}.module.exports`);
    const target = unit.kind === "variable" ? unit.names[0] : isWhole ? (unit.node.left as AnyNode) : undefined;
    if (
      target === undefined ||
      (typeof target === "string" && this.exports.placeOfVariable(scope, target) === undefined)
    )
      return;
    for (const property of (value.properties as AnyNode[]).filter(
      (candidate) => candidate.type === "Property" && isWanted(candidate),
    )) {
      this.addEffect({ kind: "define", scope, target, onPrototype: false, property });
    }
  }

  /** An object that is made anew from the new text has the property already. */
  #isMadeAnew({ target, scope }: Extract<Effect, { kind: "define" }>): boolean {
    return typeof target === "string" && this.#changed.has(this.#key(scope, target));
  }

  /** Objects that are to get properties but that no closure of the running process leads to have to be made anew. */
  unheldTargets(): { readonly scope: ScopePair; readonly name: string }[] {
    return this.#difference.effects.flatMap((effect) =>
      effect.kind === "define" && typeof effect.target === "string" && !this.#isReachable(effect.scope, effect.target)
        ? [{ scope: effect.scope, name: effect.target }]
        : [],
    );
  }

  #isReachable(scope: ScopePair, name: string): boolean {
    return (
      this.#captured.has(this.#captureKey(scope.before, name)) ||
      this.exports.placeOfVariable(scope, name) !== undefined
    );
  }

  /** Undefined when nothing has to be done besides the live edit. */
  delta(): Delta | undefined {
    if (this.isEmpty) return undefined;
    const definitions = [...this.#definitions.values()]
      .map(({ node, text, hoisted }) => ({ start: node.start, text, hoisted }))
      .filter(({ text }) => text !== "")
      .sort((a, b) => a.start - b.start);
    const reads = [...this.#reads].map(([scope, names]) => ({ scope, names }));
    const lines = [
      ...(isStrict(this.#difference.after.source) ? ['"use strict";'] : []),
      ...reads.map(({ names }, index) => `const { ${[...names].join(", ")} } = scopes[${index}];`),
      ...definitions.filter(({ hoisted }) => hoisted).map(({ text }) => text),
      ...[...definitions.filter(({ hoisted }) => !hoisted), ...this.#effects]
        .sort((a, b) => a.start - b.start)
        .map(({ text }) => text),
    ];
    return { text: `${lines.join("\n")}\n`, reads, imports: [...this.#imports] };
  }

  #statement(node: AnyNode, rewrite: (range: Range) => string): string {
    if (node.type === "AssignmentExpression" && (node.left as AnyNode).type === "MemberExpression") {
      const left = node.left as AnyNode;
      const property = left.property as AnyNode;
      const key = left.computed === true ? `[${rewrite(property)}]` : this.#raw(property);
      this.#noteExport(this.#raw(left.object as AnyNode), property);
      return `define(${rewrite(left.object as AnyNode)}, { ${key}: ${rewrite(node.right as AnyNode)} }, true);`;
    }
    const defined = /^Object\s*\.\s*defineProperty\s*\(/.test(this.#raw(node)) ? (node.arguments as AnyNode[]) : [];
    if (defined.length === 3) {
      const [target, key, descriptor] = defined.map(rewrite);
      // By way of `define`, since what is defined like this could not be taken back.
      return `define(${target}, Object.defineProperty({}, ${key}, ${descriptor}));`;
    }
    // An expression that begins with a function or a brace would be taken for a declaration or a block.
    return node.type.endsWith("Expression") ? `(${rewrite(node)});` : `${rewrite(node)};`;
  }

  #define(effect: Extract<Effect, { kind: "define" }>, rewrite: (range: Range) => string): string {
    const target =
      typeof effect.target === "string" ? this.#byName(effect.scope, effect.target) : rewrite(effect.target);
    const { property } = effect;
    if (typeof effect.target !== "string") this.#noteExport(this.#raw(effect.target), property.key as AnyNode);
    const text = rewrite(property);
    const isMember = property.type === "MethodDefinition";
    const literal = isMember && property.static === true ? text.replace(/^static\s+/, "") : text;
    return `define(${target}${effect.onPrototype ? ".prototype" : ""}, { ${literal} }, ${!isMember});`;
  }

  #noteExport(target: string, key: AnyNode): void {
    if (/^(module\s*\.\s*)?exports$/.test(target)) this.exported.add(String(key.name ?? key.value));
  }

  #raw({ start, end }: AnyNode): string {
    return this.#difference.after.source.text.slice(start, end);
  }

  #byName(scope: ScopePair, name: string): string {
    const exported = this.exports.placeOfVariable(scope, name);
    if (exported !== undefined && !this.#changed.has(this.#key(scope, name))) return exported;
    if (this.#changed.has(this.#key(scope, name)) || !this.#captured.has(this.#captureKey(scope.before, name))) {
      this.#need(scope, name);
      return this.#entryName(scope, name);
    }
    this.#read(scope, name);
    return name;
  }

  /** `rerun` is the statement that runs again: what it declares itself is declared again. */
  #forDelta(rerun?: Range): Substitute {
    return (placed) => {
      const declaration = placed.variable?.defs[0]?.name as unknown as AnyNode | undefined;
      if (rerun && declaration && declaration.start >= rerun.start && declaration.end <= rerun.end) return undefined;
      return this.#substitute(placed, undefined, true);
    };
  }

  #substitute(placed: PlacedReference, replaced: Range | undefined, inDelta: boolean): string | undefined {
    if (placed.variable === undefined) return this.#wrapperName(placed, inDelta);
    const owner = ownerOf(this.#after, placed.variable);
    const scope = this.#difference.scopes.find(({ after }) => after === owner);
    if (scope === undefined) return this.#ordinary(placed, owner, replaced, inDelta);
    if (replaced && owner.node.start >= replaced.start && owner.node.end <= replaced.end) return undefined;
    const isHeld = this.#captured.has(this.#captureKey(scope.before, placed.name));
    if (this.#changed.has(this.#key(scope, placed.name)) || !isHeld) {
      this.#need(scope, placed.name);
      return this.#entryName(scope, placed.name);
    }
    if (!inDelta) return undefined;
    if (this.#isRequired(scope, placed.name)) {
      this.#need(scope, placed.name);
      return this.#entryName(scope, placed.name);
    }
    const exported = this.exports.placeOfVariable(scope, placed.name);
    if (exported !== undefined) return exported;
    if (this.#isUsedOnlyAnew(placed.variable) && this.addChange(scope, placed.name))
      return this.#substitute(placed, replaced, inDelta);
    if (isReassigned(this.#after, placed.variable)) {
      this.#gap(
        placed,
        `new code outside the old functions reads ${placed.name}, whose value changes while the program runs`,
      );
    }
    this.#read(scope, placed.name);
    return undefined;
  }

  /** What came from another module can be had from there again. */
  #isRequired(scope: ScopePair, name: string): boolean {
    const unit = this.#unitDeclaring(scope, name);
    if (unit?.kind !== "variable") return false;
    const init = unit.node.init as AnyNode | null;
    return init?.type === "CallExpression" && (init.callee as AnyNode).name === "require";
  }

  /** Whether every function that uses the variable is made anew in the registry, so that the variable can be as well. */
  #isUsedOnlyAnew(variable: Variable): boolean {
    const users = this.#after.references.filter((placed) => placed.variable === variable && !placed.within.runsAtLoad);
    const own = variable.defs[0]?.node as unknown as AnyNode | undefined;
    const anew = [...[...this.#definitions.values()].map(({ node }) => node), ...(own === undefined ? [] : [own])];
    return users.every(({ start, end }) => anew.some((node) => node.start <= start && end <= node.end));
  }

  /** A variable of a function that does not run at load: one copy of it for each call. */
  #ordinary(placed: PlacedReference, owner: FunctionEntry, replaced: Range | undefined, inDelta: boolean): undefined {
    const isOutside = replaced && !(owner.node.start >= replaced.start && owner.node.end <= replaced.end);
    if (inDelta || !isOutside) return undefined;
    const counterpart = this.#difference.counterparts.get(owner);
    if (counterpart === undefined || !this.#captured.has(this.#captureKey(counterpart, placed.name))) {
      this.#gap(
        placed,
        `it now uses ${placed.name} of ${owner.name}, which closures made before the patch did not keep`,
      );
    }
    return undefined;
  }

  #wrapperName(placed: PlacedReference, inDelta: boolean): string | undefined {
    if (!wrapperNames.has(placed.name) || this.#difference.after.source.format === "module") return undefined;
    if (!inDelta && this.#captured.has(`#${placed.name}`)) return undefined;
    return `${this.name}.${placed.name}`;
  }

  /** Makes sure that the registry will hold the binding, and whatever its value needs. */
  #need(scope: ScopePair, name: string): void {
    const entry = this.#entryName(scope, name);
    if (this.#definitions.has(entry)) return;
    const unit = this.#changed.get(this.#key(scope, name))?.unit ?? this.#unitDeclaring(scope, name);
    if (unit === undefined) {
      const argument = this.#argumentOf(scope, name);
      if (argument !== undefined) {
        this.#definitions.set(entry, {
          node: scope.after.node,
          text: `${entry} = ${argument}; define.keep(${entry});`,
          hoisted: true,
        });
        return;
      }
      this.gaps.push({
        name,
        line: lineOf(scope.after.node),
        reason: `the running process does not keep ${name}, and its value cannot be computed again`,
      });
      return;
    }
    const exported = this.#changed.has(this.#key(scope, name)) ? undefined : this.exports.placeOfVariable(scope, name);
    if (exported !== undefined) {
      // The value that the process has, which may be filled further; `keep` lets that be taken back.
      this.#definitions.set(entry, {
        node: unit.node,
        text: `${entry} = ${exported}; define.keep(${entry});`,
        hoisted: true,
      });
      return;
    }
    if (unit.kind === "variable") for (const bound of unit.names) this.#anew.add(this.#key(scope, bound));
    // Set before the value is rewritten, since functions refer to themselves and to each other.
    for (const bound of unit.names)
      this.#definitions.set(this.#entryName(scope, bound), { node: unit.node, text: "", hoisted: false });
    const rewrite = (range: Range): string =>
      rewriteReferences(this.#difference.after.source, this.#after, range, this.#forDelta());
    this.#definitions.set(entry, {
      node: unit.node,
      text: this.#definition(scope, unit, entry, rewrite),
      hoisted: unit.kind === "function",
    });
  }

  /** What a function that ran at load was called with, where the process still has it: `(function (Kind) {…})(Kind || (exports.Kind = {}))`. */
  #argumentOf({ after: { node } }: ScopePair, name: string): string | undefined {
    const argument = argumentOf(this.#difference.after.source.program, node, name);
    // The factory of a bundle for browsers and Node.js gets the exports, by way of another function.
    if (argument === "indirect") return name === "exports" ? `${this.name}.exports` : undefined;
    return argument && this.#heldValue(argument);
  }

  #heldValue(node: AnyNode): string | undefined {
    if (node.type === "AssignmentExpression")
      return this.#heldValue(node.right as AnyNode) ?? this.#heldValue(node.left as AnyNode);
    if (node.type === "LogicalExpression")
      return this.#heldValue(node.left as AnyNode) ?? this.#heldValue(node.right as AnyNode);
    if (node.type === "MemberExpression") return this.exports.placeOf(node);
    if (node.type !== "Identifier") return undefined;
    const [placed] = referencesIn(this.#after, node);
    const scope =
      placed?.variable &&
      this.#difference.scopes.find(({ after }) => after === ownerOf(this.#after, placed.variable as never));
    if (scope === undefined) return placed && this.#wrapperName(placed, true);
    if (
      this.#changed.has(this.#key(scope, placed?.name as string)) ||
      !this.#captured.has(this.#captureKey(scope.before, placed?.name as string))
    )
      return undefined;
    this.#read(scope, placed?.name as string);
    return placed?.name;
  }

  #definition(_scope: ScopePair, unit: Unit, entry: string, rewrite: (range: Range) => string): string {
    if (unit.imported) {
      this.#imports.add(unit.imported.specifier);
      return `${entry} = ${importedValue(unit.imported)};`;
    }
    if (unit.kind === "function" || unit.kind === "class") return `${entry} = ${rewrite(unit.node)};`;
    const pattern = unit.node.id as AnyNode;
    const init = unit.node.init as AnyNode | null;
    if (pattern.type === "Identifier") return `${entry} = ${init === null ? "undefined" : rewrite(init)};`;
    // The names that a pattern declares are references where it has an initialiser, which it has here.
    const target = rewrite(pattern);
    return `(${target} = ${init === null ? "undefined" : rewrite(init)});`;
  }

  #unitDeclaring(scope: ScopePair, name: string): Unit | undefined {
    return this.#units(scope).find((unit) => unit.names.includes(name));
  }

  #units(scope: ScopePair): readonly Unit[] {
    const known = this.#knownUnits.get(scope) ?? this.#cutIntoUnits(scope);
    this.#knownUnits.set(scope, known);
    return known;
  }

  #cutIntoUnits(scope: ScopePair): Unit[] {
    const { node } = scope.after;
    const statements = (node.type === "Program" ? node.body : (node.body as AnyNode).body) as AnyNode[] | undefined;
    return Array.isArray(statements) ? cutIntoUnits(this.#difference.after.source, statements) : [];
  }

  #read(scope: ScopePair, name: string): void {
    const names = this.#reads.get(scope) ?? new Set();
    this.#reads.set(scope, names.add(name));
  }

  #entryName(scope: ScopePair, name: string): string {
    const index = this.#difference.scopes.indexOf(scope);
    return index === 0 ? `${this.name}.${name}` : `${this.name}.${name}$${index}`;
  }

  #key(scope: ScopePair, name: string): string {
    return `${this.#difference.scopes.indexOf(scope)}#${name}`;
  }

  #captureKey(owner: FunctionEntry, name: string): string {
    return `${owner.node.start}:${owner.node.end}#${name}`;
  }

  #capture(bindings: Bindings, placed: PlacedReference): string {
    return placed.variable === undefined
      ? `#${placed.name}`
      : this.#captureKey(ownerOf(bindings, placed.variable), placed.name);
  }

  #gap(placed: PlacedReference, reason: string): void {
    this.gaps.push({ name: placed.within.name, line: placed.within.line, reason });
  }

  /** Declares a further binding as changed; true when it was not known as such. */
  addChange(scope: ScopePair, name: string): boolean {
    const key = this.#key(scope, name);
    const unit = this.#unitDeclaring(scope, name);
    if (this.#changed.has(key) || unit === undefined) return false;
    this.#changed.set(key, { scope, name, unit, existed: true });
    return true;
  }
}
