/**
 * Makes a small ELF image that describes code which is in memory already: sections at their addresses, symbols, unwind information.
 *
 * Debuggers read it to name functions and to walk through them; nothing loads it.
 * The same description gives the same bytes.
 */
import { writeStruct } from "../binary/struct.ts";
import { elfMachineX86, fileType, sectionIndex, sectionType, symbolBinding } from "./constants.ts";
import { damaged } from "./damaged.ts";
import { elfHeaderTable, sectionHeaderTable, symbolTable } from "./structs.ts";

export interface SectionDescription {
  readonly name: string;
  /** `sectionType`; SHT_NOBITS for code that need not be repeated here. */
  readonly type: number;
  /** `sectionFlag`. */
  readonly flags: number;
  /** Where it is in memory. */
  readonly address: number;
  /** Its content, or, for SHT_NOBITS, its size. */
  readonly content: Uint8Array | { readonly sizeBytes: number };
  readonly align: number;
}

export interface SymbolDescription {
  readonly name: string;
  readonly address: number;
  readonly size: number;
  /** `symbolType`. */
  readonly type: number;
  /** `symbolBinding`. */
  readonly binding: number;
  /** The name of its section; undefined for an absolute symbol. */
  readonly section: string | undefined;
}

interface Placed {
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  readonly address: number;
  readonly bytes: Uint8Array;
  readonly sizeBytes: number;
  readonly align: number;
  readonly link: number;
  readonly info: number;
  readonly entrySize: number;
}

/** NUL-terminated names one after the other, the empty one first (gABI chapter 4, "String Table"). */
class Names {
  readonly #parts: Buffer[] = [Buffer.alloc(1)];
  readonly #offsets = new Map<string, number>([["", 0]]);
  #size = 1;

  add(name: string): number {
    const known = this.#offsets.get(name);
    if (known !== undefined) return known;
    if (name.includes("\0")) damaged("a name in an ELF file has no NUL inside", { name });
    const offset = this.#size;
    const part = Buffer.from(`${name}\0`, "latin1");
    this.#parts.push(part);
    this.#offsets.set(name, offset);
    this.#size += part.length;
    return offset;
  }

  bytes(): Uint8Array {
    return Buffer.concat(this.#parts);
  }
}

/**
 * An ELF64 file of type ET_EXEC with these sections, .symtab, .strtab and .shstrtab, and no segments.
 *
 * Throws `elf/damaged` for a symbol in a section that is not there, and `binary/number` for what a field cannot hold.
 */
export function writeElf(sections: readonly SectionDescription[], symbols: readonly SymbolDescription[]): Uint8Array {
  const all = allSections(sections, symbols);
  const names = new Names();
  const nameOffsets = all.map(({ name }) => names.add(name));
  const strings = names.bytes();
  const placed = all.map((section) =>
    section.name === ".shstrtab" ? { ...section, bytes: strings, sizeBytes: strings.length } : section,
  );
  const offsets: number[] = [];
  let end = elfHeaderTable.sizeBytes;
  for (const { bytes, align } of placed) {
    end = Math.ceil(end / Math.max(align, 1)) * Math.max(align, 1);
    offsets.push(end);
    end += bytes.length;
  }
  const headersAt = Math.ceil(end / 8) * 8;
  const file = new Uint8Array(headersAt + placed.length * sectionHeaderTable.sizeBytes);
  writeHeader(file, headersAt, placed.length);
  for (const [index, section] of placed.entries()) {
    file.set(section.bytes, offsets[index]!);
    writeStruct(file, headersAt + index * sectionHeaderTable.sizeBytes, sectionHeaderTable, {
      sh_name: nameOffsets[index]!,
      sh_type: section.type,
      sh_flags: section.flags,
      sh_addr: section.address,
      sh_offset: index === 0 ? 0 : offsets[index]!,
      sh_size: section.sizeBytes,
      sh_link: section.link,
      sh_info: section.info,
      sh_addralign: section.align,
      sh_entsize: section.entrySize,
    });
  }
  return file;
}

/** With the null section first and the tables last; .shstrtab is still empty. */
function allSections(sections: readonly SectionDescription[], symbols: readonly SymbolDescription[]): Placed[] {
  const own = sections.map(({ content, ...rest }): Placed => {
    const bytes = content instanceof Uint8Array ? content : new Uint8Array(0);
    const sizeBytes = content instanceof Uint8Array ? content.length : content.sizeBytes;
    return { ...rest, bytes, sizeBytes, link: 0, info: 0, entrySize: 0 };
  });
  const names = new Names();
  const table = symbolBytes(sections, symbols, names);
  const strings = names.bytes();
  const plain = { flags: 0, address: 0, align: 1, link: 0, info: 0, entrySize: 0 };
  const symtabIndex = own.length + 1;
  const symtab = {
    ...plain,
    name: ".symtab",
    type: sectionType.symtab,
    bytes: table.bytes,
    sizeBytes: table.bytes.length,
    align: 8,
    link: symtabIndex + 1,
    info: table.firstGlobal,
    entrySize: symbolTable.sizeBytes,
  };
  const none = new Uint8Array(0);
  return [
    { ...plain, name: "", type: sectionType.null, bytes: none, sizeBytes: 0, align: 0 },
    ...own,
    symtab,
    { ...plain, name: ".strtab", type: sectionType.strtab, bytes: strings, sizeBytes: strings.length },
    { ...plain, name: ".shstrtab", type: sectionType.strtab, bytes: none, sizeBytes: 0 },
  ];
}

/** Local symbols come first, and `sh_info` says where the others begin (gABI chapter 4, "Symbol Table"). */
function symbolBytes(
  sections: readonly SectionDescription[],
  symbols: readonly SymbolDescription[],
  names: Names,
): { readonly bytes: Uint8Array; readonly firstGlobal: number } {
  const locals = symbols.filter(({ binding }) => binding === symbolBinding.local);
  const others = symbols.filter(({ binding }) => binding !== symbolBinding.local);
  const bytes = new Uint8Array((1 + symbols.length) * symbolTable.sizeBytes);
  for (const [index, symbol] of [...locals, ...others].entries()) {
    const at = sections.findIndex(({ name }) => name === symbol.section);
    if (symbol.section !== undefined && at < 0) damaged(`symbol ${symbol.name} is in no section of the image`);
    writeStruct(bytes, (index + 1) * symbolTable.sizeBytes, symbolTable, {
      st_name: names.add(symbol.name),
      st_info: symbol.binding * 16 + symbol.type,
      st_other: 0,
      st_shndx: symbol.section === undefined ? sectionIndex.absolute : at + 1,
      st_value: BigInt(symbol.address),
      st_size: symbol.size,
    });
  }
  return { bytes, firstGlobal: 1 + locals.length };
}

function writeHeader(file: Uint8Array, sectionHeadersAt: number, sectionCount: number): void {
  if (sectionCount >= sectionIndex.reserved) damaged(`an image of ${sectionCount} sections is not for debuggers`);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  writeStruct(file, 0, elfHeaderTable, {
    e_type: fileType.executable,
    e_machine: elfMachineX86,
    e_version: 1,
    e_entry: 0,
    e_phoff: 0,
    e_shoff: sectionHeadersAt,
    e_flags: 0,
    e_ehsize: elfHeaderTable.sizeBytes,
    e_phentsize: 0,
    e_phnum: 0,
    e_shentsize: sectionHeaderTable.sizeBytes,
    e_shnum: sectionCount,
    e_shstrndx: sectionCount - 1,
  });
}
