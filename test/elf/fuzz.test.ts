/** Damaged files lead to typed errors of bad input, in bounded time, and to nothing else. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { RebootlessError } from "../../src/base/errors.ts";
import { evaluate } from "../../src/elf/eh-frame/expression.ts";
import { FrameReader } from "../../src/elf/eh-frame/frame-entries.ts";
import { frameRows } from "../../src/elf/eh-frame/frame-rows.ts";
import { decode } from "../../src/x86/instructions.ts";
import { relocateInstructions } from "../../src/x86/relocate.ts";
import { fc } from "../support/properties.ts";
import { missing, Workshop } from "./support/programs.ts";
import { readEverything } from "./support/read-everything.ts";

/** One damaged file, all readers together; a file of that size takes some milliseconds when it is whole. */
const maxMs = 5000;

function readDamaged(bytes: Uint8Array): void {
  const started = performance.now();
  readEverything(bytes, (error) => {
    if (error instanceof RebootlessError && error.kind === "input") return;
    throw error;
  });
  assert.ok(performance.now() - started < maxMs, "reading took too long");
}

/** The same numbers in every run. */
function numbers(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

const interesting = [0, 1, 0x7f, 0x80, 0xff];

/** Some bytes of the file, or of its headers, are others; sometimes the end is missing. */
function damage(original: Uint8Array, seed: number): Uint8Array {
  const next = numbers(seed);
  const bytes = Uint8Array.from(original);
  const reach = next(3) === 0 ? Math.min(1024, bytes.length) : bytes.length;
  for (let count = 1 + next(12); count > 0; count -= 1) {
    const at = next(reach);
    bytes[at] = next(2) === 0 ? next(256) : interesting[next(interesting.length)]!;
  }
  return next(5) === 0 ? bytes.subarray(0, next(bytes.length)) : bytes;
}

describe("damaged files", { skip: missing("gcc", "g++"), timeout: 300_000 }, () => {
  const workshop = new Workshop();
  const originals: Uint8Array[] = [];
  before(() => {
    const make = (compiler: string, name: string, source: string, flags: readonly string[]) =>
      originals.push(readFileSync(workshop.compile(compiler, name, [source], flags)));
    make("gcc", "kinds.o", "kinds.c", ["-c", "-O2", "-g", "-gz=zlib", "-ffunction-sections"]);
    make("g++", "throws", "throws.cc", ["-O2"]);
    make("gcc", "kinds", "kinds.c", ["-O2", "-fcf-protection=full", "-Wl,--hash-style=both"]);
  });
  after(() => workshop.remove());

  test("whole, there is nothing wrong with them", () => {
    for (const bytes of originals) {
      readEverything(bytes, (error) => {
        // A relocatable file has no segments, and so no image in memory.
        if (error instanceof RebootlessError && /no PT_LOAD segment/.test(error.message)) return;
        throw error;
      });
    }
  });

  test("bytes are changed at random", () => {
    for (let seed = 1; seed <= 600; seed += 1) readDamaged(damage(originals[seed % originals.length]!, seed * 7919));
  });

  test("every byte of the header and of the tables behind it", () => {
    const original = originals[2]!;
    for (let at = 0; at < 64 + 13 * 56; at += 1) {
      const bytes = Uint8Array.from(original);
      bytes[at] = at % 3 === 0 ? 0x7f : 0xff;
      readDamaged(bytes);
    }
  });
});

describe("any bytes", { timeout: 120_000 }, () => {
  const typed = (run: () => void) => {
    try {
      run();
    } catch (error) {
      if (!(error instanceof RebootlessError && error.kind === "input")) throw error;
    }
  };

  test("as .eh_frame", () => {
    const cie = [0x14, 0, 0, 0, 0, 0, 0, 0, 1, 0x7a, 0x52, 0, 1, 0x78, 0x10, 1, 0x1b, 0x0c, 7, 8, 0x90, 1, 0, 0];
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.boolean(), (tail, whole) => {
        const head = [tail.length + 13, 0, 0, 0, 0x1c, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0];
        const bytes = whole ? tail : Uint8Array.from([...cie, ...head, ...tail]);
        typed(() => {
          for (const fde of new FrameReader({ bytes, address: 0x1000 }).fdes()) frameRows(fde);
        });
      }),
      { numRuns: 5000 },
    );
  });

  test("as a DWARF expression give a number or NaN", () => {
    const registers = Float64Array.from({ length: 17 }, (_, index) =>
      index === 3 ? Number.NaN : 0x7fff_0000_0000 + index * 8,
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        const value = evaluate(bytes, registers, { readWord: (address) => address + 1 }, 0x1000);
        assert.equal(typeof value, "number");
      }),
      { numRuns: 5000 },
    );
  });

  test("as instructions", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.integer({ min: 1, max: 32 }), (bytes, minBytes) => {
        const found = decode(bytes, 0x1000);
        for (const [index, one] of found.entries()) {
          const before = found[index - 1];
          assert.equal(one.offset, before === undefined ? 0 : before.offset + before.length);
        }
        const answer = relocateInstructions({ bytes, from: 0x1000, to: 0x40_0000, minBytes });
        if (answer.ok) assert.ok(answer.coveredBytes >= minBytes && answer.coveredBytes <= bytes.length);
      }),
      { numRuns: 2000 },
    );
  });
});
