/**
 * DWARF expressions as call frame information uses them (DWARF 5 §2.5, §6.4.2): a stack machine over registers and memory.
 *
 * Bounded in steps and in depth; the answer is NaN, never an exception, where it is not an address or cannot be had,
 * since a thread of a foreign process must not be able to stop its observer.
 */
import type { Memory } from "./memory.ts";

const maxSteps = 1000;
const maxDepth = 64;
const mask = (1n << 64n) - 1n;

const op = {
  addr: 0x03,
  deref: 0x06,
  breg0: 0x70,
  breg31: 0x8f,
  plusConstant: 0x23,
  bra: 0x28,
  skip: 0x2f,
  bregx: 0x92,
  nop: 0x96,
} as const;

/**
 * The value on top of the stack at the end, as a number below 2^53, or NaN.
 *
 * `start` is pushed first, as DW_CFA_expression asks (the CFA), unless it is undefined.
 */
export function evaluate(
  expression: Uint8Array,
  registers: Float64Array,
  memory: Memory,
  start: number | undefined,
): number {
  const simple = registerOffset(expression, registers, memory);
  if (simple !== undefined) return simple;
  const machine = new Machine(expression, registers, memory);
  if (start !== undefined) machine.push(BigInt(start));
  const value = machine.run();
  return value === undefined || value > BigInt(Number.MAX_SAFE_INTEGER) ? Number.NaN : Number(value);
}

/** The two forms that nearly all expressions have, a register with an offset and what is stored there, without big numbers. */
function registerOffset(bytes: Uint8Array, registers: Float64Array, memory: Memory): number | undefined {
  const first = bytes[0] ?? 0;
  if (first < op.breg0 || first > op.breg31) return undefined;
  let offset = 0;
  let at = 1;
  for (let shift = 0; shift < 28; shift += 7) {
    const byte = bytes[at] ?? 0x80;
    at += 1;
    offset |= (byte & 0x7f) << shift;
    if (byte >= 0x80) continue;
    if ((byte & 0x40) !== 0) offset |= -1 << (shift + 7);
    const address = (registers[first - op.breg0] ?? Number.NaN) + offset;
    if (at === bytes.length) return address;
    return at + 1 === bytes.length && bytes[at] === op.deref ? memory.readWord(address) : undefined;
  }
  return undefined;
}

type Binary = (left: bigint, right: bigint) => bigint | undefined;

const signed = (value: bigint) => BigInt.asIntN(64, value);
const truth = (value: boolean) => (value ? 1n : 0n);

/** Operations on the two topmost values, DWARF 5 §2.5.1.4 and §2.5.1.5. */
const binary: ReadonlyMap<number, Binary> = new Map<number, Binary>([
  [0x1a, (left, right) => left & right],
  [0x1b, (left, right) => (right === 0n ? undefined : signed(left) / signed(right))],
  [0x1c, (left, right) => left - right],
  [0x1d, (left, right) => (right === 0n ? undefined : left % right)],
  [0x1e, (left, right) => left * right],
  [0x21, (left, right) => left | right],
  [0x22, (left, right) => left + right],
  [0x24, (left, right) => (right > 63n ? 0n : left << right)],
  [0x25, (left, right) => (right > 63n ? 0n : left >> right)],
  [0x26, (left, right) => signed(left) >> (right > 63n ? 63n : right)],
  [0x27, (left, right) => left ^ right],
  [0x29, (left, right) => truth(left === right)],
  [0x2a, (left, right) => truth(signed(left) >= signed(right))],
  [0x2b, (left, right) => truth(signed(left) > signed(right))],
  [0x2c, (left, right) => truth(signed(left) <= signed(right))],
  [0x2d, (left, right) => truth(signed(left) < signed(right))],
  [0x2e, (left, right) => truth(left !== right)],
]);

const unary: ReadonlyMap<number, (value: bigint) => bigint> = new Map<number, (value: bigint) => bigint>([
  [0x19, (value) => (signed(value) < 0n ? -signed(value) : value)],
  [0x1f, (value) => -value],
  [0x20, (value) => ~value],
]);

/** Any failure makes `#failed` true, and the run ends. */
class Machine {
  readonly #bytes: Uint8Array;
  readonly #registers: Float64Array;
  readonly #memory: Memory;
  readonly #stack: bigint[] = [];
  #at = 0;
  #failed = false;

