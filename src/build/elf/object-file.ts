/**
 * An object file as the builder sees it: sections with their relocations, each of which names what it refers to.
 *
 * Sections that are not loaded (debug information, comments) are left out; nothing that is compared or carried comes from them.
 */
import { RebootlessError } from "../../base/errors.ts";
import { sectionFlag, sectionIndex, sectionType, symbolBinding, symbolType } from "../../elf/constants.ts";
import { type ElfFile, parseElf, type Section, sectionBytes } from "../../elf/elf-file.ts";
import { relocationSections, sectionGroups, symbolsBySection } from "../../elf/section-contents.ts";
import { type ElfSymbol, staticSymbols } from "../../elf/symbols.ts";

/** R_X86_64_64. */
const absolute64 = 1;

export interface Reference {
  readonly offset: number;
  readonly type: number;
  readonly addend: number;
  readonly symbol: ElfSymbol;
}

export interface ObjectSection {
  readonly header: Section;
  readonly name: string;
  /** Without bytes for SHT_NOBITS. */
  readonly bytes: Uint8Array;
  /** In ascending order of their offsets. */
  readonly references: readonly Reference[];
  /** Named symbols that it defines, by offset. */
  readonly symbols: readonly ElfSymbol[];
  readonly kind: SectionKind;
  /** The name of its COMDAT group: of several sections with one name, a linker keeps one. */
  readonly group: string | undefined;
}

/**
 * What a change of the section would mean.
 *
 * `strings` and `constants` are merged by linkers entry by entry; `constant` is read-only once it is relocated; `unwind` is .eh_frame; `start` runs when the object is loaded; `note` does not count.
 */
export type SectionKind =
  | "code"
  | "writable"
  | "constant"
  | "strings"
  | "constants"
  | "tls"
  | "unwind"
  | "start"
  | "note";

export interface ObjectFile {
  /** For messages: the source file. */
  readonly name: string;
  readonly elf: ElfFile;
  readonly sections: readonly ObjectSection[];
  readonly symbols: readonly ElfSymbol[];
  section(index: number): ObjectSection | undefined;
}

/** Throws `elf/…` and `binary/…` for what is not a relocatable ELF file for x86-64. */
export function readObjectFile(bytes: Uint8Array, name: string): ObjectFile {
  const elf = parseElf(bytes);
  const symbols = staticSymbols(elf);
  const named = symbolsBySection(
    symbols.filter(
      (symbol) => symbol.name !== "" && symbol.type !== symbolType.section && symbol.type !== symbolType.file,
    ),
    elf.sections.length,
  );
  const references = new Map(
    relocationSections(elf).map(({ target, relocations }) => [
      target,
      relocations
        .map(({ symbol, ...rest }) => ({ ...rest, symbol: symbols[symbol] ?? noSymbol(symbol, name) }))
        .sort((left, right) => left.offset - right.offset),
    ]),
  );
  const groups = new Map<number, string>();
  for (const { signatureSymbol, members, comdat } of sectionGroups(elf)) {
    const signature = symbols[signatureSymbol];
    if (comdat && signature !== undefined) for (const member of members) groups.set(member, signature.name);
  }
  const sections = elf.sections
    .filter((section) => (section.flags & sectionFlag.alloc) !== 0)
    .map((header): ObjectSection => {
      const section: ObjectSection = {
        header,
        name: header.name,
        bytes: sectionBytes(elf, header),
        references: references.get(header.index) ?? [],
        symbols: named.get(header.index) ?? [],
        kind: kindOf(header),
        group: groups.get(header.index),
      };
      return isAddressTable(section) ? { ...section, kind: "constant" } : section;
    });
  const byIndex = new Map(sections.map((section) => [section.header.index, section]));
  return { name, elf, sections, symbols, section: (index) => byIndex.get(index) };
}

function noSymbol(index: number, name: string): never {
  throw new RebootlessError(
    "elf/damaged",
    `A relocation of ${name} refers to the symbol ${index}, which is not there.`,
  );
}

function kindOf(section: Section): SectionKind {
  const has = (flag: number): boolean => (section.flags & flag) !== 0;
  if (section.type === sectionType.note) return "note";
  if (section.name === ".eh_frame" || section.type === sectionType.x86Unwind) return "unwind";
  if (/^\.(init_array|fini_array|preinit_array|ctors|dtors)(\.|$)/.test(section.name)) return "start";
  if (has(sectionFlag.execute)) return "code";
  if (has(sectionFlag.tls)) return "tls";
  if (has(sectionFlag.merge)) return has(sectionFlag.strings) ? "strings" : "constants";
  // What is read-only but for its relocations lies in .data.rel.ro, which is writable in the object.
  if (!has(sectionFlag.write) || /^\.data\.rel\.ro(\.|$)/.test(section.name)) return "constant";
  return "writable";
}

const addressBytes = 8;

/** Addresses alone, in data that has no name, so that no code can write to it: what clang's tables of exception handlers refer to types through. */
function isAddressTable({ kind, symbols, references, header }: ObjectSection): boolean {
  return (
    kind === "writable" &&
    symbols.length === 0 &&
    references.length > 0 &&
    references.length * addressBytes === header.size &&
    references.every(({ type }) => type === absolute64)
  );
}

/** The section that a reference leads into; undefined where its symbol is not defined in this object. */
export function referredSection(object: ObjectFile, { symbol }: Reference): ObjectSection | undefined {
  return symbol.section === sectionIndex.undefined ? undefined : object.section(symbol.section);
}

export function isGlobal(symbol: ElfSymbol): boolean {
  return symbol.binding !== symbolBinding.local;
}

export function isFunction(symbol: ElfSymbol): boolean {
  return symbol.type === symbolType.function || symbol.type === symbolType.gnuIfunc;
}

/** The symbol that a section is known by: at its start, a global one before local ones, then by name. */
export function leadingSymbol(section: ObjectSection): ElfSymbol | undefined {
  return section.symbols
    .filter(({ value }) => value === section.symbols[0]?.value)
    .toSorted(
      (left, right) => Number(isGlobal(right)) - Number(isGlobal(left)) || (left.name < right.name ? -1 : 1),
    )[0];
}

const coldSuffix = /\.cold(\.\d+)?$/;

/** A part that the compiler moved away from its function, and that jumps back into it. */
export function isColdPart(name: string): boolean {
  return coldSuffix.test(name);
}

export function functionOfColdPart(name: string): string {
  return name.replace(coldSuffix, "");
}

/** The name without the number that tells static variables of one name, or clones of one function, apart. */
export function withoutNumber(name: string): string {
  return name.replace(/\.\d+$/, "");
}
