/** ELF files to be damaged: made by the compilers, small, and changed field by field as well as blindly. */
import { readFileSync } from "node:fs";
import { elfHeaderTable, programHeaderTable, sectionHeaderTable, symbolTable } from "../../src/elf/structs.ts";
import { missing, Workshop } from "../elf/support/programs.ts";
import { damageBlindly, type Random, writeEdge } from "./random.ts";

export interface Originals {
  readonly linked: readonly Buffer[];
  readonly objects: readonly Buffer[];
}

/** Compiled once a run. */
export function compileOriginals(): Originals {
  const absent = missing("gcc", "g++");
  if (absent !== false) throw new Error(`the fuzzer ${absent}`);
  const workshop = new Workshop();
  try {
    const make = (compiler: string, source: string, ...flags: string[]): Buffer =>
      readFileSync(workshop.compile(compiler, `${flags.join("")}-${source}`.replaceAll("/", "_"), [source], flags));
    return {
      linked: [
        make("gcc", "kinds.c", "-O2", "-fcf-protection=full", "-Wl,--hash-style=both", "-Wl,-z,max-page-size=4096"),
        make("g++", "throws.cc", "-O2", "-Wl,-z,max-page-size=4096", "-Wl,-z,noseparate-code"),
        make("gcc", "kinds.c", "-O1", "-shared", "-fPIC", "-Wl,-z,pack-relative-relocs", "-Wl,-z,noseparate-code"),
      ],
      objects: [
        make("gcc", "kinds.c", "-c", "-O2", "-ffunction-sections", "-fdata-sections"),
        make("gcc", "kinds.c", "-c", "-O0", "-g", "-gz=zlib"),
        make("g++", "throws.cc", "-c", "-O2", "-ffunction-sections"),
      ],
    };
  } finally {
    workshop.remove();
  }
}

interface Table {
  readonly sizeBytes: number;
  readonly fields: Readonly<Record<string, readonly [string, number]>>;
}

const widths: Readonly<Record<string, number>> = { u8: 1, u16: 2, u32: 4, u64: 8, i64: 8, raw64: 8 };

/** One or two fields of the headers, of symbols, relocations or dynamic entries get a value at which counts and sizes go wrong. */
export function damageElf(original: Buffer, random: Random): Buffer {
  if (random.oneIn(3)) return damageBlindly(original, random);
  const bytes = Buffer.from(original);
  for (let count = 1 + random.below(2); count > 0; count--) damageField(bytes, original, random);
  return random.oneIn(6) ? damageBlindly(bytes, random) : bytes;
}

function damageField(bytes: Buffer, original: Buffer, random: Random): void {
  const [sections, sectionCount] = [Number(original.readBigUInt64LE(40)), original.readUInt16LE(60)];
  const [segments, segmentCount] = [Number(original.readBigUInt64LE(32)), original.readUInt16LE(56)];
  const header = sections + random.below(sectionCount) * sectionHeaderTable.sizeBytes;
  switch (random.below(segmentCount === 0 ? 4 : 5)) {
    case 0:
      return damageEntry(bytes, 0, elfHeaderTable, random);
    case 1:
      return damageEntry(bytes, header, sectionHeaderTable, random);
    case 4:
      return damageEntry(
        bytes,
        segments + random.below(segmentCount) * programHeaderTable.sizeBytes,
        programHeaderTable,
        random,
      );
    default: {
      // Within a section: an entry of its own kind of table, or eight bytes of it.
      const [offset, size] = [
        Number(original.readBigUInt64LE(header + 24)),
        Number(original.readBigUInt64LE(header + 32)),
      ];
      const type = original.readUInt32LE(header + 4);
      if (type === 8 || size < 24 || offset + size > bytes.length) return;
      const entry = type === 2 || type === 11 ? symbolTable.sizeBytes : type === 6 ? 16 : type === 4 ? 24 : 8;
      const at = offset + random.below(Math.floor(size / entry)) * entry;
      if (entry === symbolTable.sizeBytes && type !== 4) return damageEntry(bytes, at, symbolTable, random);
      const width = random.pick([1, 2, 4, 8]);
      writeEdge(bytes, at + random.below(entry / width) * width, width, random);
    }
  }
}

function damageEntry(bytes: Buffer, at: number, { fields }: Table, random: Random): void {
  const [kind, offset] = random.pick(Object.values(fields));
  const width = widths[kind] ?? 4;
  if (at + offset + width <= bytes.length) writeEdge(bytes, at + offset, width, random);
}
