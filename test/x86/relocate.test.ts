/** Moved instructions do what they did: run in a process, and compared one by one over a library. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { dynamicSymbols, readDynamic } from "../../src/elf/dynamic.ts";
import { parseElf, sectionBytes } from "../../src/elf/elf-file.ts";
import { fileImage } from "../../src/elf/image.ts";
import { staticSymbols } from "../../src/elf/symbols.ts";
import { decode } from "../../src/x86/instructions.ts";
import { type RelocatedInstructions, relocateInstructions } from "../../src/x86/relocate.ts";
import { missing, Workshop } from "../elf/support/programs.ts";

const copiesAt = 0x10000000;
const slotBytes = 256;
const names = [
  "reads_global",
  "writes_immediate",
  "branches",
  "loops",
  "calls",
  "recurs",
  "tail_calls",
  "divides",
  "jrcxz",
  "loop",
];

/** The copy with a jump back to the rest of the original. */
function withJumpBack(moved: RelocatedInstructions, from: number, to: number): Uint8Array {
  if (!moved.fallsThrough) return moved.bytes;
  const jump = Buffer.alloc(5, 0xe9);
  jump.writeInt32LE(from + moved.coveredBytes - (to + moved.bytes.length + 5), 1);
  return Buffer.concat([moved.bytes, jump]);
}

function copiesOf(path: string, minBytes: number): Uint8Array {
  const elf = parseElf(readFileSync(path));
  const symbols = staticSymbols(elf);
  const copies = Buffer.alloc(65_536, 0xcc);
  for (const [index, name] of names.entries()) {
    const symbol = symbols.find((candidate) => candidate.name === `subject_${name}`);
    assert.ok(symbol, name);
    const section = elf.sections[symbol.section]!;
    const start = symbol.value - section.address;
    const bytes = sectionBytes(elf, section).subarray(start, start + symbol.size);
    const to = copiesAt + index * slotBytes;
    const moved = relocateInstructions({ bytes, from: symbol.value, to, minBytes: Math.min(minBytes, bytes.length) });
    if (!moved.ok) assert.fail(`${name}: ${moved.reason} at ${moved.address.toString(16)}`);
    copies.set(withJumpBack(moved, symbol.value, to), index * slotBytes);
  }
  return copies;
}

describe("moved instructions", () => {
  describe("run in a process", { skip: missing("gcc"), timeout: 120_000 }, () => {
    const workshop = new Workshop();
    after(() => workshop.remove());
    for (const level of ["-O0", "-O2", "-Os"]) {
      test(`answer as the originals do, compiled with ${level}`, () => {
        const flags = [level, "-no-pie", "-fno-pie", "-fcf-protection=full", "-w"];
        const path = workshop.compile("gcc", `subjects${level}`, ["../../x86/fixtures/subjects.c"], flags);
        for (const minBytes of [1, 5, 14, 40]) {
          const file = join(workshop.folder, "copies");
          writeFileSync(file, copiesOf(path, minBytes));
          const lines = execFileSync(path, [file], { encoding: "utf8", timeout: 10_000 }).trim().split("\n");
          assert.equal(lines.length, names.length * 7);
          for (const line of lines) {
            const [index, argument, original, copy] = line.split(" ");
            assert.equal(copy, original, `${names[Number(index)]}(${argument}), ${minBytes} bytes moved`);
          }
        }
      });
    }
  });

  test("refer to the same addresses, over all exported functions of a library", () => {
    const elf = parseElf(readFileSync("/usr/lib/x86_64-linux-gnu/libc.so.6"));
    const object = readDynamic(fileImage(elf));
    assert.ok(object);
    let moved = 0;
    const reasons = new Map<string, number>();
    for (const { type, value, size, section } of dynamicSymbols(object)) {
      if (type !== 2 || section === 0 || size === 0) continue;
      const bytes = object.image.bytesAt(value, size);
      const to = value + 0x1000_0000;
      const answer = relocateInstructions({ bytes, from: value, to, minBytes: 14 });
      if (!answer.ok) {
        reasons.set(answer.reason, (reasons.get(answer.reason) ?? 0) + 1);
        continue;
      }
      sameReferences(bytes, value, to, answer);
      moved += 1;
    }
    assert.ok(moved > 1000, `${moved} moved`);
    assert.deepEqual(
      [...reasons.keys()].filter((reason) => reason !== "too-short" && reason !== "jump-into-the-middle"),
      [],
    );
  });

  test("that cannot be moved have a reason", () => {
    const move = (bytes: readonly number[], minBytes: number, to = 0x2000) => {
      const answer = relocateInstructions({ bytes: Uint8Array.from(bytes), from: 0x1000, to, minBytes });
      return answer.ok ? "ok" : answer.reason;
    };
    assert.equal(move([0xc3], 5), "too-short");
    assert.equal(move([0x90, 0x06, 0x90, 0x90, 0x90], 5), "undecodable");
    assert.equal(move([0x48, 0x8b, 0x05, 0, 0, 0, 1], 5, 0x1_0000_0000), "out-of-reach");
    assert.equal(move([0xe8, 0, 0, 0, 0, 0x58], 6), "reads-itself");
    assert.equal(move([0x48, 0x8b, 0x05, 0xf9, 0xff, 0xff, 0xff], 5), "reads-itself");
    assert.equal(move([0x48, 0x89, 0xc3, 0xeb, 0xfd], 5), "jump-into-the-middle");
    assert.equal(move([0xc7, 0xf8, 0, 0, 0, 0], 5), "unsupported-instruction");
    assert.equal(move([0xf3, 0x0f, 0x1e, 0xfa, 0xeb, 0xfa], 5), "ok");
  });
});

function sameReferences(bytes: Uint8Array, from: number, to: number, answer: RelocatedInstructions): void {
  const before = new Map(decode(bytes, from).map((one) => [one.offset, one]));
  const after = new Map(decode(answer.bytes, to).map((one) => [one.offset, one]));
  for (const place of answer.places) {
    const one = before.get(place.from)!;
    const other = after.get(place.to);
    assert.ok(other, `an instruction at ${(to + place.to).toString(16)}`);
    assert.equal(other.ripRelative?.address, one.ripRelative?.address);
    assert.deepEqual(other.immediates, one.immediates);
    if (place.sizeBytes > one.length + 4) continue;
    assert.equal(other.flow, one.flow);
    const target = one.branch?.target;
    const inside = answer.places.find(({ from: offset }) => from + offset === target);
    assert.equal(other.branch?.target, inside === undefined || one.flow === "call" ? target : to + inside.to);
  }
}
