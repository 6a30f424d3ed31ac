/**
 * Values that a patched process would keep although the fixed version has others: found by comparing two processes, not two texts, so that nothing computed at load is overlooked.
 */
import type { ListedValue } from "../engine/node/rehearsal.ts";

/** Longer arrays are compared by their order. */
const reorderedLimit = 2000;

export type ValueList = Readonly<Record<string, ListedValue>>;

export interface ListedVersions {
  /** The old version, as it was and with the hotpatch in place, in one process. */
  readonly before: ValueList;
  readonly patched: ValueList;
  /** The fixed version in two processes: what differs between those is chance. */
  readonly fixed: ValueList;
  readonly again: ValueList;
}

export interface StaleValue {
  /** The file of the package, and the place among its values. */
  readonly path: string;
  readonly place: string;
  readonly held: string;
  readonly wanted: string;
  /** What to compute anew, where that could help: a variable, or `exports.name`. */
  readonly source: string | undefined;
}

/** Every place where the patched process holds something else than the fixed version would. */
export function staleValues(lists: ListedVersions): StaleValue[] {
  const { before, patched, fixed, again } = lists;
  const others = Object.entries(fixed).flatMap(([place, wanted]) => {
    if (again[place]?.text !== wanted.text) return [];
    const held = patched[place];
    if (held !== undefined && (isOfOther(wanted.under, patched, fixed) || isReordered(wanted.under, patched, fixed)))
      return [];
    // Another shape of what a file exports is for those who load it anew.
    if (held !== undefined && isExports(place, fixed) && kindOf(held) !== kindOf(wanted)) return [];
    const isStale = held === undefined ? isMissing(place, lists) : isOther(before[place], held, wanted);
    if (!isStale) return [];
    // Whoever has taken a function keeps it, so making another one would help nobody.
    const isCode = wanted.text.startsWith("function");
    const { source, ...named } = splitPlace(place);
    return [{ ...named, held: held?.text ?? "nothing", wanted: wanted.text, source: isCode ? undefined : source }];
  });
  return [...others, ...leftOvers(lists)];
}

/** Exported functions that were replaced rather than changed. */
export function keptFunctions(places: readonly string[]): StaleValue[] {
  return places.map((place) => ({
    ...splitPlace(place),
    held: "the former function wherever it was taken from the exports",
    wanted: "another one",
    source: undefined,
  }));
}

/** Settings that the fixed version took away from an object of its own; what is no longer exported may stay. */
function leftOvers({ before, patched, fixed, again }: ListedVersions): StaleValue[] {
  return Object.entries(patched).flatMap(([place, held]) => {
    const { under } = held;
    const holder =
      under === undefined || fixed[place] || again[place] || isExports(under, fixed) ? undefined : fixed[under];
    const isSetting =
      holder?.open === true && holder.text === "an object" && patched[under as string]?.text === holder.text;
    if (!isSetting || before[place]?.text !== held.text || held.text.startsWith("function")) return [];
    return [{ ...splitPlace(place), held: held.text, wanted: "nothing" }];
  });
}

/**
 * A property that is looked for in an object which both have, and which was listed as a whole.
 * A further export does not count: who runs the old version does not use it, and the package's own new code finds it through the registry.
 */
function isMissing(place: string, { before, patched, fixed }: ListedVersions): boolean {
  const { under } = fixed[place] as ListedValue;
  if (under === undefined || isExports(under, fixed) || before[place] !== undefined) return false;
  return patched[under]?.open === true && patched[under].text === fixed[under]?.text;
}

/** The place of what a file exports as a whole. */
function isExports(place: string, list: ValueList): boolean {
  return list[place]?.under === undefined && !place.includes("~");
}

/** Below a value that is another one as a whole there is nothing to compare. */
function isOfOther(holder: string | undefined, patched: ValueList, fixed: ValueList): boolean {
  const [one, other] = [patched[holder ?? ""], fixed[holder ?? ""]];
  return one !== undefined && other !== undefined && kindOf(one) !== kindOf(other);
}

function kindOf({ text }: ListedValue): string {
  return /^(?:function|an? \w+)/.exec(text)?.[0] ?? "a primitive";
}

/** The keys of an object that got more of them: the same strings in another order. */
function isReordered(array: string | undefined, patched: ValueList, fixed: ValueList): boolean {
  const size = /^an array of (\d+)$/.exec(array === undefined ? "" : (fixed[array]?.text ?? ""))?.[1];
  if (array === undefined || size === undefined || patched[array]?.text !== fixed[array]?.text) return false;
  const elements = (list: ValueList): string[] =>
    Array.from(
      { length: Math.min(Number(size), reorderedLimit) },
      (_, index) => list[`${array}.${index}`]?.text ?? "",
    ).sort();
  const [one, other] = [elements(patched), elements(fixed)];
  return one.every((text, index) => text.startsWith('"') && text === other[index]);
}

function isOther(before: ListedValue | undefined, held: ListedValue, wanted: ListedValue): boolean {
  if (held.text === wanted.text) return false;
  const isCode = held.text.startsWith("function") && wanted.text.startsWith("function");
  if (!isCode) return true;
  // Changed functions show the text of the live edit, which is neither the old nor the new one; functions of the registry are not looked into.
  return held.text.includes(" ") && wanted.text.includes(" ") && held.text === before?.text;
}

/** `lib/a.js~table.key` is in the variable `table` of the file, `lib/a.js.table.key` in its export of that name. */
function splitPlace(place: string): Pick<StaleValue, "path" | "place" | "source"> {
  const [, path = place, separator = "", rest = ""] = /^(.*?\.[cm]?js)([~.{]?)(.*)$/s.exec(place) ?? [];
  const [name] = /^[\w$]+/.exec(rest) ?? [];
  const source = name === undefined || separator === "{" ? undefined : separator === "~" ? name : `exports.${name}`;
  return { path, place: rest || "exports", source };
}
