/**
 * The binary that really runs, by link-time addresses: its bytes, what the dynamic linker fills in, and which import a PLT entry leads to.
 *
 * Symbol tables are read where they are there, and nothing depends on them.
 */
import { fileType, sectionIndex, segmentFlag, segmentType, symbolType } from "../../elf/constants.ts";
import { type DynamicObject, dynamicRelocations, dynamicSymbols, interpreter, readDynamic } from "../../elf/dynamic.ts";
import { type ElfFile, parseElf, type Segment } from "../../elf/elf-file.ts";
import { fileImage } from "../../elf/image.ts";
import { buildId, elfNotes } from "../../elf/notes.ts";
import { type ElfSymbol, staticSymbols } from "../../elf/symbols.ts";
import { symbolVersion, versionIndexMask } from "../../elf/versions.ts";

export interface Import {
  readonly name: string;
  readonly version: string | undefined;
  readonly weak: boolean;
}

/** What the dynamic linker writes into eight bytes. */
export type Slot =
  | { readonly kind: "address"; readonly address: number }
  | { readonly kind: "import"; readonly symbol: Import; readonly addend: number; readonly call: boolean }
  | { readonly kind: "tls"; readonly symbol: Import | undefined; readonly addend: number };

export interface BinaryImage {
  readonly elf: ElfFile;
  /** The file's own name. */
  readonly name: string;
  readonly soname: string | undefined;
  readonly needed: readonly string[];
  readonly runpath: readonly string[];
  readonly buildId: string | undefined;
  readonly type: "executable" | "library";
  readonly code: readonly Segment[];
  readonly tls: Segment | undefined;
  readonly slots: ReadonlyMap<number, Slot>;
  /** Dynamic symbols that it defines or imports, by name. */
  readonly exports: ReadonlyMap<string, ElfSymbol>;
  readonly imports: ReadonlyMap<string, Import>;
  /** Of .symtab; empty where it was stripped. */
  readonly localNames: ReadonlyMap<number, readonly string[]>;
  readonly dynamic: DynamicObject | undefined;
  /** Undefined where the file has no such bytes; .bss is zeros. */
  bytesAt(address: number, size: number): Uint8Array | undefined;
  /** The import that a PLT entry at this address jumps to. */
  pltImport(address: number): Import | undefined;
}

/** Throws `elf/…` and `binary/…` for what is not an executable or a library. */
export function readBinary(bytes: Uint8Array, name: string): BinaryImage {
  const elf = parseElf(bytes);
  const image = fileImage(elf);
  const dynamic = readDynamic(image);
  const loads = elf.segments.filter(({ type }) => type === segmentType.load);
  const bytesAt = (address: number, size: number): Uint8Array | undefined => {
    const part = loads.find((one) => address >= one.address && address + size <= one.address + one.memorySize);
    if (part === undefined) return undefined;
    const start = part.offset + (address - part.address);
    const present = Math.max(0, Math.min(size, part.fileSize - (address - part.address)));
    const found = bytes.subarray(start, start + present);
    if (found.length === size) return found;
    const padded = new Uint8Array(size);
    padded.set(found);
    return padded;
  };
  const symbols = dynamic === undefined ? [] : dynamicSymbols(dynamic);
  const imported = symbols.map((symbol) => importOf(dynamic, symbol));
  const slots = dynamic === undefined ? new Map<number, Slot>() : readSlots(dynamic, imported, symbols, bytesAt);
  return {
    elf,
    name,
    soname: dynamic?.soname,
    needed: dynamic?.needed ?? [],
    runpath: (dynamic?.runpath ?? dynamic?.rpath ?? "").split(":").filter((part) => part !== ""),
    buildId: buildId(elfNotes(elf)),
    type:
      elf.header.e_type === fileType.executable || interpreter(image) !== undefined || dynamic === undefined
        ? "executable"
        : "library",
    code: loads.filter(({ flags }) => (flags & segmentFlag.execute) !== 0),
    tls: elf.segments.find(({ type }) => type === segmentType.tls),
    slots,
    exports: new Map(
      symbols
        .filter(({ section, name: own }) => section !== sectionIndex.undefined && own !== "")
        .map((symbol) => [symbol.name, symbol]),
    ),
    imports: new Map(
      symbols.flatMap((symbol, index) =>
        symbol.section === sectionIndex.undefined && symbol.name !== ""
          ? [[symbol.name, imported[index] as Import] as const]
          : [],
      ),
    ),
    localNames: namesByAddress(staticSymbols(elf)),
    dynamic,
    bytesAt,
    pltImport: (address) => pltImport(address, bytesAt, slots),
  };
}

function importOf(dynamic: DynamicObject | undefined, symbol: ElfSymbol): Import {
  const index = dynamic && symbolVersion(dynamic.versions, symbol.index);
  const version = index === undefined ? undefined : dynamic?.versions.byIndex.get(index & versionIndexMask)?.name;
  return { name: symbol.name, version, weak: symbol.binding === 2 };
}

type BytesAt = BinaryImage["bytesAt"];

/** psABI §4.4.1: the relocations that the dynamic linker handles. */
function readSlots(
  dynamic: DynamicObject,
  imports: readonly Import[],
  symbols: readonly ElfSymbol[],
  bytesAt: BytesAt,
): Map<number, Slot> {
  const slots = new Map<number, Slot>();
  const { rela, plt, relative } = dynamicRelocations(dynamic);
  for (const { offset, type, symbol, addend } of [...rela, ...plt]) {
    const imported = imports[symbol];
    const name = symbol === 0 ? undefined : imported;
    if (type === 8 || type === 37) slots.set(offset, { kind: "address", address: addend });
    else if (type === 16 || type === 18 || type === 17) {
      const own = symbols[symbol];
      const defined = own !== undefined && own.section !== sectionIndex.undefined;
      slots.set(offset, { kind: "tls", symbol: name, addend: defined ? own.value + addend : addend });
    } else if ((type === 6 || type === 7 || type === 1) && name !== undefined)
      slots.set(offset, { kind: "import", symbol: name, addend: type === 1 ? addend : 0, call: type === 7 });
  }
  for (const place of relative) {
    const bytes = bytesAt(place, 8);
    if (bytes !== undefined)
      slots.set(place, { kind: "address", address: Number(Buffer.from(bytes).readBigUInt64LE()) });
  }
  return slots;
}

/** `endbr64` or not, `bnd` or not, `jmp *slot(%rip)` (psABI, "Procedure Linkage Table"). */
function pltImport(address: number, bytesAt: BytesAt, slots: ReadonlyMap<number, Slot>): Import | undefined {
  const bytes = bytesAt(address, 11);
  if (bytes === undefined) return undefined;
  let at = bytes[0] === 0xf3 && bytes[1] === 0x0f && bytes[2] === 0x1e && bytes[3] === 0xfa ? 4 : 0;
  if (bytes[at] === 0xf2) at += 1;
  if (bytes[at] !== 0xff || bytes[at + 1] !== 0x25) return undefined;
  const slot = slots.get(address + at + 6 + Buffer.from(bytes).readInt32LE(at + 2));
  return slot?.kind === "import" ? slot.symbol : undefined;
}

function namesByAddress(symbols: readonly ElfSymbol[]): Map<number, readonly string[]> {
  const names = new Map<number, string[]>();
  for (const { name, value, section, type } of symbols) {
    const wanted = type === symbolType.function || type === symbolType.object || type === symbolType.gnuIfunc;
    if (section === sectionIndex.undefined || name === "" || !wanted) continue;
    const list = names.get(value);
    if (list === undefined) names.set(value, [name]);
    else list.push(name);
  }
  return names;
}
