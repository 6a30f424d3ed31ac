/**
 * From the difference of a file to what is done in a process that has loaded the old version: the text for the live edit, and the delta.
 *
 * The live text is the old text with changed functions exchanged, and nothing else: V8 then finds every function again by its place.
 * Invariant: in the live text, the same variables are captured as in the old one, outside the exchanged functions; V8 refuses in silence to update functions whose surroundings changed.
 */
import { besideOld } from "./arrow-text.ts";
import { assignersOf, innerDifference } from "./assigned-captures.ts";
import { analyseBindings, type Bindings, captureKey, isCapturing } from "./bindings.ts";
import type { FileDifference, Gap, Replacement, ScopePair } from "./difference.ts";
import { textInOldForm } from "./function-form.ts";
import { buildFunctionTree, descendants, type FunctionEntry, isWithin, type Range } from "./function-tree.ts";
import { instanceMethods, migrationFunction, type StateChange, stateChanges } from "./instance-state.ts";
import { closureGaps } from "./kept-closures.ts";
import { bodyStart, type LiveFunction, placeFunctions } from "./live-places.ts";
import { loadHelpers } from "./load-helpers.ts";
import { type Delta, Registry } from "./registry.ts";
import { applyEdits, type Edit, referenceEdit, rewriteReferences } from "./rewrite.ts";
import { type AnyNode, parseSource } from "./syntax.ts";

export interface LiveText {
  readonly text: string;
  readonly functions: readonly LiveFunction[];
  /** Every change lies in a function where old and new statements can stand side by side. */
  readonly switchable: boolean;
  readonly delta: Delta | undefined;
  readonly registry: string;
  readonly gaps: readonly Gap[];
  /** Names of exports that get another value: files that copied it have to follow. */
  readonly exported: ReadonlySet<string>;
  /** Of an ES module: exports that importers outside of the hotpatch would still see with the old value. */
  readonly rebound: ReadonlySet<string>;
}

/** `forced` names values that are to be computed anew although their own text may be the same: variables, and exports as `exports.name`. */
export function writeLiveText(
  difference: FileDifference,
  registryName: string,
  forced: ReadonlySet<string> = new Set(),
): LiveText {
  return new Writer(difference, registryName).write(forced);
}

/** An old function that gets another text, as a whole or in places. */
interface Exchange {
  readonly entry: FunctionEntry;
  readonly edits: readonly Edit[];
}

class Writer {
  readonly #difference: FileDifference;
  readonly #before: Bindings;
  readonly #registry: Registry;
  readonly #gaps: Gap[];

  constructor(difference: FileDifference, registryName: string) {
    this.#difference = difference;
    this.#before = analyseBindings(difference.before.source, difference.before.root);
    const after = analyseBindings(difference.after.source, difference.after.root);
    this.#registry = new Registry(difference, { before: this.#before, after }, registryName);
    this.#after = after;
    this.#gaps = [...difference.gaps, ...closureGaps(difference, { before: this.#before, after })];
  }

  readonly #after: Bindings;

