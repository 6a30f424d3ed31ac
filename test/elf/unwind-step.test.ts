/** What the unwinder says where it cannot go on, and expressions beyond the two common forms. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { evaluate } from "../../src/elf/eh-frame/expression.ts";
import { type FrameRow, ruleKind } from "../../src/elf/eh-frame/frame-rows.ts";
import { MemorySnapshot } from "../../src/elf/eh-frame/memory.ts";
import { backtrace, innermostFrame, register, unwindStep } from "../../src/elf/eh-frame/unwind-step.ts";

const stackAt = 0x7ffe_0000_1000;

function row(
  cfaRegister: number,
  cfaOffset: number,
  rules: readonly (readonly [number, number, number])[],
  signalFrame = false,
): FrameRow {
  return {
    start: 0,
    cfaRegister,
    cfaOffset,
    cfaExpression: undefined,
    registers: Uint8Array.from(rules, ([number]) => number),
    kinds: Uint8Array.from(rules, ([, kind]) => kind),
    values: Float64Array.from(rules, ([, , value]) => value),
    expressions: undefined,
    signalFrame,
  };
}

const plain = row(register.rsp, 16, [[register.rip, ruleKind.offset, -8]]);

function stack(...words: readonly bigint[]): MemorySnapshot {
  return new MemorySnapshot(new Uint8Array(BigUint64Array.from(words).buffer), stackAt);
}

function frame(change: Readonly<Record<number, number>> = {}) {
  const registers = new Float64Array(17).fill(1);
  registers[register.rsp] = stackAt;
  registers[register.rip] = 0x40_1000;
  for (const [number, value] of Object.entries(change)) registers[Number(number)] = value;
  return innermostFrame(registers);
}

const step = (rule: FrameRow | undefined, memory: MemorySnapshot, change = {}) =>
  unwindStep(frame(change), memory, { row: () => rule });

describe("a step", () => {
  test("that cannot be made has a reason, and leaves the frame as it was", () => {
    const memory = stack(0n, 0x40_2000n, 2n ** 60n);
    assert.equal(step(undefined, memory), "no-unwind-information");
    assert.equal(step(row(-1, 8, []), memory), "cfa-unknown");
    assert.equal(step(plain, memory, { [register.rsp]: Number.NaN }), "cfa-unknown");
    assert.equal(step(plain, memory, { [register.rsp]: 2 ** 50 }), "cfa-unknown");
    assert.equal(step(row(register.rsp, 0, [[register.rip, ruleKind.offset, -8]]), memory), "stack-not-growing");
    assert.equal(step(row(register.rsp, 16, []), memory), "return-address-unknown");
    assert.equal(step(row(register.rsp, 8000, [[register.rip, ruleKind.offset, -8]]), memory), "memory-unreadable");
    assert.equal(step(row(register.rsp, 24, [[register.rip, ruleKind.offset, -8]]), memory), "memory-unreadable");
    const still = frame();
    const before = [...still.registers];
    unwindStep(still, memory, { row: () => row(register.rsp, 16, []) });
    assert.deepEqual([...still.registers], before);
  });

  test("ends at a return address that is undefined or 0", () => {
    assert.equal(step(row(register.rsp, 16, [[register.rip, ruleKind.undefined, 0]]), stack(0n, 0n)), "end");
    assert.equal(step(plain, stack(0n, 0n)), "end");
  });

  test("gives what is saved, keeps what a call keeps, and forgets the rest", () => {
    const rule = row(register.rsp, 24, [
      [register.rbp, ruleKind.offset, -16],
      [register.rip, ruleKind.offset, -8],
    ]);
    const now = frame({ [register.rbx]: 5, [register.rax]: 6 });
    assert.equal(unwindStep(now, stack(0n, 77n, 0x40_2000n), { row: () => rule }), "caller");
    const seen = [register.rip, register.rsp, register.rbp, register.rbx, register.rax].map(
      (number) => now.registers[number],
    );
    assert.deepEqual(seen, [0x40_2000, stackAt + 24, 77, 5, Number.NaN]);
    assert.equal(now.exact, false);
  });

  test("behind a signal looks the interrupted instruction up, behind a call the one before", () => {
    const asked: number[] = [];
    const rules = [row(register.rsp, 16, [[register.rip, ruleKind.offset, -8]], true), plain, undefined];
    const rows = { row: (address: number) => rules[asked.push(address) - 1] };
    const walk = backtrace(frame(), stack(0n, 0x40_2000n, 0n, 0x40_3000n), rows);
    assert.deepEqual(asked, [0x40_1000, 0x40_2000, 0x40_2fff]);
    assert.deepEqual(walk, { addresses: [0x40_1000, 0x40_2000, 0x40_3000], ended: "no-unwind-information" });
  });

  test("a walk that does not end is cut off", () => {
    const turning = row(register.rsp, 0, [[register.rip, ruleKind.offset, 8]], true);
    assert.equal(backtrace(frame(), stack(0n, 0x40_1000n), { row: () => turning }, 100).ended, "too-deep");
  });
});

describe("expressions", () => {
  const registers = Float64Array.from({ length: 17 }, (_, index) => stackAt + index * 8);
  registers[16] = 0x40_100b;
  const value = (bytes: readonly number[], start?: number) =>
    evaluate(Uint8Array.from(bytes), registers, stack(42n, 2n ** 60n), start);
  const lit = (number: number) => 0x30 + number;

  test("that the linker writes for the PLT add 8 from the twelfth byte of an entry on", () => {
    const plt = [0x77, 8, 0x80, 0, lit(15), 0x1a, lit(10), 0x2a, lit(3), 0x24, 0x22];
    assert.equal(value(plt), stackAt + 56 + 8 + 8);
    registers[16] = 0x40_1005;
    assert.equal(value(plt), stackAt + 56 + 8);
  });

  const table: readonly (readonly [name: string, bytes: readonly number[], expected: number])[] = [
    ["a register and an offset", [0x70, 0x78], stackAt - 8],
    ["what is stored there", [0x70, 0, 0x06], 42],
    ["constants of all sizes", [0x08, 200, 0x09, 0xff, 0x22, 0x0a, 0, 1, 0x22, 0x11, 0x7f, 0x22], 200 - 1 + 256 - 1],
    ["division, remainder, product", [lit(17), lit(5), 0x1b, lit(17), lit(5), 0x1d, 0x1e], 6],
    ["swap, over, rot, pick", [lit(1), lit(2), lit(3), 0x17, 0x16, 0x14, 0x15, 2, 0x1c, 0x1c, 0x1c, 0x1c], 2],
    ["a branch", [lit(1), 0x28, 1, 0, lit(9), lit(4)], 4],
    ["the start value", [0x23, 5], 105],
    ["division by zero", [lit(1), lit(0), 0x1b], Number.NaN],
    ["an empty stack", [0x22], Number.NaN],
    ["an unknown operation", [lit(1), 0xf0], Number.NaN],
    ["a loop without an end", [0x2f, 0xfd, 0xff], Number.NaN],
    ["a value that is no address", [0x70, 8, 0x06, lit(0), 0x22], Number.NaN],
    ["nothing", [], Number.NaN],
  ];
  for (const [name, bytes, expected] of table) {
    test(name, () => assert.deepEqual(value(bytes, name === "the start value" ? 100 : undefined), expected));
  }
});
