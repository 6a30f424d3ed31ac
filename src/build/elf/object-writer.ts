/**
 * Writing an ELF relocatable file for x86-64 (gABI chapter 4): sections, their relocations, one symbol table.
 *
 * Deterministic: the bytes depend on the arguments alone.
 */

import { writeStruct } from "../../binary/struct.ts";
import {
  elfMachineX86,
  fileType,
  sectionFlag,
  sectionIndex,
  sectionType,
  symbolBinding,
  symbolType,
} from "../../elf/constants.ts";
import { elfHeaderTable, relaTable, sectionHeaderTable, symbolTable } from "../../elf/structs.ts";

export interface NewSection {
  readonly name: string;
  readonly type: number;
  /** `sectionFlag`; groups and merging are dropped, since nothing is linked with it. */
  readonly flags: number;
  readonly align: number;
  readonly bytes: Uint8Array;
  /** Differs from the bytes' length for SHT_NOBITS alone. */
  readonly size: number;
  readonly relocations: readonly NewRelocation[];
}

export interface NewRelocation {
  readonly offset: number;
  readonly type: number;
  readonly addend: number;
  readonly symbol: NewSymbol;
}

export interface NewSymbol {
  /** Empty for the symbol of a section. */
  readonly name: string;
  /** Undefined for what the running process has. */
  readonly section: NewSection | undefined;
  readonly value: number;
  readonly size: number;
  /** `symbolType`. */
  readonly type: number;
}

interface TableSection {
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  readonly align: number;
  readonly bytes: Uint8Array;
  readonly size: number;
  readonly link: number;
  readonly info: number;
  readonly entrySize: number;
}

/** The bytes of the file; `symbols` must hold every symbol that a relocation names. */
export function writeObject(sections: readonly NewSection[], symbols: readonly NewSymbol[]): Uint8Array {
  const indexOf = new Map(sections.map((section, index) => [section, index + 1]));
  // Local symbols stand before the others (gABI chapter 4, "Symbol Table", sh_info).
  const ordered = [...symbols.filter(isLocal), ...symbols.filter((symbol) => !isLocal(symbol))];
  const symbolIndex = new Map(ordered.map((symbol, index) => [symbol, index + 1]));
  const strings = new StringTable();
  const symbolBytes = writeSymbols(ordered, indexOf, strings);
  const relocated = sections.filter(({ relocations }) => relocations.length > 0);
  const symtabIndex = sections.length + relocated.length + 1;
  const tables: TableSection[] = [
    ...sections.map((section) => ({
      ...section,
      flags: section.flags & ~(sectionFlag.group | sectionFlag.merge | sectionFlag.strings),
      link: 0,
      info: 0,
      entrySize: 0,
    })),
    ...relocated.map((section) =>
      table(`.rela${section.name}`, sectionType.rela, writeRelocations(section, symbolIndex), {
        flags: sectionFlag.infoLink,
        link: symtabIndex,
        info: indexOf.get(section) ?? 0,
        entrySize: relaTable.sizeBytes,
      }),
    ),
    table(".symtab", sectionType.symtab, symbolBytes, {
      link: symtabIndex + 1,
      info: ordered.filter(isLocal).length + 1,
      entrySize: symbolTable.sizeBytes,
    }),
    table(".strtab", sectionType.strtab, strings.bytes(), { align: 1 }),
  ];
  return layOut(tables);
}

function table(name: string, type: number, bytes: Uint8Array, rest: Partial<TableSection>): TableSection {
  return { name, type, bytes, size: bytes.length, flags: 0, align: 8, link: 0, info: 0, entrySize: 0, ...rest };
}

/** Symbols of sections are local; what has a name is global, so that the patcher and debuggers find it. */
function isLocal(symbol: NewSymbol): boolean {
  return symbol.type === symbolType.section;
}