  write(forced: ReadonlySet<string>): LiveText {
    this.#settleBindings(forced);
    for (const effect of this.#difference.effects) this.#registry.addEffect(effect);
    this.#registry.addModuleExports();
    const exchanges = this.#exchanges();
    this.#refill();
    const kept = this.#keepCaptures(exchanges);
    const edits = kept.flatMap((exchange) => exchange.edits);
    return {
      text: this.#assemble(edits),
      ...placeFunctions(this.#difference, new Set(kept.map(({ entry }) => entry)), edits, this.#before),
      delta: this.#registry.delta(),
      registry: this.#registry.name,
      gaps: [...this.#gaps, ...this.#registry.gaps],
      exported: this.#registry.exported,
      rebound: this.#registry.rebound,
    };
  }

  /** Follows values that changed into the bindings and statements that were computed from them at load. */
  #settleBindings(forced: ReadonlySet<string>): void {
    const { scopes } = this.#difference;
    const exported = [...forced]
      .filter((name) => name.startsWith("exports."))
      .map((name) => name.slice("exports.".length));
    for (const key of exported) for (const scope of scopes) this.#registry.recomputeExportedVariables(scope, key);
    for (const name of forced)
      if (!name.startsWith("exports.")) scopes.some((scope) => this.#registry.addChange(scope, name));
    for (const { scope, name } of [...this.#difference.rebuilt, ...this.#registry.unheldTargets()])
      this.#registry.addChange(scope, name);
    for (let grew = true; grew; ) {
      grew = false;
      for (const { scope, unit } of this.#registry.loaded.dependents()) {
        if (this.#registry.exports.isObject(scope, unit)) continue;
        for (const name of unit.names) grew = this.#registry.addChange(scope, name) || grew;
      }
    }
    for (const { scope, unit } of this.#registry.loaded.dependents()) {
      if (unit.kind === "default-export") this.#registry.rebound.add("default");
      if (this.#registry.exports.isObject(scope, unit)) this.#registry.updateExportedObject(scope, unit);
      if (unit.names.length > 0 || unit.kind === "return" || unit.kind === "default-export") continue;
      if (/^assign:(module\.)?exports$/.test(unit.key)) this.#registry.addWholeExport(scope, unit.node);
      else this.#rerun(scope, unit.node);
    }
    for (const key of exported) for (const scope of scopes) this.#registry.recomputeExport(scope, key);
  }

  /** An object that is made anew has to be filled as it was while the module loaded. */
  #refill(): void {
    for (let grew = true; grew; ) {
      grew = false;
      for (const { scope, unit } of [...this.#registry.loaded.fills()])
        grew = this.#registry.addEffect({ kind: "statement", scope, node: unit.node }) || grew;
    }
  }

  #rerun(scope: ScopePair, node: AnyNode): void {
    this.#registry.addEffect({ kind: "statement", scope, node });
  }

  #exchanges(): Exchange[] {
    const done = loadHelpers(this.#difference.before.source, this.#before);
    const doneNow = loadHelpers(this.#difference.after.source, this.#after);
    const replacements = this.#difference.replacements.filter(
      ({ before, after }) => !(done.has(before) && doneNow.has(after)),
    );
    const replaced = replacements.map((replacement) => this.#exchange(replacement));
    const touched = this.#touched(replacements.map(({ before }) => before.range)).filter(
      ({ entry }) => !done.has(entry),
    );
    return replacements.reduce<Exchange[]>(
      (all, replacement) => this.#withMigration(all, replacement),
      [...replaced, ...touched],
    );
  }

  /** Has the methods of a class bring instances up to date that an old constructor made. */
  #withMigration(exchanges: readonly Exchange[], { before, after }: Replacement): Exchange[] {
    const versions = this.#difference;
    const changes = stateChanges(
      { source: versions.before.source, entry: before },
      { source: versions.after.source, entry: after },
    );
    const methods = changes.length === 0 ? [] : instanceMethods(versions.before.root, before, versions.before.source);
    if (methods.length === 0 && this.#isMigratedByConstructor(before, changes)) return [...exchanges];
    const open = changes.filter(({ migration }) => migration === undefined || methods.length === 0);
    for (const { property } of open) {
      this.#gaps.push({
        name: before.name,
        line: before.line,
        reason: `instances made before the patch keep their ${property}; a hook of the author would have to change it`,
      });
    }
    if (changes.length === 0 || open.length > 0) return [...exchanges];
    const call = `${this.#registry.addHelper(before.node, migrationFunction(changes))}(this);`;
    const result = [...exchanges];
    for (const method of methods) {
      const index = result.findIndex(({ entry }) => entry === method);
      const exchange = result[index] ?? { entry: method, edits: [] };
      result.splice(index < 0 ? result.length : index, index < 0 ? 0 : 1, this.#prefixed(exchange, call));
    }
    return result;
  }

  /** A method that makes the state of its instance anew, as the constructor does. */
  #isMigratedByConstructor(method: FunctionEntry, changes: readonly StateChange[]): boolean {
    const { before, after, replacements } = this.#difference;
    const migrated = replacements
      .filter(
        (other) =>
          other.before.constructorOf !== undefined &&
          instanceMethods(before.root, other.before, before.source).includes(method),
      )
      .flatMap((other) =>
        stateChanges({ source: before.source, entry: other.before }, { source: after.source, entry: other.after }),
      );
    return changes.every(({ property }) =>
      migrated.some((change) => change.property === property && change.migration !== undefined),
    );
  }

  #prefixed({ entry, edits }: Exchange, statement: string): Exchange {
    const at = bodyStart(entry.node) ?? entry.node.end;
    const [first] = edits;
    const replaced = this.#difference.replacements.find(({ before }) => before === entry);
    if (replaced === undefined || first === undefined)
      return { entry, edits: [...edits, { start: at, end: at, text: ` ${statement}` }] };
    const brace = this.#difference.after.source.text.slice(replaced.after.range.start, bodyStart(replaced.after.node));
    const text = first.text.startsWith(brace) ? `${brace} ${statement}${first.text.slice(brace.length)}` : first.text;
    return { entry, edits: [{ ...first, text }] };
  }

  #exchange({ before, after }: Replacement): Exchange {
    const { source } = this.#difference.after;
    const substitute = this.#registry.forReplacement(after.node);
    const rewrite = (range: Range): string => rewriteReferences(source, this.#after, range, substitute);
    const text = this.#newText(before, after, rewrite);
    return { entry: before, edits: [{ start: before.range.start, end: before.range.end, text }] };
  }

  #newText(before: FunctionEntry, after: FunctionEntry, rewrite: (range: Range) => string): string {
    const otherForm = textInOldForm(
      { source: this.#difference.before.source, entry: before },
      { source: this.#difference.after.source, entry: after },
      rewrite,
    );
    if (otherForm !== undefined) return otherForm;
    if (before.node.type === "ArrowFunctionExpression" && after.range.start !== after.node.start) {
      this.#gaps.push({
        name: before.name,
        line: before.line,
        reason: "it was an arrow function and became a method, which has a this of its own",
      });
      return this.#difference.before.source.text.slice(before.range.start, before.range.end);
    }
    const becameAsync = before.node.async !== true && after.node.async === true && after.node.generator !== true;
    if (becameAsync && bodyStart(before.node) !== undefined && bodyStart(after.node) !== undefined)
      return this.#asyncInside(before, after, rewrite);
    if (before.node.async === true && after.node.async !== true && this.#difference.before.source.format === "module") {
      this.#gaps.push({
        name: before.name,
        line: before.line,
        reason: "it was async and no longer is, which V8 takes for a change outside of the function",
      });
    }
    return before.node.type === "ArrowFunctionExpression" ? this.#arrow(before, after, rewrite) : rewrite(after.range);
  }

  /** The word `async` stands outside of what V8 takes for the function, so it moves inside: an arrow function keeps `this` and `arguments`. */
  #asyncInside(before: FunctionEntry, after: FunctionEntry, rewrite: (range: Range) => string): string {
    const { text } = this.#difference.after.source;
    const body = after.node.body as AnyNode;
    const head = rewrite({ start: after.range.start, end: body.start });
    const comments = /^(?:\s|\/\*[\s\S]*?\*\/)*/;
    const sync = text.slice(after.range.start, body.start).startsWith("async")
      ? head.slice("async".length).replace(comments, "")
      : head.replace(/\basync\s+/, "");
    return `${sync}{ return (async () => ${rewrite(body)})();\n${indentOfLastLine(this.#difference.before.source.text, before)}}`;
  }

