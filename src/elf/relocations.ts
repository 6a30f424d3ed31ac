/** Relocations of x86-64: the table of types (psABI §4.4.1, table 4.9) and the readers of RELA and RELR. */
import { Cursor } from "../binary/cursor.ts";
import { damaged } from "./damaged.ts";
import { relaTable } from "./structs.ts";

/**
 * What a relocation is about.
 *
 * `absolute`: an address or a part of one. `relative`: a distance from the field. `got` and `plt`: through an entry that a linker makes.
 * `tls`: thread-local storage. `size`: the size of a symbol. `dynamic`: only the dynamic linker handles it. `none`: nothing is written.
 */
export type RelocationKind = "absolute" | "relative" | "got" | "plt" | "tls" | "size" | "dynamic" | "none";

export interface RelocationType {
  readonly name: string;
  /** Bytes that are written; 0 for a mark. */
  readonly sizeBytes: 0 | 1 | 2 | 4 | 8 | 16;
  /** In the psABI's letters: A addend, B load bias, G offset of the GOT entry, GOT its address, L PLT entry, P place, S symbol, Z size. */
  readonly formula: string;
  readonly pcRelative: boolean;
  readonly kind: RelocationKind;
  /** How a field shorter than the result is checked; `wrap` where nothing can overflow. */
  readonly overflow: "signed" | "unsigned" | "wrap";
}

type Row = readonly [
  number: number,
  name: string,
  sizeBytes: RelocationType["sizeBytes"],
  formula: string,
  kind: RelocationKind,
  overflow?: RelocationType["overflow"],
];

const rows: readonly Row[] = [
  [0, "R_X86_64_NONE", 0, "", "none"],
  [1, "R_X86_64_64", 8, "S + A", "absolute"],
  [2, "R_X86_64_PC32", 4, "S + A - P", "relative"],
  [3, "R_X86_64_GOT32", 4, "G + A", "got"],
  [4, "R_X86_64_PLT32", 4, "L + A - P", "plt"],
  [5, "R_X86_64_COPY", 0, "", "dynamic"],
  [6, "R_X86_64_GLOB_DAT", 8, "S", "dynamic"],
  [7, "R_X86_64_JUMP_SLOT", 8, "S", "dynamic"],
  [8, "R_X86_64_RELATIVE", 8, "B + A", "dynamic"],
  [9, "R_X86_64_GOTPCREL", 4, "G + GOT + A - P", "got"],
  [10, "R_X86_64_32", 4, "S + A", "absolute", "unsigned"],
  [11, "R_X86_64_32S", 4, "S + A", "absolute", "signed"],
  [12, "R_X86_64_16", 2, "S + A", "absolute", "unsigned"],
  [13, "R_X86_64_PC16", 2, "S + A - P", "relative"],
  [14, "R_X86_64_8", 1, "S + A", "absolute", "unsigned"],
  [15, "R_X86_64_PC8", 1, "S + A - P", "relative"],
  [16, "R_X86_64_DTPMOD64", 8, "", "tls"],
  [17, "R_X86_64_DTPOFF64", 8, "", "tls"],
  [18, "R_X86_64_TPOFF64", 8, "", "tls"],
  [19, "R_X86_64_TLSGD", 4, "", "tls"],
  [20, "R_X86_64_TLSLD", 4, "", "tls"],
  [21, "R_X86_64_DTPOFF32", 4, "", "tls"],
  [22, "R_X86_64_GOTTPOFF", 4, "", "tls"],
  [23, "R_X86_64_TPOFF32", 4, "", "tls"],
  [24, "R_X86_64_PC64", 8, "S + A - P", "relative"],
  [25, "R_X86_64_GOTOFF64", 8, "S + A - GOT", "got"],
  [26, "R_X86_64_GOTPC32", 4, "GOT + A - P", "got"],
  [27, "R_X86_64_GOT64", 8, "G + A", "got"],
  [28, "R_X86_64_GOTPCREL64", 8, "G + GOT - P + A", "got"],
  [29, "R_X86_64_GOTPC64", 8, "GOT - P + A", "got"],
  [30, "R_X86_64_GOTPLT64", 8, "G + A", "got"],
  [31, "R_X86_64_PLTOFF64", 8, "L - GOT + A", "plt"],
  [32, "R_X86_64_SIZE32", 4, "Z + A", "size", "unsigned"],
  [33, "R_X86_64_SIZE64", 8, "Z + A", "size"],
  [34, "R_X86_64_GOTPC32_TLSDESC", 4, "", "tls"],
  [35, "R_X86_64_TLSDESC_CALL", 0, "", "tls"],
  [36, "R_X86_64_TLSDESC", 16, "", "tls"],
  [37, "R_X86_64_IRELATIVE", 8, "indirect (B + A)", "dynamic"],
  [38, "R_X86_64_RELATIVE64", 8, "B + A", "dynamic"],
  [39, "R_X86_64_PC32_BND", 4, "S + A - P", "relative"],
  [40, "R_X86_64_PLT32_BND", 4, "L + A - P", "plt"],
  [41, "R_X86_64_GOTPCRELX", 4, "G + GOT + A - P", "got"],
  [42, "R_X86_64_REX_GOTPCRELX", 4, "G + GOT + A - P", "got"],
  [43, "R_X86_64_CODE_4_GOTPCRELX", 4, "G + GOT + A - P", "got"],
  [44, "R_X86_64_CODE_4_GOTTPOFF", 4, "", "tls"],
  [45, "R_X86_64_CODE_4_GOTPC32_TLSDESC", 4, "", "tls"],
  [46, "R_X86_64_CODE_5_GOTPCRELX", 4, "G + GOT + A - P", "got"],
  [47, "R_X86_64_CODE_5_GOTTPOFF", 4, "", "tls"],
  [48, "R_X86_64_CODE_5_GOTPC32_TLSDESC", 4, "", "tls"],
  [49, "R_X86_64_CODE_6_GOTPCRELX", 4, "G + GOT + A - P", "got"],
  [50, "R_X86_64_CODE_6_GOTTPOFF", 4, "", "tls"],
  [51, "R_X86_64_CODE_6_GOTPC32_TLSDESC", 4, "", "tls"],
];

