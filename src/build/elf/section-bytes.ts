/** Bytes of sections apart from what relocations fill in, and single entries of sections that linkers merge. */
import { symbolType } from "../../elf/constants.ts";
import { relocationTypes } from "../../elf/relocations.ts";
import { mergeEntries } from "../../elf/section-contents.ts";
import type { ObjectSection, Reference } from "./object-file.ts";

/** Whether two sections of one size hold the same bytes but for the fields of their relocations, which stand at the same places. */
export function sameBytesBut(one: ObjectSection, other: ObjectSection): boolean {
  let start = 0;
  for (const { offset, type } of one.references) {
    if (!sameRange(one.bytes, other.bytes, start, offset)) return false;
    start = Math.max(start, offset + (relocationTypes.get(type)?.sizeBytes ?? 0));
  }
  return sameRange(one.bytes, other.bytes, start, one.bytes.length);
}

function sameRange(one: Uint8Array, other: Uint8Array, start: number, end: number): boolean {
  return end <= start || Buffer.compare(one.subarray(start, end), other.subarray(start, end)) === 0;
}

export interface MergeReference {
  readonly bytes: Uint8Array;
  /** Where in the section the entry begins. */
  readonly start: number;
  /** How far into the entry the reference leads. */
  readonly into: number;
}

const entryCache = new WeakMap<ObjectSection, readonly { offset: number; sizeBytes: number }[]>();

/**
 * The entry that a reference leads to; undefined where that cannot be said.
 *
 * A PC-relative field is counted from the end of its instruction, which lies 4 bytes behind the field's start, or more if an immediate value follows it.
 * Compilers refer to the beginnings of constants, so that a distance that is too short is mended by going to the next beginning.
 */
export function mergeEntryAt(section: ObjectSection, { symbol, addend, type }: Reference): MergeReference | undefined {
  let entries = entryCache.get(section);
  if (entries === undefined) {
    entries = mergeEntries(section.bytes, section.header);
    entryCache.set(section, entries);
  }
  const relative = relocationTypes.get(type)?.pcRelative === true;
  // A named symbol stands in the entry, whatever is added to it: in a table of distances, that is the field's place in the table. Through the section's own symbol, the addend tells.
  const isNamed = symbol.type !== symbolType.section;
  const at = symbol.value + (relative ? addend + 4 : addend);
  const place = isNamed
    ? symbol.value
    : section.kind === "constants" && relative
      ? roundUp(at, section.header.entrySize)
      : at;
  let low = 0;
  let high = entries.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((entries[middle]?.offset ?? 0) <= place) low = middle;
    else high = middle - 1;
  }
  const entry = entries[low];
  if (entry === undefined || place < entry.offset || place >= entry.offset + entry.sizeBytes) return undefined;
  return {
    bytes: section.bytes.subarray(entry.offset, entry.offset + entry.sizeBytes),
    start: entry.offset,
    into: (isNamed ? at : place) - entry.offset,
  };
}

function roundUp(value: number, unit: number): number {
  return unit <= 1 ? value : Math.ceil(value / unit) * unit;
}
