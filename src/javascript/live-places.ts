/**
 * Where the functions of a live text stand, before and after, and in which of them old and new statements can stand side by side behind a switch.
 */
import type { Bindings } from "./bindings.ts";
import { ClosureLifetime } from "./closure-lifetime.ts";
import type { FileDifference } from "./difference.ts";
import { descendants, type FunctionEntry, isWithin, ownTokens, type Range } from "./function-tree.ts";
import { type Edit, pathTo } from "./rewrite.ts";
import type { AnyNode, SourceFile } from "./syntax.ts";
import { mayHaveSeveralClosures } from "./touch.ts";

export interface LiveFunction extends Range {
  readonly name: string;
  /** The same function in the old text. */
  readonly before: Range;
  /** Where the statements between its braces begin, in the new text and in the old. */
  readonly body: { readonly start: number; readonly before: number } | undefined;
  /** Old and new statements can stand side by side in it. */
  readonly gate: boolean;
  /** It has not changed itself; a function inside it has. */
  readonly around: boolean;
  /** Several closures of it may exist, and nothing need lead to them from the exports. */
  readonly several: boolean;
  /** None of its closures can be called once the call that made it has returned. */
  readonly brief: boolean;
  /** For a constructor: its class in the old text. */
  readonly ofClass: Range | undefined;
}

export interface LivePlaces {
  readonly functions: readonly LiveFunction[];
  /** Every change lies in a function where old and new statements can stand side by side. */
  readonly switchable: boolean;
}

/** `changed` are the old functions that get another text, by the given edits of the old text; `bindings` are those of the old text. */
export function placeFunctions(
  difference: FileDifference,
  changed: ReadonlySet<FunctionEntry>,
  edits: readonly Edit[],
  bindings: Bindings,
): LivePlaces {
  return new Places(difference, changed, edits, bindings).all();
}

class Places {
  readonly #difference: FileDifference;
  readonly #changed: ReadonlySet<FunctionEntry>;
  readonly #edits: readonly Edit[];

  readonly #lifetime: ClosureLifetime;

  constructor(
    difference: FileDifference,
    changed: ReadonlySet<FunctionEntry>,
    edits: readonly Edit[],
    bindings: Bindings,
  ) {
    this.#difference = difference;
    this.#changed = changed;
    this.#edits = edits;
    this.#lifetime = new ClosureLifetime(difference.before.source, bindings);
  }

