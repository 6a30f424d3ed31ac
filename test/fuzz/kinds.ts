/**
 * The kinds of input that the fuzzer damages, and what reads them: everything that comes from a file, from the network, or from a process that nobody vouches for.
 *
 * A kind makes its input from a number alone, and reads it; it throws what the reader throws.
 */

import { readBinary } from "../../src/build/elf/binary-image.ts";
import { compareObjects } from "../../src/build/elf/compare-objects.ts";
import { type ObjectFile, readObjectFile } from "../../src/build/elf/object-file.ts";
import { evaluate } from "../../src/elf/eh-frame/expression.ts";
import { FrameReader } from "../../src/elf/eh-frame/frame-entries.ts";
import { frameRows } from "../../src/elf/eh-frame/frame-rows.ts";
import { innermostFrame, unwindStep } from "../../src/elf/eh-frame/unwind-step.ts";
import { UnwindSpace, UnwindTable } from "../../src/elf/eh-frame/unwind-table.ts";
import { linkObject, measureObject } from "../../src/engine/linux/link-object.ts";
import { parseMaps } from "../../src/engine/linux/memory-map.ts";
import { decodeRecord, recordHeaderBytes, recordLength, startsLikeRecord } from "../../src/engine/linux/record.ts";
import { runFilter } from "../../src/engine/linux/seccomp.ts";
import { openHotpatch } from "../../src/hotpatch/open-hotpatch.ts";
import { readEverything } from "../elf/support/read-everything.ts";
import { trusting } from "../hotpatch/support/sample.ts";
import { type BundleSample, bundleSample, damageBundle, damageRecord } from "./bundle-inputs.ts";
import { damageElf, type Originals } from "./elf-inputs.ts";
import { damageBlindly, type Random } from "./random.ts";
import { expressionBytes, unwindSection } from "./unwind-inputs.ts";

export interface Kind {
  readonly name: string;
  /** Of a hundred inputs, so many are of this kind. */
  readonly share: number;
  make(random: Random): Buffer;
  /** `told` hears of an error that does not end the reading. */
  read(bytes: Buffer, told: (error: unknown) => void): void;
}

const registers = Float64Array.from({ length: 17 }, (_, index) =>
  index === 3 ? Number.NaN : 0x7fff_0000_0000 + index * 8,
);
const memory = { readWord: (address: number): number => (address % 16 === 0 ? Number.NaN : address + 1) };

export function kinds(originals: Originals): Kind[] {
  const sample: BundleSample = bundleSample(originals.objects[0] as Buffer);
  const trust = trusting(sample.key);
  const before = originals.objects.map((bytes) => readObjectFile(bytes, "original"));
  return [
    {
      name: "elf",
      share: 4,
      make: (random) => damageElf(random.pick([...originals.linked, ...originals.objects]), random),
      read: (bytes, told) => readEverything(bytes, told),
    },
    {
      name: "binary",
      share: 12,
      make: (random) => damageElf(random.pick(originals.linked), random),
      read: (bytes) => void readBinary(bytes, "damaged"),
    },
    {
      name: "object",
      share: 12,
      make: (random) => damageElf(random.pick(originals.objects), random),
      read: readAsObject(before),
    },
    {
      name: "patch-object",
      share: 16,
      make: (random) => damageElf(random.pick(originals.objects), random),
      read: (bytes) => linkIt(bytes),
    },
    { name: "unwind", share: 22, make: unwindSection, read: readUnwind },
    {
      name: "expression",
      share: 10,
      make: (random) => Buffer.from(random.oneIn(3) ? random.bytes(random.below(40)) : expressionBytes(random)),
      read: (bytes) => {
        const value = evaluate(bytes, registers, memory, 0x1000);
        if (typeof value !== "number") throw new Error(`an expression gave ${typeof value}`);
      },
    },
    {
      name: "bundle",
      share: 10,
      make: (random) => damageBundle(sample, random),
      read: (bytes, told) => {
        for (const allowUnsigned of [false, true]) {
          try {
            openHotpatch(bytes, trust, { allowUnsigned });
          } catch (error) {
            told(error);
          }
        }
      },
    },
    { name: "record", share: 10, make: damageRecord, read: readRecord },
    {
      name: "process-texts",
      share: 4,
      make: (random) => damageBlindly(Buffer.from(mapsText), random),
      read: (bytes) => {
        for (const { start, end } of parseMaps(bytes.toString("latin1")))
          if (!(Number.isSafeInteger(start) && Number.isSafeInteger(end))) throw new Error("a mapping without a place");
        runFilter(bytes, Buffer.alloc(64));
      },
    },
  ];
}

const mapsText = `555555554000-555555555000 r--p 00000000 fe:00 1234 /usr/bin/app
555555555000-555555556000 r-xp 00001000 fe:00 1234 /usr/bin/app
7ffff7ff9000-7ffff7ffd000 r--p 00000000 00:00 0 [vvar]
7ffffffde000-7ffffffff000 rw-p 00000000 00:00 0 [stack]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]
`;

function readUnwind(bytes: Buffer, told: (error: unknown) => void): void {
  const section = { bytes, address: 0x1000 };
  try {
    for (const fde of new FrameReader(section).fdes()) {
      try {
        frameRows(fde);
      } catch (error) {
        told(error);
      }
    }
  } catch (error) {
    told(error);
  }
  const table = UnwindTable.scan(section);
  const space = new UnwindSpace([{ start: 0, end: 2 ** 40, bias: 0, table }]);
  for (let address = 0x800; address < 0x2000; address += 509) {
    const frame = innermostFrame(Float64Array.from(registers, (value, index) => (index === 16 ? address : value)));
    for (let steps = 0; steps < 8 && unwindStep(frame, memory, space) === "caller"; steps++);
  }
}

function readRecord(bytes: Buffer): void {
  const header = bytes.subarray(0, recordHeaderBytes);
  if (!startsLikeRecord(header)) return;
  const length = recordLength(header);
  if (length === undefined || length > bytes.length) return;
  const record = decodeRecord(bytes.subarray(0, length), 0x7f00_0000_0000);
  if (record === undefined) return;
  for (const { sizeBytes } of record.areas)
    if (!(sizeBytes >= 1)) throw new Error("a record was taken whose areas have no size");
}

/** As the builder reads what a compiler made. */
function readAsObject(before: readonly ObjectFile[]): (bytes: Buffer, told: (error: unknown) => void) => void {
  return (bytes, told) => {
    const object = readObjectFile(bytes, "damaged");
    for (const original of before) {
      try {
        compareObjects(original, object);
      } catch (error) {
        told(error);
      }
    }
  };
}

/** As the patcher links it, every undefined symbol somewhere. */
function linkIt(bytes: Buffer): void {
  const object = measureObject(bytes, { constant: 256, code: 64, data: 0 });
  const external = new Map(
    object.symbols.map(({ name, index }) => [name, { kind: "address" as const, address: 0x40_1000 + index * 16 }]),
  );
  linkObject(object, {
    areas: { constant: 0x50_0000, code: 0x1050_0000, data: 0x2050_0000 },
    external,
    replaced: new Map(),
    chosen: new Map(),
  });
}
