/**
 * Values that a patched process would keep although the fixed version has others: found by comparing two processes, not two texts, so that nothing computed at load is overlooked.
 */
import type { ListedValue } from "../engine/node/rehearsal.ts";

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
}

/** Every place where the patched process holds something else than the fixed version would. */
export function staleValues(lists: ListedVersions): StaleValue[] {
  const { before, patched, fixed, again } = lists;
  return Object.entries(fixed).flatMap(([place, wanted]) => {
    if (again[place]?.text !== wanted.text) return [];
    const held = patched[place];
    const isStale = held === undefined ? isMissing(place, lists) : isOther(before[place], held, wanted);
    return isStale ? [{ ...splitPlace(place), held: held?.text ?? "nothing", wanted: wanted.text }] : [];
  });
}

/** A property that is looked for in an object which both have, and which was listed as a whole. */
function isMissing(place: string, { before, patched, fixed }: ListedVersions): boolean {
  const { under } = fixed[place] as ListedValue;
  if (under === undefined || before[place] !== undefined) return false;
  return patched[under]?.open === true && patched[under].text === fixed[under]?.text;
}

function isOther(before: ListedValue | undefined, held: ListedValue, wanted: ListedValue): boolean {
  if (held.text === wanted.text) return false;
  const isCode = held.text.startsWith("function") && wanted.text.startsWith("function");
  if (!isCode) return true;
  // Changed functions show the text of the live edit, which is neither the old nor the new one; functions of the registry are not looked into.
  return held.text.includes(" ") && wanted.text.includes(" ") && held.text === before?.text;
}

function splitPlace(place: string): { path: string; place: string } {
  const match = /^(.*?\.[cm]?js)(?:~|\.|\{|$)(.*)$/s.exec(place);
  return { path: match?.[1] ?? place, place: match?.[2] || "exports" };
}
