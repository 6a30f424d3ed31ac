/**
 * Debugging information entries of an object file (DWARF 5 §2, §7.5), as far as types and variables need them.
 *
 * Reads what gcc and clang write with -gdwarf-5 -gno-split-dwarf in the 32-bit format.
 */
import { Cursor, stringAt } from "../../binary/cursor.ts";
import { type ElfFile, findSection } from "../../elf/elf-file.ts";
import { relocationTypes } from "../../elf/relocations.ts";
import { relocationSections, sectionContent } from "../../elf/section-contents.ts";
import { staticSymbols } from "../../elf/symbols.ts";

export interface DebugEntry {
  /** Its place in .debug_info, by which others refer to it. */
  readonly offset: number;
  /** DW_TAG_…, DWARF 5 table 7.3. */
  readonly tag: number;
  /** By DW_AT_… (table 7.5); references are places in .debug_info. */
  readonly attributes: ReadonlyMap<number, number | string>;
  readonly children: DebugEntry[];
  readonly parent: DebugEntry | undefined;
}

export const tag = {
  arrayType: 0x01,
  classType: 0x02,
  enumerationType: 0x04,
  formalParameter: 0x05,
  member: 0x0d,
  pointerType: 0x0f,
  referenceType: 0x10,
  compileUnit: 0x11,
  structureType: 0x13,
  typedef: 0x16,
  unionType: 0x17,
  inheritance: 0x1c,
  subrangeType: 0x21,
  baseType: 0x24,
  enumerator: 0x28,
  constType: 0x26,
  subprogram: 0x2e,
  variable: 0x34,
  volatileType: 0x35,
  lexicalBlock: 0x0b,
  namespace: 0x39,
} as const;

export const attribute = {
  location: 0x02,
  name: 0x03,
  byteSize: 0x0b,
  constValue: 0x1c,
  upperBound: 0x2f,
  count: 0x37,
  dataMemberLocation: 0x38,
  declaration: 0x3c,
  bitSize: 0x0d,
  dataBitOffset: 0x6b,
  type: 0x49,
  external: 0x3f,
  encoding: 0x3e,
  abstractOrigin: 0x31,
  specification: 0x47,
  linkageName: 0x6e,
} as const;

interface Abbreviation {
  readonly tag: number;
  readonly children: boolean;
  readonly attributes: readonly { readonly name: number; readonly form: number; readonly constant: number }[];
}

export interface DebugInformation {
  readonly units: readonly DebugEntry[];
  readonly byOffset: ReadonlyMap<number, DebugEntry>;
}

/** Empty where the object has no debug information. Throws `binary/…` where it is damaged. */
export function readDebugInformation(elf: ElfFile): DebugInformation {
  const info = relocated(elf, ".debug_info");
  const abbreviations = relocated(elf, ".debug_abbrev");
  const byOffset = new Map<number, DebugEntry>();
  const units: DebugEntry[] = [];
  if (info === undefined || abbreviations === undefined) return { units, byOffset };
  const strings = {
    plain: relocated(elf, ".debug_str"),
    line: relocated(elf, ".debug_line_str"),
    offsets: relocated(elf, ".debug_str_offsets"),
  };
  const cursor = new Cursor(info, "section .debug_info");
  while (cursor.remaining >= 12) {
    const start = cursor.offset;
    const end = cursor.u32() + cursor.offset;
    const version = cursor.u16();
    const type = version >= 5 ? cursor.u8() : 1;
    if (version >= 5) cursor.u8();
    const abbreviationsAt = cursor.u32();
    if (version < 5) cursor.u8();
    // Type units (DWARF 5 §3.1.4) have a signature and an offset more.
    if (type === 2) cursor.skip(12);
    const reader = {
      cursor: new Cursor(info, "section .debug_info", cursor.offset, end),
      start,
      strings,
      table: readAbbreviations(abbreviations, abbreviationsAt),
      byOffset,
    };
    const unit = readEntries(reader, undefined)[0];
    if (unit !== undefined) units.push(unit);
    cursor.seek(end);
  }
  return { units, byOffset };
}