/** TLS fields that hold a distance from the instruction, since they lead to a GOT entry. */
const pcRelativeTls = new Set([19, 20, 22, 34, 44, 45, 47, 48, 50, 51]);

export const relocationTypes: ReadonlyMap<number, RelocationType> = new Map(
  rows.map(([number, name, sizeBytes, formula, kind, overflow]) => [
    number,
    {
      name,
      sizeBytes,
      formula,
      pcRelative: formula.includes("- P") || pcRelativeTls.has(number),
      kind,
      overflow: overflow ?? (sizeBytes === 8 || sizeBytes === 16 || sizeBytes === 0 ? "wrap" : "signed"),
    },
  ]),
);

export interface Relocation {
  /** Within its section (relocatable files), or an address. */
  readonly offset: number;
  /** A key of `relocationTypes`, or another number. */
  readonly type: number;
  readonly symbol: number;
  readonly addend: number;
}

/** Elf64_Rela entries (gABI chapter 4, "Relocation"). Throws `elf/damaged` or `binary/number`. */
export function readRelocations(bytes: Uint8Array, what = "a relocation section"): Relocation[] {
  if (bytes.length % relaTable.sizeBytes !== 0) damaged(`${what} has ${bytes.length} bytes, no multiple of 24`);
  const cursor = new Cursor(bytes, what);
  return Array.from({ length: bytes.length / relaTable.sizeBytes }, () => {
    const offset = cursor.u64();
    const type = cursor.u32();
    const symbol = cursor.u32();
    return { offset, type, symbol, addend: cursor.i64() };
  });
}

/** The places that SHT_RELR or DT_RELR names, each of them an R_X86_64_RELATIVE whose addend stands in the place (gABI, "Relative Relocation Table"). */
export function readRelativePlaces(bytes: Uint8Array): number[] {
  const cursor = new Cursor(bytes, "a table of relative relocations");
  const places: number[] = [];
  let next = 0;
  while (!cursor.atEnd) {
    const entry = cursor.raw64();
    if ((entry & 1n) === 0n) {
      places.push(Number(entry));
      next = Number(entry) + 8;
      continue;
    }
    for (let bit = 0; bit < 63; bit += 1) if ((entry >> BigInt(bit + 1)) & 1n) places.push(next + bit * 8);
    next += 63 * 8;
  }
  return places;
}