  /**
   * V8 finds an arrow function without braces again only if it ends as it did, so its old expression stays, as the branch that is never taken.
   */
  #arrow(before: FunctionEntry, after: FunctionEntry, rewrite: (range: Range) => string): string {
    const { node } = after;
    const body = node.body as AnyNode;
    const oldBody = before.node.body as AnyNode;
    if (node.type !== "ArrowFunctionExpression") return rewrite(after.range);
    const head = rewrite({ start: node.start, end: this.#bodyStart(node, this.#difference.after.source.text) });
    const value = rewrite({ start: this.#bodyStart(node, this.#difference.after.source.text), end: node.end });
    if (oldBody.type === "BlockStatement")
      return body.type === "BlockStatement" ? rewrite(after.range) : `${head}{ return (${value}); }`;
    const old = this.#difference.before.source.text.slice(
      this.#bodyStart(before.node, this.#difference.before.source.text),
      before.node.end,
    );
    const called = node.async === true ? `await (async () => ${value})()` : `(() => ${value})()`;
    const beside = besideOld(body.type === "BlockStatement" ? called : value, old);
    if (beside !== undefined) return head + beside;
    this.#arrowGap(before);
    return `${head}${old}`;
  }

  /** Just behind the arrow and the blanks after it, so that parentheses around the body are part of it. */
  #bodyStart(node: AnyNode, text: string): number {
    const parameters = node.params as AnyNode[];
    const arrow = text.indexOf("=>", parameters.at(-1)?.end ?? node.start);
    return arrow + 2 + (/^[ \t]*/.exec(text.slice(arrow + 2))?.[0].length ?? 0);
  }

  /** Functions that stay but refer to a binding with a new value. */
  #touched(replaced: readonly Range[]): Exchange[] {
    const { source } = this.#difference.before;
    const substitute = this.#registry.forOldText();
    const byFunction = new Map<FunctionEntry, Edit[]>();
    for (const placed of this.#before.references) {
      if (replaced.some(({ start, end }) => placed.start >= start && placed.end <= end)) continue;
      const edit = referenceEdit(source, placed, substitute);
      if (edit) byFunction.set(placed.within, [...(byFunction.get(placed.within) ?? []), edit]);
    }
    const isTouchedInside = (entry: FunctionEntry): boolean =>
      [...descendants(entry)].some((inner) => byFunction.has(inner));
    return [...byFunction].map(([entry, edits]) => ({
      entry,
      edits: isTouchedInside(entry) ? edits : this.#keepingEnd(entry, edits),
    }));
  }