function relocated(elf: ElfFile, name: string): Uint8Array | undefined {
  const section = findSection(elf, name);
  if (section === undefined) return undefined;
  const bytes = Buffer.from(sectionContent(elf, section));
  const symbols = staticSymbols(elf);
  for (const { target, relocations } of relocationSections(elf)) {
    if (target !== section.index) continue;
    for (const { offset, type, symbol, addend } of relocations) {
      const size = relocationTypes.get(type)?.sizeBytes ?? 0;
      const value = (symbols[symbol]?.value ?? 0) + addend;
      if (size === 4 && offset + 4 <= bytes.length) bytes.writeUInt32LE(value >>> 0, offset);
      else if (size === 8 && offset + 8 <= bytes.length)
        bytes.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)), offset);
    }
  }
  return bytes;
}

/** DWARF 5 §7.5.3. */
function readAbbreviations(bytes: Uint8Array, at: number): Map<number, Abbreviation> {
  const cursor = new Cursor(bytes, "section .debug_abbrev", at);
  const table = new Map<number, Abbreviation>();
  for (let code = cursor.uleb128(); code !== 0; code = cursor.uleb128()) {
    const entryTag = cursor.uleb128();
    const children = cursor.u8() !== 0;
    const attributes: Abbreviation["attributes"][number][] = [];
    for (;;) {
      const name = cursor.uleb128();
      const form = cursor.uleb128();
      const constant = form === 0x21 ? cursor.sleb128() : 0;
      if (name === 0 && form === 0) break;
      attributes.push({ name, form, constant });
    }
    table.set(code, { tag: entryTag, children, attributes });
  }
  return table;
}

interface Reader {
  readonly cursor: Cursor;
  /** Where the unit begins: references within it are counted from there. */
  readonly start: number;
  readonly strings: Strings;
  readonly table: ReadonlyMap<number, Abbreviation>;
  readonly byOffset: Map<number, DebugEntry>;
}

interface Strings {
  readonly plain: Uint8Array | undefined;
  readonly line: Uint8Array | undefined;
  readonly offsets: Uint8Array | undefined;
}

/** Entries up to the null entry that ends a list of siblings (DWARF 5 §2.3), with their children. */
function readEntries(reader: Reader, top: DebugEntry | undefined): DebugEntry[] {
  const { cursor, table, byOffset } = reader;
  const list: DebugEntry[] = [];
  let parent = top;
  while (cursor.remaining > 0) {
    const offset = cursor.offset;
    const code = cursor.uleb128();
    if (code === 0) {
      if (parent === top) break;
      parent = parent?.parent;
      continue;
    }
    const abbreviation = table.get(code);
    if (abbreviation === undefined)
      return cursor.fail("binary/out-of-bounds", `has an entry of the unknown kind ${code}`);
    const attributes = new Map<number, number | string>();
    for (const { name, form, constant } of abbreviation.attributes) {
      const value = readForm(reader, form, constant);
      if (value !== undefined) attributes.set(name, value);
    }
    const entry: DebugEntry = { offset, tag: abbreviation.tag, attributes, children: [], parent };
    byOffset.set(offset, entry);
    (parent === top ? list : (parent?.children ?? list)).push(entry);
    if (abbreviation.children) parent = entry;
    if (parent === top && top === undefined) break;
  }
  return list;
}

/** DWARF 5 §7.5.6, table 7.6; undefined for values that nobody here asks for. */
function readForm(reader: Reader, form: number, constant: number): number | string | undefined {
  const { cursor, start } = reader;
  const size = skippedBytes(cursor, form);
  if (size !== undefined) return void cursor.skip(size);
  const text = textForm(reader, form);
  if (text !== undefined) return text;
  const reference = referenceForm(cursor, form);
  if (reference !== undefined) return start + reference;
  if (form === 0x16) return readForm(reader, cursor.uleb128(), 0);
  if (form === 0x19) return 1;
  if (form === 0x21) return constant;
  if (form === 0x18) {
    const block = cursor.take(cursor.uleb128());
    // DW_OP_addr begins the expression of a variable with a fixed place.
    return block[0] === 0x03 ? "fixed" : "computed";
  }
  return numberForm(cursor, form);
}

