/**
 * One step from a frame to its caller (DWARF 5 §6.4.3), and walks made of such steps.
 *
 * Nothing is allocated in a step, and nothing is thrown: what cannot be done is a reason, and the frame stays as it was.
 * Invariant: a value that is not known for certain is NaN, and no caller is made up from one.
 */
import { addressLimit } from "../../binary/cursor.ts";
import { evaluate } from "./expression.ts";
import { type FrameRow, registerCount, ruleKind } from "./frame-rows.ts";
import type { Memory } from "./memory.ts";

/** The psABI's numbers of the registers (figure 3.36) that unwinding is about. */
export const register = {
  rax: 0,
  rdx: 1,
  rcx: 2,
  rbx: 3,
  rsi: 4,
  rdi: 5,
  rbp: 6,
  rsp: 7,
  r8: 8,
  r15: 15,
  rip: 16,
} as const;

/** Not preserved by a call (psABI §3.2.1): rax, rdx, rcx, rsi, rdi, r8 to r11. */
const volatileRegisters = [0, 1, 2, 4, 5, 8, 9, 10, 11] as const;

/** A thread at one of its frames; changed in place by each step. */
export interface Frame {
  /** By the psABI's numbers, 16 the instruction pointer; NaN what is not known or is no number below 2^53. */
  registers: Float64Array;
  /** Whether rip is the next instruction itself, as in the innermost frame and below a signal frame, rather than behind a call. */
  exact: boolean;
  /** Room for the next step. */
  spare: Float64Array;
}

export type UnwindFailure =
  | "no-unwind-information"
  | "cfa-unknown"
  | "stack-not-growing"
  | "return-address-unknown"
  | "memory-unreadable";

/** `caller`: the frame is now its caller. `end`: it has none. Else why there is no answer, and the frame is unchanged. */
export type UnwindResult = "caller" | "end" | UnwindFailure;

export interface RowFinder {
  row(address: number): FrameRow | undefined;
}

/** A thread's innermost frame; `registers` is copied. */
export function innermostFrame(registers: Float64Array): Frame {
  return { registers: Float64Array.from(registers), exact: true, spare: new Float64Array(registerCount) };
}

/** The address by which to look up what the frame is in: a return address may already be in the next function. */
export function lookUpAddress(frame: Frame): number {
  const address = frame.registers[register.rip]!;
  return frame.exact ? address : address - 1;
}

export function unwindStep(frame: Frame, memory: Memory, rows: RowFinder): UnwindResult {
  const row = rows.row(lookUpAddress(frame));
  if (row === undefined) return "no-unwind-information";
  const { registers, spare } = frame;
  const cfa = canonicalFrameAddress(row, registers, memory);
  if (!(cfa >= 0 && cfa < addressLimit)) return "cfa-unknown";
  // A caller's frame lies above; only a signal may have switched to another stack.
  if (!row.signalFrame && !(cfa > registers[register.rsp]!)) return "stack-not-growing";
  spare.set(registers);
  if (!row.signalFrame) for (const volatile of volatileRegisters) spare[volatile] = Number.NaN;
  spare[register.rsp] = cfa;
  spare[register.rip] = Number.NaN;
  const problem = applyRules(row, cfa, registers, spare, memory);
  if (problem !== undefined) return problem;
  const returnAddress = spare[register.rip]!;
  if (returnAddress === 0) return "end";
  if (!(returnAddress > 0 && returnAddress < addressLimit)) return "return-address-unknown";
  frame.registers = spare;
  frame.spare = registers;
  frame.exact = row.signalFrame;
  return "caller";
}

function canonicalFrameAddress(row: FrameRow, registers: Float64Array, memory: Memory): number {
  if (row.cfaExpression !== undefined) return evaluate(row.cfaExpression, registers, memory, undefined);
  return row.cfaRegister < 0 ? Number.NaN : registers[row.cfaRegister]! + row.cfaOffset;
}

/** DWARF 5 §6.4.1's register rules, from `now` into `next`; the reason if the return address has no rule that leads to it. */
function applyRules(
  row: FrameRow,
  cfa: number,
  now: Float64Array,
  next: Float64Array,
  memory: Memory,
): "end" | UnwindFailure | undefined {
  const { registers, kinds, values } = row;
  for (let index = 0; index < registers.length; index += 1) {
    const number = registers[index]!;
    const kind = kinds[index]!;
    const value = values[index]!;
    if (kind === ruleKind.offset) next[number] = memory.readWord(cfa + value);
    else if (kind === ruleKind.sameValue) next[number] = now[number]!;
    else if (kind === ruleKind.valueOffset) next[number] = cfa + value;
    else if (kind === ruleKind.register) next[number] = now[value] ?? Number.NaN;
    else if (kind === ruleKind.undefined) {
      // An undefined return address marks the outermost frame (DWARF 5 §6.4.4).
      if (number === register.rip) return "end";
      next[number] = Number.NaN;
    } else next[number] = byExpression(row, number, kind, cfa, now, memory);
    if (number === register.rip && Number.isNaN(next[number])) return "memory-unreadable";
  }
  return Number.isNaN(next[register.rip]!) ? "return-address-unknown" : undefined;
}

function byExpression(
  row: FrameRow,
  number: number,
  kind: number,
  cfa: number,
  now: Float64Array,
  memory: Memory,
): number {
  const expression = row.expressions?.get(number);
  if (expression === undefined) return Number.NaN;
  const value = evaluate(expression, now, memory, cfa);
  return kind === ruleKind.expression ? memory.readWord(value) : value;
}

export interface Backtrace {
  /** Instruction pointers, innermost first: those that `lookUpAddress` would be asked with are one less but for exact ones. */
  readonly addresses: readonly number[];
  readonly ended: "end" | "too-deep" | UnwindFailure;
}

/** Walks until the outermost frame, a failure, or `maxFrames`. */
export function backtrace(frame: Frame, memory: Memory, rows: RowFinder, maxFrames = 10_000): Backtrace {
  const addresses = [frame.registers[register.rip]!];
  while (addresses.length < maxFrames) {
    const result = unwindStep(frame, memory, rows);
    if (result !== "caller") return { addresses, ended: result };
    addresses.push(frame.registers[register.rip]!);
  }
  return { addresses, ended: "too-deep" };
}