  /** Edits in the expression of an arrow function become one, with the old expression at its end. */
  #keepingEnd(entry: FunctionEntry, edits: readonly Edit[]): readonly Edit[] {
    if (entry.node.type !== "ArrowFunctionExpression" || (entry.node.body as AnyNode).type === "BlockStatement")
      return edits;
    const { text } = this.#difference.before.source;
    const range = { start: this.#bodyStart(entry.node, text), end: entry.node.end };
    const inBody = edits.filter(({ start }) => start >= range.start);
    if (inBody.length === 0) return edits;
    const beside = besideOld(applyEdits(text, range, inBody), text.slice(range.start, range.end));
    if (beside === undefined) this.#arrowGap(entry);
    return [
      ...edits.filter(({ start }) => start < range.start),
      { ...range, text: beside ?? text.slice(range.start, range.end) },
    ];
  }

  #arrowGap({ name, line }: FunctionEntry): void {
    this.#gaps.push({
      name,
      line,
      reason: "V8 cannot find this arrow function again: its new expression holds every character of the old one",
    });
  }

  #assemble(edits: readonly Edit[]): string {
    const { text } = this.#difference.before.source;
    return applyEdits(text, { start: 0, end: text.length }, edits);
  }

  /** Adds references that are never evaluated for variables that nothing captures any more. */
  #keepCaptures(exchanges: readonly Exchange[]): readonly Exchange[] {
    const replacedPaths = this.#difference.replacements.map(({ before }) => pathOf(before));
    const wanted = capturesOutside(this.#before, replacedPaths);
    const { path, format } = this.#difference.before.source;
    const live = parseSource(path, this.#assemble(exchanges.flatMap(({ edits }) => edits)), format);
    const bindingsNow = analyseBindings(live, buildFunctionTree(live));
    const present = capturesOutside(bindingsNow, replacedPaths);
    for (const key of present.keys()) {
      if (!wanted.has(key))
        this.#gaps.push({
          name: key.split("#")[1] ?? key,
          line: 0,
          reason: "no closure kept this variable before, and one made before the patch cannot get at it",
        });
    }
    const missing = this.#innerAssignments(exchanges);
    const need = (entries: readonly FunctionEntry[], reference: string): void => {
      const keeper = exchanges.find(({ entry }) => entries.some((inner) => isWithin(inner.range, entry.range)));
      if (keeper) missing.set(keeper, [...(missing.get(keeper) ?? []), reference]);
    };
    const assigners = assignersOf(this.#before, pathOf);
    const assignersNow = assignersOf(bindingsNow, pathOf);
    for (const [key, entries] of wanted) {
      const name = key.split("#")[1] as string;
      const former = assigners.get(key) ?? [];
      const isAssigned = (assignersNow.get(key) ?? []).length > 0;
      const staysAssigned = former.some((by) => !exchanges.some(({ entry }) => isWithin(by.range, entry.range)));
      if (former.length > 0 && !isAssigned && !staysAssigned) need(former, `${name} = ${name}`);
      else if (!present.has(key)) need(entries, name);
      else if (former.length === 0 && isAssigned) this.#gaps.push(assignmentGap(name, entries[0]));
    }
    return exchanges.map((exchange) => this.#withDeadReferences(exchange, missing.get(exchange) ?? []));
  }

  /** Assignments that keep variables inside exchanged functions in the form that V8 gave them. */
  #innerAssignments(exchanges: readonly Exchange[]): Map<Exchange, string[]> {
    const { before: old, after: fresh } = this.#difference;
    const missing = new Map<Exchange, string[]>();
    for (const { before, after } of this.#difference.replacements) {
      const { keep, open } = innerDifference(
        { bindings: this.#before, text: old.source.text, entry: before },
        { bindings: this.#after, text: fresh.source.text, entry: after },
      );
      const exchange = exchanges.find(({ entry }) => entry === before);
      if (exchange && keep.length > 0)
        missing.set(
          exchange,
          keep.map((name) => `${name} = ${name}`),
        );
      for (const name of open) this.#gaps.push(assignmentGap(name, before));
    }
    return missing;
  }

  #withDeadReferences({ entry, edits }: Exchange, names: readonly string[]): Exchange {
    if (names.length === 0) return { entry, edits };
    const { text } = this.#difference.before.source;
    const [first] = edits;
    const isWhole = edits.length === 1 && first?.start === entry.range.start && first.end === entry.range.end;
    const current = isWhole ? first.text : text.slice(entry.range.start, entry.range.end);
    const offset = isWhole ? 0 : entry.range.start;
    const isExpression =
      entry.node.type === "ArrowFunctionExpression" && (entry.node.body as AnyNode).type !== "BlockStatement";
    const at = isExpression ? this.#bodyStart(entry.node, text) - entry.range.start : lineOfClosingBrace(current);
    // On a line of its own: V8 compares lines, and the one with the closing brace has to stay as it was; without a brace that it could take for that one.
    const dead = isExpression ? `false ? (${names.join(", ")}) : ` : `;if (false) (${names.join(", ")});\n`;
    const edit: Edit = { start: offset + at, end: offset + at, text: dead };
    if (!isWhole) return { entry, edits: [...edits, edit] };
    return { entry, edits: [{ ...first, text: `${current.slice(0, at)}${dead}${current.slice(at)}` }] };
  }
}

