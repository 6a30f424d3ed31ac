/**
 * The dynamic section (gABI chapter 5, "Dynamic Section") and all that it leads to, read through an image.
 *
 * Works on files and on memory alike, and needs no section headers.
 */
import { Cursor, stringAt } from "../binary/cursor.ts";
import { dynamicTag, segmentType } from "./constants.ts";
import { damaged } from "./damaged.ts";
import { findSegment } from "./elf-file.ts";
import { gnuHashSymbolCount, type HashTables, readGnuHash, readSysvHash } from "./hash-tables.ts";
import type { Image } from "./image.ts";
import { type Relocation, readRelativePlaces, readRelocations } from "./relocations.ts";
import { StringTable } from "./string-table.ts";
import { symbolTable } from "./structs.ts";
import { type ElfSymbol, readSymbol, readSymbols } from "./symbols.ts";
import { readVersionDefinitions, readVersionNeeds, type Versions, versionsOf } from "./versions.ts";

export interface DynamicEntry {
  readonly tag: number;
  /** As it stands there; NaN beyond 2^53. */
  readonly value: number;
}

export interface DynamicObject {
  readonly image: Image;
  /** Up to DT_NULL, without it. */
  readonly entries: readonly DynamicEntry[];
  readonly needed: readonly string[];
  readonly soname: string | undefined;
  readonly rpath: string | undefined;
  readonly runpath: string | undefined;
  /** Link-time addresses. */
  readonly init: number | undefined;
  readonly fini: number | undefined;
  readonly initArray: AddressRange | undefined;
  readonly finiArray: AddressRange | undefined;
  readonly strings: StringTable;
  /** Elf64_Sym entries, and what follows them: nothing in memory tells their number but the hash tables, which leave out undefined ones. */
  readonly symbolBytes: Uint8Array;
  /** So many symbols at least, as the hash tables tell; all that define something are among them. 0 without a table. */
  readonly symbolCount: number;
  readonly hashes: HashTables;
  readonly versions: Versions;
}

export interface AddressRange {
  readonly address: number;
  readonly sizeBytes: number;
}

/** Undefined for an object without PT_DYNAMIC (a static executable). Throws `elf/damaged` or `binary/…`. */
export function readDynamic(image: Image): DynamicObject | undefined {
  const segment = findSegment(image.segments, "dynamic");
  if (segment === undefined) return undefined;
  const entries = readEntries(image.bytesAt(segment.address, segment.fileSize));
  const table = new Entries(entries, image);
  const strings = new StringTable(table.bytes("strtab", table.value("strSize")) ?? new Uint8Array(0), "DT_STRTAB");
  const text = (tag: keyof typeof dynamicTag) => {
    const offset = table.value(tag);
    return offset === undefined ? undefined : strings.at(offset);
  };
  const hashes = readHashes(table);
  const symbolCount = hashes.sysv?.chainCount ?? (hashes.gnu === undefined ? 0 : gnuHashSymbolCount(hashes.gnu));
  const needed = entries.filter(({ tag }) => tag === dynamicTag.needed);
  return {
    image,
    entries,
    needed: needed.map(({ value }) => strings.at(value)),
    soname: text("soname"),
    rpath: text("rpath"),
    runpath: text("runpath"),
    init: table.value("init"),
    fini: table.value("fini"),
    initArray: table.range("initArray", "initArraySize"),
    finiArray: table.range("finiArray", "finiArraySize"),
    strings,
    symbolBytes: table.bytes("symtab", undefined) ?? new Uint8Array(0),
    symbolCount,
    hashes,
    versions: readVersions(table, strings),
  };
}

export function readEntries(bytes: Uint8Array): DynamicEntry[] {
  const cursor = new Cursor(bytes, "the dynamic section");
  const entries: DynamicEntry[] = [];
  while (cursor.remaining >= 16) {
    const tag = exactOrNaN(cursor.raw64());
    const value = exactOrNaN(cursor.raw64());
    if (tag === dynamicTag.null) break;
    entries.push({ tag, value });
  }
  return entries;
}

