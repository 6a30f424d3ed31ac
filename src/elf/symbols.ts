/** Symbol tables: .symtab and .dynsym of files, and the dynamic table of an image (gABI chapter 4, "Symbol Table"). */
import { sectionIndex, sectionType } from "./constants.ts";
import { damaged } from "./damaged.ts";
import { type ElfFile, linkedSection, type Section, sectionBytes } from "./elf-file.ts";
import { StringTable } from "./string-table.ts";
import { symbolTable } from "./structs.ts";

export interface ElfSymbol {
  readonly index: number;
  /** One UTF-16 unit a byte; empty for section symbols. */
  readonly name: string;
  /** An address, an offset into its section (relocatable files), or an offset into TLS; NaN beyond 2^53, which only an absolute symbol may be. */
  readonly value: number;
  readonly size: number;
  /** `symbolType`. */
  readonly type: number;
  /** `symbolBinding`. */
  readonly binding: number;
  /** `symbolVisibility`. */
  readonly visibility: number;
  /** The index of its section, SHN_XINDEX resolved; `sectionIndex` has those with a meaning of their own. */
  readonly section: number;
}

const two32 = 2 ** 32;

/** Bytes of `Elf64_Sym`, a string table, and, for files of more than 65,279 sections, SHT_SYMTAB_SHNDX. */
export function readSymbols(bytes: Uint8Array, strings: StringTable, extended?: Uint8Array): ElfSymbol[] {
  if (bytes.length % symbolTable.sizeBytes !== 0)
    damaged(`a symbol table has ${bytes.length} bytes, no multiple of 24`);
  const count = bytes.length / symbolTable.sizeBytes;
  return Array.from({ length: count }, (_, index) => readSymbol(bytes, strings, index, extended));
}

/** One symbol; throws `elf/damaged` or `binary/string`. Read by hand, since files have hundreds of thousands. */
export function readSymbol(bytes: Uint8Array, strings: StringTable, index: number, extended?: Uint8Array): ElfSymbol {
  const at = index * symbolTable.sizeBytes;
  if (!(at >= 0 && at + symbolTable.sizeBytes <= bytes.length)) damaged(`there is no symbol ${index}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, symbolTable.sizeBytes);
  const info = view.getUint8(4);
  const nameOffset = view.getUint32(0, true);
  const value = view.getUint32(8, true) + view.getUint32(12, true) * two32;
  const size = view.getUint32(16, true) + view.getUint32(20, true) * two32;
  if (!Number.isSafeInteger(size)) damaged(`symbol ${index} has an impossible size`);
  return {
    index,
    name: nameOffset === 0 ? "" : strings.at(nameOffset),
    value: Number.isSafeInteger(value) ? value : Number.NaN,
    size,
    type: info & 0xf,
    binding: info >> 4,
    visibility: view.getUint8(5) & 3,
    section: symbolSection(view.getUint16(6, true), index, extended),
  };
}

function symbolSection(raw: number, index: number, extended: Uint8Array | undefined): number {
  if (raw !== sectionIndex.extended) return raw;
  if (extended === undefined || extended.length < (index + 1) * 4) damaged(`symbol ${index} has no section index`);
  return new DataView(extended.buffer, extended.byteOffset, extended.byteLength).getUint32(index * 4, true);
}

/** The symbols of a section of type SHT_SYMTAB or SHT_DYNSYM. */
export function sectionSymbols(elf: ElfFile, section: Section): ElfSymbol[] {
  const names = linkedSection(elf, section, [sectionType.strtab]);
  const strings = new StringTable(sectionBytes(elf, names), `section ${names.name}`);
  const extended = elf.sections.find((other) => other.type === sectionType.symtabShndx && other.link === section.index);
  return readSymbols(sectionBytes(elf, section), strings, extended && sectionBytes(elf, extended));
}

/** .symtab, or nothing for a stripped file. */
export function staticSymbols(elf: ElfFile): ElfSymbol[] {
  const section = elf.sections.find((candidate) => candidate.type === sectionType.symtab);
  return section === undefined ? [] : sectionSymbols(elf, section);
}