/** The blanks before the closing brace, so that the last line of the function stays as it was. */
function indentOfLastLine(text: string, entry: FunctionEntry): string {
  return /[ \t]*$/.exec(text.slice(0, entry.range.end - 1))?.[0] ?? "";
}

/** Where the line with the closing brace begins, or the brace itself where something stands before it. */
function lineOfClosingBrace(text: string): number {
  const brace = text.lastIndexOf("}");
  return brace - (/[ \t]*$/.exec(text.slice(0, brace))?.[0].length ?? 0);
}

/** A function's place in the tree; it is the same in the old and in the live text, outside the exchanged functions. */
function pathOf(entry: FunctionEntry): string {
  return entry.parent ? `${pathOf(entry.parent)}/${entry.place}` : "";
}

/** Captured variables of functions outside the exchanged ones, with the functions that capture them. */
function capturesOutside(bindings: Bindings, replacedPaths: readonly string[]): Map<string, FunctionEntry[]> {
  const captures = new Map<string, FunctionEntry[]>();
  for (const placed of bindings.references) {
    if (!isCapturing(bindings, placed)) continue;
    const key = captureKey(bindings, placed, pathOf);
    const owner = key.slice(0, key.indexOf("#"));
    if (replacedPaths.some((path) => owner === path || owner.startsWith(`${path}/`))) continue;
    captures.set(key, [...(captures.get(key) ?? []), placed.within]);
  }
  return captures;
}

function assignmentGap(name: string, within: FunctionEntry | undefined): Gap {
  return {
    name,
    line: within?.line ?? 0,
    reason:
      "one version alone assigns this variable again, and V8 keeps such a variable in a form that code compiled before cannot read",
  };
}

export function describeGap({ name, line, reason }: Gap): string {
  return `${name} (line ${line}): ${reason}`;
}