/** The size of a value that is passed over: addresses, blocks, signatures. */
function skippedBytes(cursor: Cursor, form: number): number | undefined {
  if ([0x01, 0x14, 0x20, 0x24].includes(form)) return 8;
  if (form === 0x1c || form === 0x1d) return 4;
  if (form === 0x1e) return 16;
  if (form === 0x2b) return 3;
  if (form === 0x03) return cursor.u16();
  if (form === 0x04) return cursor.u32();
  if (form === 0x09) return cursor.uleb128();
  return form === 0x0a ? cursor.u8() : undefined;
}

function textForm({ cursor, strings }: Reader, form: number): string | undefined {
  if (form === 0x08) return cursor.cstring();
  if (form === 0x0e) return textAt(strings.plain, cursor.u32());
  if (form === 0x1f) return textAt(strings.line, cursor.u32());
  if (form === 0x1a) return indexedText(strings, cursor.uleb128());
  if (form === 0x25) return indexedText(strings, cursor.u8());
  if (form === 0x26) return indexedText(strings, cursor.u16());
  if (form === 0x27) return indexedText(strings, cursor.u16() + cursor.u8() * 65_536);
  return form === 0x28 ? indexedText(strings, cursor.u32()) : undefined;
}

/** References within the unit. */
function referenceForm(cursor: Cursor, form: number): number | undefined {
  if (form === 0x11) return cursor.u8();
  if (form === 0x12) return cursor.u16();
  if (form === 0x13) return cursor.u32();
  return form === 0x15 ? cursor.uleb128() : undefined;
}

/** What a number cannot hold (such as an enum's UINT64_MAX) is its decimal text. */
function numberForm(cursor: Cursor, form: number): number | string {
  if (form === 0x05 || form === 0x2a) return cursor.u16();
  if ([0x06, 0x17, 0x10, 0x2c].includes(form)) return cursor.u32();
  if ([0x0b, 0x0c, 0x29].includes(form)) return cursor.u8();
  if (form === 0x07) return wholeOrText(cursor.raw64());
  if (form === 0x0d) return anyLeb128(cursor, true);
  if (form === 0x0f) return anyLeb128(cursor, false);
  if ([0x1b, 0x22, 0x23].includes(form)) return cursor.uleb128();
  return cursor.fail("binary/out-of-bounds", `has an attribute of the unknown form ${form}`);
}

/** DWARF 5 §7.6, of 64 bits. */
function anyLeb128(cursor: Cursor, signed: boolean): number | string {
  let value = 0n;
  for (let shift = 0n; shift < 70n; shift += 7n) {
    const byte = cursor.u8();
    value |= BigInt(byte & 0x7f) << shift;
    if (byte >= 0x80) continue;
    if (signed && (byte & 0x40) !== 0) value -= 1n << (shift + 7n);
    return wholeOrText(value);
  }
  return cursor.fail("binary/number", "holds a number of more than 64 bits");
}

function wholeOrText(value: bigint): number | string {
  return value >= -9_007_199_254_740_991n && value <= 9_007_199_254_740_991n ? Number(value) : String(value);
}

function textAt(bytes: Uint8Array | undefined, offset: number): string {
  return bytes === undefined ? "" : stringAt(bytes, offset, "a string of the debug information");
}

/** DWARF 5 §7.26: a header of 8 bytes, then offsets of 4. */
function indexedText({ plain, offsets }: Strings, index: number): string {
  if (offsets === undefined) return "";
  return textAt(plain, new Cursor(offsets, "section .debug_str_offsets", 8 + index * 4).u32());
}
