/** The entries of an object's .eh_frame, taken apart so that those of single functions can be carried (LSB 5.0 core §10.6.1). */
import { Cursor } from "../../binary/cursor.ts";
import { type ObjectFile, type ObjectSection, type Reference, referredSection } from "./object-file.ts";

export interface UnwindEntry {
  readonly section: ObjectSection;
  readonly start: number;
  readonly end: number;
  readonly references: readonly Reference[];
}

/** What describes one function, with the common entry that it depends on. */
export interface FunctionUnwind extends UnwindEntry {
  readonly common: UnwindEntry;
  /** The code that it describes. */
  readonly code: ObjectSection;
}

/** Every entry of every .eh_frame; entries of 64-bit DWARF do not occur in objects of gcc and clang and end the reading. */
export function readUnwindEntries(object: ObjectFile): FunctionUnwind[] {
  return object.sections.filter(({ kind }) => kind === "unwind").flatMap((section) => readSection(object, section));
}

function readSection(object: ObjectFile, section: ObjectSection): FunctionUnwind[] {
  const cursor = new Cursor(section.bytes, "section .eh_frame");
  const commons = new Map<number, UnwindEntry>();
  const found: FunctionUnwind[] = [];
  while (cursor.remaining >= 4) {
    const start = cursor.offset;
    const length = cursor.u32();
    if (length === 0 || length === 0xffff_ffff) break;
    const pointerAt = cursor.offset;
    const pointer = cursor.u32();
    const end = pointerAt + length;
    cursor.seek(end);
    const entry = {
      section,
      start,
      end,
      references: section.references.filter(({ offset }) => offset >= start && offset < end),
    };
    if (pointer === 0) {
      commons.set(start, entry);
      continue;
    }
    const common = commons.get(pointerAt - pointer);
    const first = entry.references.find(({ offset }) => offset === pointerAt + 4);
    const code = first && referredSection(object, first);
    if (common !== undefined && code !== undefined) found.push({ ...entry, common, code });
  }
  return found;
}