  all(): LivePlaces {
    const changed = this.#changed;
    const outermost = new Set([...changed].map(outermostLazy));
    const gates = [...outermost].map((entry) => this.#gates(entry));
    const units = new Set(gates.flatMap((found) => found ?? []));
    const functions = [...new Set([...changed, ...outermost, ...units])]
      .sort((a, b) => a.range.start - b.range.start)
      .map((entry) => ({ ...this.#place(entry), gate: units.has(entry), around: !changed.has(entry) }));
    return { functions, switchable: gates.every((found) => found !== undefined) };
  }

  /** The functions, as far out as possible, whose statements can be doubled behind a switch; undefined where some change lies outside of all. */
  #gates(entry: FunctionEntry): FunctionEntry[] | undefined {
    if (this.#isGateable(entry)) return [entry];
    if (this.#changed.has(entry)) return undefined;
    const concerned = entry.children.filter((child) =>
      [...this.#changed].some((inner) => isWithin(inner.range, child.range)),
    );
    const found = concerned.map((child) => this.#gates(child));
    return found.some((gates) => gates === undefined) ? undefined : found.flatMap((gates) => gates ?? []);
  }

  /** Closures made earlier stay on the old statements, so there must be none with changed code that outlives its call. */
  #isGateable(entry: FunctionEntry): boolean {
    const { before: old, after: fresh } = this.#difference;
    const place = this.#place(entry);
    if (place.body === undefined) return false;
    const bodyBefore = place.body.before;
    const replacement = this.#difference.replacements.find(({ before }) => before === entry);
    if (replacement) {
      const header = (source: SourceFile, of: FunctionEntry): string =>
        source.text.slice(of.range.start, (of.node.body as AnyNode).start);
      if (header(old.source, entry).trim() !== header(fresh.source, replacement.after).trim()) return false;
    } else if (this.#edits.some(({ start }) => entry.range.start <= start && start < bodyBefore)) return false;
    const kept =
      replacement &&
      new Set([...descendants(replacement.after)].map((inner) => ownTokens(fresh.source, inner).join(" ")));
    const isSame = (inner: FunctionEntry): boolean =>
      kept
        ? kept.has(ownTokens(old.source, inner).join(" "))
        : ![...this.#changed].some((other) => isWithin(other.range, inner.range));
    return [...descendants(entry)].every((inner) => isSame(inner) || endsWithItsCall(old.source, inner));
  }

  #place(entry: FunctionEntry): Omit<LiveFunction, "gate" | "around"> {
    const { start, end } = entry.range;
    const shift = (offset: number): number =>
      this.#edits.reduce(
        (moved, edit) =>
          edit.end <= offset && edit.start < end ? moved + edit.text.length - (edit.end - edit.start) : moved,
        offset,
      );
    const place = { start: shift(start), end: shift(end) };
    const name = entry.constructorOf
      ? `${(entry.constructorOf.id as AnyNode | null)?.name ?? "class"}.constructor`
      : entry.name;
    const ofClass = entry.constructorOf && { start: entry.constructorOf.start, end: entry.constructorOf.end };
    const several = mayHaveSeveralClosures(entry);
    const brief = several && this.#lifetime.endsWithItsMaker(entry);
    return { name, ...place, before: { start, end }, body: this.#body(entry, place, shift), several, brief, ofClass };
  }

  #body(entry: FunctionEntry, place: Range, shift: (offset: number) => number): LiveFunction["body"] {
    const before = bodyStart(entry.node);
    if (before === undefined) return undefined;
    const replaced = this.#difference.replacements.find((candidate) => candidate.before === entry);
    if (replaced === undefined) return { start: shift(before), before };
    const after = bodyStart(replaced.after.node);
    const whole = this.#edits.find((edit) => edit.start === entry.range.start && edit.end === entry.range.end);
    if (after === undefined || whole === undefined) return undefined;
    // Only what stands before the body decides where it begins; references in parameters may have become longer.
    const header = this.#difference.after.source.text.slice(replaced.after.range.start, after);
    return whole.text.startsWith(header) ? { start: place.start + header.length, before } : undefined;
  }
}

/** Methods that call their argument before they return. */
const synchronousMethods = new Set([
  "map",
  "forEach",
  "filter",
  "some",
  "every",
  "find",
  "findIndex",
  "reduce",
  "reduceRight",
  "sort",
  "flatMap",
  "replace",
  "replaceAll",
]);

/** A callback of a method that is done with it when it returns. */
function endsWithItsCall(source: SourceFile, entry: FunctionEntry): boolean {
  const path = pathTo(source.program, entry.node.start, entry.node.end, (node) => node === entry.node);
  const call = path.at(-2);
  if (call?.type !== "CallExpression" || call.callee === entry.node) return call?.type === "CallExpression";
  const callee = call.callee as AnyNode;
  return callee.type === "MemberExpression" && synchronousMethods.has((callee.property as AnyNode).name as string);
}

/** Behind the opening brace and the directives; undefined for an arrow function without braces. */
export function bodyStart(node: AnyNode): number | undefined {
  const body = node.body as AnyNode;
  if (body.type !== "BlockStatement") return undefined;
  const directives = (body.body as AnyNode[]).filter((statement) => statement.directive !== undefined);
  return directives.at(-1)?.end ?? body.start + 1;
}

/** The outermost function around that can run again. */
function outermostLazy(entry: FunctionEntry): FunctionEntry {
  let current = entry;
  while (current.parent && !current.parent.runsAtLoad) current = current.parent;
  return current;
}
