/** What is inside sections of some kinds: compressed ones, COMDAT groups, merged strings and constants, relocations (gABI chapter 4). */
import { inflateSync, zstdDecompressSync } from "node:zlib";
import { RebootlessError } from "../base/errors.ts";
import { Cursor } from "../binary/cursor.ts";
import { readStruct } from "../binary/struct.ts";
import { compressionType, sectionFlag, sectionType } from "./constants.ts";
import { damaged } from "./damaged.ts";
import { type ElfFile, linkedSection, type Section, sectionBytes } from "./elf-file.ts";
import { type Relocation, readRelocations } from "./relocations.ts";
import { compressionTable } from "./structs.ts";
import type { ElfSymbol } from "./symbols.ts";

/** More than the largest debug sections in use; one that says more is refused before anything is allocated. */
const maxInflatedBytes = 1024 * 1024 * 1024;

/** The content, SHF_COMPRESSED undone. Throws `elf/damaged` if it is not as large as its header says, or larger than `limit`. */
export function sectionContent(elf: ElfFile, section: Section, limit = maxInflatedBytes): Uint8Array {
  const bytes = sectionBytes(elf, section);
  if ((section.flags & sectionFlag.compressed) === 0) return bytes;
  const { ch_type: type, ch_size: size } = readStruct(bytes, 0, compressionTable);
  if (size > limit) damaged(`section ${section.name} says that it holds ${size} bytes`, { size, limit });
  const content = inflate(bytes.subarray(compressionTable.sizeBytes), type, size, section.name);
  if (content.length !== size) damaged(`section ${section.name} holds ${content.length} bytes rather than ${size}`);
  return content;
}

function inflate(bytes: Uint8Array, type: number, size: number, name: string): Uint8Array {
  const unpack =
    type === compressionType.zlib ? inflateSync : type === compressionType.zstd ? zstdDecompressSync : undefined;
  if (unpack === undefined) damaged(`section ${name} is compressed in the unknown way ${type}`);
  try {
    return unpack(bytes, { maxOutputLength: Math.max(size, 1) });
  } catch (cause) {
    throw new RebootlessError("elf/damaged", `section ${name} cannot be decompressed`, { cause });
  }
}

export interface SectionGroup {
  readonly section: Section;
  /** Whether of several groups with this signature one is kept (GRP_COMDAT). */
  readonly comdat: boolean;
  /** The index of the symbol whose name is the signature, in the table that the section links to. */
  readonly signatureSymbol: number;
  /** Indices of sections. */
  readonly members: readonly number[];
}

export function sectionGroups(elf: ElfFile): SectionGroup[] {
  return elf.sections
    .filter(({ type }) => type === sectionType.group)
    .map((section) => {
      const cursor = new Cursor(sectionBytes(elf, section), `group ${section.index}`);
      const comdat = (cursor.u32() & 1) !== 0;
      const members: number[] = [];
      while (cursor.remaining >= 4) members.push(cursor.u32());
      return { section, comdat, signatureSymbol: section.info, members };
    });
}

export interface MergeEntry {
  readonly offset: number;
  readonly sizeBytes: number;
}

/**
 * The entries of a SHF_MERGE section, which a linker may merge and move one by one: constants of `entrySize`, or strings of such units.
 *
 * A string's size counts its NUL; a last string without one is an entry as well.
 */
export function mergeEntries(content: Uint8Array, section: Section): MergeEntry[] {
  const unit = section.entrySize;
  if (unit === 0 || (section.flags & sectionFlag.merge) === 0) damaged(`section ${section.name} is not one to merge`);
  const strings = (section.flags & sectionFlag.strings) !== 0;
  const entries: MergeEntry[] = [];
  let start = 0;
  for (let at = 0; at < content.length; at += unit) {
    const end = Math.min(at + unit, content.length);
    const terminates = !strings || isZero(content, at, end);
    if (!terminates && end < content.length) continue;
    entries.push({ offset: start, sizeBytes: end - start });
    start = end;
  }
  return entries;
}

function isZero(bytes: Uint8Array, start: number, end: number): boolean {
  for (let index = start; index < end; index += 1) if (bytes[index] !== 0) return false;
  return true;
}

export interface RelocationSection {
  readonly section: Section;
  /** The section that it applies to; in dynamic objects it may be 0. */
  readonly target: number;
  readonly relocations: readonly Relocation[];
}

/** Every SHT_RELA section; SHT_REL does not occur on x86-64 (psABI §4.4) and is refused. */
export function relocationSections(elf: ElfFile): RelocationSection[] {
  const old = elf.sections.find(({ type }) => type === sectionType.rel);
  if (old !== undefined)
    throw new RebootlessError("elf/unsupported", `section ${old.name} has relocations without addends`);
  return elf.sections
    .filter(({ type }) => type === sectionType.rela)
    .map((section) => ({
      section,
      target: section.info,
      relocations: readRelocations(sectionContent(elf, section), `section ${section.name}`),
    }));
}

/** The symbol table that a relocation section or a group refers to. */
export function linkedSymbolSection(elf: ElfFile, section: Section): Section {
  return linkedSection(elf, section, [sectionType.symtab, sectionType.dynsym]);
}

/** Symbols by the section that they are in, in order of their value; those of special sections are left out. */
export function symbolsBySection(symbols: readonly ElfSymbol[], sectionCount: number): Map<number, ElfSymbol[]> {
  const found = new Map<number, ElfSymbol[]>();
  for (const symbol of symbols) {
    if (symbol.section === 0 || symbol.section >= sectionCount) continue;
    const list = found.get(symbol.section);
    if (list === undefined) found.set(symbol.section, [symbol]);
    else list.push(symbol);
  }
  for (const list of found.values()) list.sort((one, other) => one.value - other.value);
  return found;
}