function writeSymbols(
  symbols: readonly NewSymbol[],
  indexOf: ReadonlyMap<NewSection, number>,
  strings: StringTable,
): Uint8Array {
  const bytes = new Uint8Array((symbols.length + 1) * symbolTable.sizeBytes);
  for (const [index, symbol] of symbols.entries()) {
    const binding = isLocal(symbol) ? symbolBinding.local : symbolBinding.global;
    writeStruct(bytes, (index + 1) * symbolTable.sizeBytes, symbolTable, {
      st_name: strings.add(symbol.name),
      st_info: (binding << 4) | symbol.type,
      st_other: 0,
      st_shndx: symbol.section === undefined ? sectionIndex.undefined : (indexOf.get(symbol.section) ?? 0),
      st_value: BigInt(symbol.value),
      st_size: symbol.size,
    });
  }
  return bytes;
}

function writeRelocations(section: NewSection, symbolIndex: ReadonlyMap<NewSymbol, number>): Uint8Array {
  const bytes = new Uint8Array(section.relocations.length * relaTable.sizeBytes);
  for (const [index, { offset, type, addend, symbol }] of section.relocations.entries()) {
    writeStruct(bytes, index * relaTable.sizeBytes, relaTable, {
      r_offset: offset,
      r_info: (BigInt(symbolIndex.get(symbol) ?? 0) << 32n) | BigInt(type),
      r_addend: BigInt.asUintN(64, BigInt(addend)),
    });
  }
  return bytes;
}

function layOut(tables: readonly TableSection[]): Uint8Array {
  const names = new StringTable();
  const all = [...tables.map((one) => ({ ...one, nameAt: names.add(one.name) }))];
  const namesAt = names.add(".shstrtab");
  const last = { ...table(".shstrtab", sectionType.strtab, names.bytes(), { align: 1 }), nameAt: namesAt };
  let end: number = elfHeaderTable.sizeBytes;
  const placed = [...all, last].map((one) => {
    const offset = alignUp(end, one.align);
    end = one.type === sectionType.nobits ? offset : offset + one.bytes.length;
    return { ...one, offset };
  });
  const headersAt = alignUp(end, 8);
  const bytes = new Uint8Array(headersAt + (placed.length + 1) * sectionHeaderTable.sizeBytes);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  writeStruct(bytes, 0, elfHeaderTable, {
    e_type: fileType.relocatable,
    e_machine: elfMachineX86,
    e_version: 1,
    e_entry: 0,
    e_phoff: 0,
    e_shoff: headersAt,
    e_flags: 0,
    e_ehsize: elfHeaderTable.sizeBytes,
    e_phentsize: 0,
    e_phnum: 0,
    e_shentsize: sectionHeaderTable.sizeBytes,
    e_shnum: placed.length + 1,
    e_shstrndx: placed.length,
  });
  for (const [index, one] of placed.entries()) {
    if (one.type !== sectionType.nobits) bytes.set(one.bytes, one.offset);
    writeStruct(bytes, headersAt + (index + 1) * sectionHeaderTable.sizeBytes, sectionHeaderTable, {
      sh_name: one.nameAt,
      sh_type: one.type,
      sh_flags: one.flags,
      sh_addr: 0,
      sh_offset: one.offset,
      sh_size: one.size,
      sh_link: one.link,
      sh_info: one.info,
      sh_addralign: one.align,
      sh_entsize: one.entrySize,
    });
  }
  return bytes;
}

function alignUp(value: number, align: number): number {
  return Math.ceil(value / Math.max(align, 1)) * Math.max(align, 1);
}

/** NUL-terminated strings, each once; the first byte is the empty name. */
class StringTable {
  readonly #offsets = new Map<string, number>([["", 0]]);
  readonly #parts: Buffer[] = [Buffer.from([0])];
  #size = 1;

  add(text: string): number {
    const known = this.#offsets.get(text);
    if (known !== undefined) return known;
    const offset = this.#size;
    const part = Buffer.from(`${text}\0`, "latin1");
    this.#parts.push(part);
    this.#size += part.length;
    this.#offsets.set(text, offset);
    return offset;
  }

  bytes(): Uint8Array {
    return Buffer.concat(this.#parts);
  }
}
