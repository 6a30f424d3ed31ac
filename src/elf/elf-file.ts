/**
 * An ELF64 file for x86-64 as its headers describe it: header, segments, sections.
 *
 * Reading is lazy beyond the headers: contents are looked at when they are asked for, and checked then.
 * Invariant: all errors are RebootlessErrors (`elf/unsupported`, `elf/damaged`, or `binary/…` with the struct and offset).
 */
import { RebootlessError } from "../base/errors.ts";
import { readStruct, type StructValue } from "../binary/struct.ts";
import { elfMachineX86, fileType, sectionIndex, sectionType, segmentType } from "./constants.ts";
import { damaged } from "./damaged.ts";
import { StringTable } from "./string-table.ts";
import { elfHeaderTable, programHeaderTable, sectionHeaderTable } from "./structs.ts";

export interface Segment {
  readonly index: number;
  /** `segmentType`, or another number. */
  readonly type: number;
  /** `segmentFlag`. */
  readonly flags: number;
  readonly offset: number;
  readonly address: number;
  readonly fileSize: number;
  readonly memorySize: number;
  readonly align: number;
}

export interface Section {
  readonly index: number;
  readonly name: string;
  /** `sectionType`, or another number. */
  readonly type: number;
  /** `sectionFlag`. */
  readonly flags: number;
  readonly address: number;
  readonly offset: number;
  readonly size: number;
  readonly link: number;
  readonly info: number;
  readonly align: number;
  readonly entrySize: number;
}

export type ElfType = "relocatable" | "executable" | "shared";

export interface ElfFile {
  readonly bytes: Uint8Array;
  /** `shared` is also what a position-independent executable says. */
  readonly type: ElfType;
  readonly entry: number;
  readonly header: StructValue<typeof elfHeaderTable>;
  readonly segments: readonly Segment[];
  /** With the null section at index 0; empty where the file has none. */
  readonly sections: readonly Section[];
}

function unsupported(message: string): never {
  throw new RebootlessError("elf/unsupported", message);
}

const types: ReadonlyMap<number, ElfType> = new Map([
  [fileType.relocatable, "relocatable"],
  [fileType.executable, "executable"],
  [fileType.shared, "shared"],
]);

/**
 * Parses the headers (gABI chapters 4 and 5).
 *
 * Throws `elf/unsupported` for anything but a relocatable, executable or shared ELF64 file for x86-64, and `elf/damaged`.
 */
export function parseElf(bytes: Uint8Array): ElfFile {
  checkIdentification(bytes);
  const header = readStruct(bytes, 0, elfHeaderTable);
  if (header.e_machine !== elfMachineX86)
    unsupported(`This ELF file is for machine ${header.e_machine}, not for x86-64`);
  const type = types.get(header.e_type) ?? unsupported(`ELF files of type ${header.e_type} are not for patching`);
  const sections = readSections(bytes, header);
  return { bytes, type, entry: header.e_entry, header, segments: readSegments(bytes, header), sections };
}

/** `e_ident`, gABI figure 4-4. */
function checkIdentification(bytes: Uint8Array): void {
  if (bytes.length < 16 || bytes[0] !== 0x7f || bytes[1] !== 0x45 || bytes[2] !== 0x4c || bytes[3] !== 0x46) {
    unsupported("This is not an ELF file");
  }
  if (bytes[4] !== 2 || bytes[5] !== 1 || bytes[6] !== 1)
    unsupported("This ELF file is not 64-bit, little-endian, version 1");
}

/**
 * The segments alone, for an image read from memory, whose section headers are not mapped; `bytes` begin with the ELF header.
 *
 * A number of PN_XNUM stands in section 0 (gABI, chapter 5).
 */