function exactOrNaN(value: bigint): number {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : Number.NaN;
}

/** Values by tag; the last of several counts, as in glibc's elf_get_dynamic_info. */
class Entries {
  readonly #values: ReadonlyMap<number, number>;
  readonly #image: Image;

  constructor(entries: readonly DynamicEntry[], image: Image) {
    this.#values = new Map(entries.map(({ tag, value }) => [tag, value]));
    this.#image = image;
  }

  value(tag: keyof typeof dynamicTag): number | undefined {
    const value = this.#values.get(dynamicTag[tag]);
    if (value !== undefined && Number.isNaN(value)) damaged(`the dynamic entry ${tag} has an impossible value`);
    return value;
  }

  /** glibc adds the load bias to some pointers in memory, to others not, and musl to none; a link-time address is below the bias of its object. */
  address(tag: keyof typeof dynamicTag): number | undefined {
    const value = this.value(tag);
    if (value === undefined || this.#image.loadBias <= 0 || value < this.#image.loadBias) return value;
    return value - this.#image.loadBias;
  }

  /** Undefined without the entry; `size` undefined takes all that follows. */
  bytes(tag: keyof typeof dynamicTag, size: number | undefined): Uint8Array | undefined {
    const address = this.address(tag);
    if (address === undefined) return undefined;
    return size === undefined ? this.#image.bytesFrom(address) : this.#image.bytesAt(address, size);
  }

  range(start: keyof typeof dynamicTag, size: keyof typeof dynamicTag): AddressRange | undefined {
    const address = this.value(start);
    const sizeBytes = this.value(size);
    return address === undefined || sizeBytes === undefined ? undefined : { address, sizeBytes };
  }
}

function readHashes(table: Entries): HashTables {
  const gnu = table.bytes("gnuHash", undefined);
  const sysv = table.bytes("hash", undefined);
  return {
    ...(gnu === undefined ? {} : { gnu: readGnuHash(gnu) }),
    ...(sysv === undefined ? {} : { sysv: readSysvHash(sysv) }),
  };
}

function readVersions(table: Entries, strings: StringTable): Versions {
  const definitions = table.bytes("verdef", undefined);
  const needs = table.bytes("verneed", undefined);
  return versionsOf(
    definitions === undefined ? [] : readVersionDefinitions(definitions, table.value("verdefCount") ?? 0, strings),
    needs === undefined ? [] : readVersionNeeds(needs, table.value("verneedCount") ?? 0, strings),
    table.bytes("versym", undefined),
  );
}

/** All dynamic symbols that the hash tables cover. */
export function dynamicSymbols(object: DynamicObject): ElfSymbol[] {
  return readSymbols(object.symbolBytes.subarray(0, object.symbolCount * symbolTable.sizeBytes), object.strings);
}

/** One dynamic symbol, by the index that a relocation has. */
export function dynamicSymbol(object: DynamicObject, index: number): ElfSymbol {
  return readSymbol(object.symbolBytes, object.strings, index);
}

/** DT_RELA and DT_JMPREL, and the places of DT_RELR. */
export function dynamicRelocations(object: DynamicObject): {
  readonly rela: readonly Relocation[];
  readonly plt: readonly Relocation[];
  readonly relative: readonly number[];
} {
  const table = new Entries(object.entries, object.image);
  const none = new Uint8Array(0);
  return {
    rela: readRelocations(table.bytes("rela", table.value("relaSize") ?? 0) ?? none, "DT_RELA"),
    plt: readRelocations(table.bytes("jmpRel", table.value("pltRelSize") ?? 0) ?? none, "DT_JMPREL"),
    relative: readRelativePlaces(table.bytes("relr", table.value("relrSize") ?? 0) ?? none),
  };
}

/** The interpreter (PT_INTERP), such as /lib64/ld-linux-x86-64.so.2. */
export function interpreter(image: Image): string | undefined {
  const segment = image.segments.find(({ type }) => type === segmentType.interpreter);
  return segment && stringAt(image.bytesAt(segment.address, segment.fileSize), 0, "PT_INTERP");
}