  constructor(bytes: Uint8Array, registers: Float64Array, memory: Memory) {
    this.#bytes = bytes;
    this.#registers = registers;
    this.#memory = memory;
  }

  push(value: bigint | undefined): void {
    if (value === undefined || this.#stack.length >= maxDepth) this.#failed = true;
    else this.#stack.push(value & mask);
  }

  run(): bigint | undefined {
    for (let step = 0; this.#at < this.#bytes.length && !this.#failed; step += 1) {
      if (step >= maxSteps) return undefined;
      this.#step(this.#byte());
    }
    return this.#failed ? undefined : this.#stack.at(-1);
  }

  #step(operation: number): void {
    const two = binary.get(operation);
    const one = unary.get(operation);
    if (two !== undefined) {
      const right = this.#pop();
      this.push(two(this.#pop(), right));
    } else if (one !== undefined) this.push(one(this.#pop()));
    else if (operation >= 0x30 && operation <= 0x4f) this.push(BigInt(operation - 0x30));
    else if (operation >= op.breg0 && operation <= op.breg31) this.#register(operation - op.breg0);
    else if (operation === op.bregx) this.#register(Number(this.#leb(false)));
    else if (operation === op.plusConstant) this.push(this.#pop() + this.#leb(false));
    else if (operation === op.deref) this.#deref();
    else if (operation === op.skip) this.#jump(Number(BigInt.asIntN(16, this.#fixed(2))));
    else if (operation === op.bra) {
      const distance = Number(BigInt.asIntN(16, this.#fixed(2)));
      if (this.#pop() !== 0n) this.#jump(distance);
    } else if (operation !== op.nop && !this.#constant(operation) && !this.#shuffle(operation)) this.#failed = true;
  }

  /** DWARF 5 §2.5.1.1. */
  #constant(operation: number): boolean {
    if (operation === op.addr) this.push(this.#fixed(8));
    else if (operation >= 0x08 && operation <= 0x0f) {
      const size = 1 << ((operation - 0x08) >> 1);
      const value = this.#fixed(size);
      this.push((operation & 1) === 1 ? BigInt.asIntN(size * 8, value) : value);
    } else if (operation === 0x10) this.push(this.#leb(false));
    else if (operation === 0x11) this.push(this.#leb(true));
    else return false;
    return true;
  }

  /** dup, drop, over, pick, swap and rot, DWARF 5 §2.5.1.3. */
  #shuffle(operation: number): boolean {
    const stack = this.#stack;
    if (operation === 0x12) this.push(stack.at(-1));
    else if (operation === 0x13) this.#pop();
    else if (operation === 0x14) this.push(stack.at(-2));
    else if (operation === 0x15) this.push(stack.at(-1 - this.#byte()));
    else if (operation === 0x16 || operation === 0x17) {
      const top = this.#pop();
      const others = operation === 0x16 ? [this.#pop()] : [this.#pop(), this.#pop()];
      this.push(top);
      for (const value of others.reverse()) this.push(value);
    } else return false;
    return true;
  }

  #register(number: number): void {
    const value = this.#registers[number] ?? Number.NaN;
    const offset = this.#leb(true);
    this.push(Number.isSafeInteger(value) ? BigInt(value) + offset : undefined);
  }

  #deref(): void {
    const address = this.#pop();
    const value = address > BigInt(Number.MAX_SAFE_INTEGER) ? Number.NaN : this.#memory.readWord(Number(address));
    this.push(Number.isSafeInteger(value) ? BigInt(value) : undefined);
  }

  #jump(distance: number): void {
    this.#at += distance;
    if (this.#at < 0 || this.#at > this.#bytes.length) this.#failed = true;
  }

  #pop(): bigint {
    const value = this.#stack.pop();
    if (value === undefined) this.#failed = true;
    return value ?? 0n;
  }

  #byte(): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) this.#failed = true;
    this.#at += 1;
    return byte ?? 0;
  }

  #fixed(size: number): bigint {
    let value = 0n;
    for (let index = 0; index < size; index += 1) value |= BigInt(this.#byte()) << BigInt(8 * index);
    return value;
  }

  #leb(isSigned: boolean): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return isSigned && (byte & 0x40) !== 0 ? value - (1n << (shift + 7n)) : value;
    }
    this.#failed = true;
    return 0n;
  }
}