export function readSegments(
  bytes: Uint8Array,
  header: ElfFile["header"] = readStruct(bytes, 0, elfHeaderTable),
): Segment[] {
  let count = header.e_phnum;
  if (count === 0) return [];
  if (count === 0xffff) count = readStruct(bytes, header.e_shoff, sectionHeaderTable).sh_info;
  if (header.e_phentsize !== programHeaderTable.sizeBytes) damaged(`e_phentsize is ${header.e_phentsize}`);
  if (header.e_phoff + count * programHeaderTable.sizeBytes > bytes.length)
    damaged(`${count} program headers do not fit`);
  return Array.from({ length: count }, (_, index) => {
    const raw = readStruct(bytes, header.e_phoff + index * programHeaderTable.sizeBytes, programHeaderTable);
    return {
      index,
      type: raw.p_type,
      flags: raw.p_flags,
      offset: raw.p_offset,
      address: raw.p_vaddr,
      fileSize: raw.p_filesz,
      memorySize: raw.p_memsz,
      align: raw.p_align,
    };
  });
}

/** Section headers with names; counts that do not fit into the ELF header stand in section 0 (gABI figure 4-9). */
function readSections(bytes: Uint8Array, header: ElfFile["header"]): Section[] {
  if (header.e_shoff === 0) return [];
  if (header.e_shentsize !== sectionHeaderTable.sizeBytes) damaged(`e_shentsize is ${header.e_shentsize}`);
  const first = readStruct(bytes, header.e_shoff, sectionHeaderTable);
  const count = header.e_shnum === 0 ? first.sh_size : header.e_shnum;
  if (header.e_shoff + count * sectionHeaderTable.sizeBytes > bytes.length)
    damaged(`${count} section headers do not fit`);
  const raw = Array.from({ length: count }, (_, index) =>
    readStruct(bytes, header.e_shoff + index * sectionHeaderTable.sizeBytes, sectionHeaderTable),
  );
  const namesIndex = header.e_shstrndx === sectionIndex.extended ? first.sh_link : header.e_shstrndx;
  const names = namesIndex === 0 ? undefined : raw[namesIndex];
  if (namesIndex !== 0 && names === undefined) damaged(`the section names are in section ${namesIndex} of ${count}`);
  const strings =
    names &&
    new StringTable(fileRange(bytes, names.sh_offset, names.sh_size, "the section names"), "the section names");
  return raw.map((section, index) => ({
    index,
    name: strings?.at(section.sh_name) ?? "",
    type: section.sh_type,
    flags: section.sh_flags,
    address: section.sh_addr,
    offset: section.sh_offset,
    size: section.sh_size,
    link: section.sh_link,
    info: section.sh_info,
    align: section.sh_addralign,
    entrySize: section.sh_entsize,
  }));
}

function fileRange(bytes: Uint8Array, offset: number, size: number, what: string): Uint8Array {
  if (offset + size > bytes.length) damaged(`${what} ends beyond the file`, { offset, size });
  return bytes.subarray(offset, offset + size);
}

/** The first section of this name. */
export function findSection(elf: ElfFile, name: string): Section | undefined {
  return elf.sections.find((section) => section.name === name);
}

/** The section's bytes as they are in the file, without a copy: none for SHT_NOBITS, compressed ones as they are. */
export function sectionBytes(elf: ElfFile, section: Section): Uint8Array {
  if (section.type === sectionType.nobits || section.type === sectionType.null) return new Uint8Array(0);
  return fileRange(elf.bytes, section.offset, section.size, `section ${section.index} ${section.name}`);
}

/** The part of a segment that is in the file. */
export function segmentBytes(elf: ElfFile, segment: Segment): Uint8Array {
  return fileRange(elf.bytes, segment.offset, segment.fileSize, `segment ${segment.index}`);
}

/** Where a segment of this type is: PT_TLS, PT_GNU_EH_FRAME, PT_DYNAMIC and others that occur once. */
export function findSegment(segments: readonly Segment[], type: keyof typeof segmentType): Segment | undefined {
  return segments.find((segment) => segment.type === segmentType[type]);
}

/** The section linked by `sh_link`, which must be of one of these types. */
export function linkedSection(elf: ElfFile, section: Section, allowed: readonly number[]): Section {
  const linked = elf.sections[section.link];
  if (linked === undefined || !allowed.includes(linked.type)) {
    damaged(`section ${section.index} ${section.name} links to section ${section.link}, which is not what it needs`);
  }
  return linked;
}
