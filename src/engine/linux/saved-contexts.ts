/**
 * Whether a word on a stack that no thread runs on belongs to a call that will go on: by what a switch of stacks has saved.
 *
 * A coroutine that waits is reached by its stack pointer alone, and somebody keeps it: beside the instruction pointer in a struct (ucontext, minicoro, libucontext), as the end of the registers that were pushed (Boost.Context, libco), or in the disguise of a jmp_buf (glibc's PTR_MANGLE).
 * From each stack pointer that is found so the stack is unwound; what no such walk leads through is left over from before.
 */
import { registerCount } from "../../elf/eh-frame/frame-rows.ts";
import type { Memory } from "../../elf/eh-frame/memory.ts";
import { innermostFrame, lookUpAddress, type RowFinder, register, unwindStep } from "../../elf/eh-frame/unwind-step.ts";

export interface CodeKnowledge {
  /** Whether an address lies in memory that is executed. */
  isCode(address: number): boolean;
  /** Whether a call stands right before it. */
  isBehindCall(address: number): boolean;
  /** The name of the guarded code that it lies in. */
  guardedAt(address: number): string | undefined;
}

export interface WalkTools {
  readonly memory: Memory;
  readonly rows: RowFinder;
  readonly code: CodeKnowledge;
}

/** With what glibc's setjmp hides pointers: exclusive or with a secret, then turned left by 17 bits. */
export interface PointerGuard {
  readonly low: number;
  readonly high: number;
}

export interface Walked {
  /** `ends`: at the bottom of the stack. `lost`: on the way. `guarded`: it leads through code that no thread may be in. `none`: it is no context. */
  readonly outcome: "ends" | "lost" | "guarded" | "none";
  readonly name?: string;
  readonly stack: readonly number[];
}

const wordBytes = 8;
/** More is not pushed by any switch: six registers, control words, ten of 16 bytes on other systems. */
const maxPushedWords = 32;
const maxFrames = 1000;
const no: Walked = { outcome: "none", stack: [] };

/** Where registers are kept, in words from the saved stack pointer. */
interface Layout {
  readonly rip: number;
  readonly rbp: number;
  readonly rbx: number;
  /** r13 to r15 follow. */
  readonly r12: number;
}

/** The order of glibc's `gregset_t` (sys/ucontext.h), which musl and libucontext share. */
const ucontext: Layout = { rip: 1, rbp: -5, rbx: -4, r12: -11 };
/** As in minicoro: rip, rsp, rbp, rbx, r12 to r15. */
const instructionFirst: Layout = { rip: -1, rbp: 1, rbx: 2, r12: 3 };
/** glibc's jmpbuf-offsets.h: rbx, rbp, r12 to r15, rsp, rip. */
const jumpBuffer: Layout = { rip: 1, rbp: -5, rbx: -6, r12: -4 };
/** Bytes of a jmp_buf before the stack pointer, and in all. */
export const jumpBufferBytes = { before: 48, total: 64 } as const;

/** The walk from a stack pointer that stands at `place`. */
export function walkFrom(stackPointer: number, place: number, tools: WalkTools): Walked {
  const saved = (index: number): number => tools.memory.readWord(place + index * wordBytes);
  const inStruct = [ucontext, instructionFirst].map((layout) =>
    tools.code.isCode(saved(layout.rip)) ? walk(savedRegisters(stackPointer, saved, layout), tools) : no,
  );
  return strongest([...inStruct, pushed(stackPointer, saved(1), tools)]);
}

/** The same for one in a jmp_buf, of which rbp, rsp and rip are in disguise. */
export function walkFromJumpBuffer(stackPointer: number, bytes: Buffer, guard: PointerGuard, tools: WalkTools): Walked {
  if (bytes.length < jumpBufferBytes.total) return no;
  const halves = (index: number): readonly [number, number] => {
    const at = jumpBufferBytes.before + index * wordBytes;
    return [bytes.readUInt32LE(at), bytes.readUInt32LE(at + 4)];
  };
  const saved = (index: number): number => {
    const [low, high] = halves(index);
    return index === jumpBuffer.rip || index === jumpBuffer.rbp ? plainPointer(low, high, guard) : low + high * 2 ** 32;
  };
  return tools.code.isCode(saved(jumpBuffer.rip)) ? walk(savedRegisters(stackPointer, saved, jumpBuffer), tools) : no;
}

/** From the halves of a hidden pointer; NaN where no pointer of user space comes of it. */
export function plainPointer(low: number, high: number, guard: PointerGuard): number {
  const plainHigh = (((high >>> 17) | (low << 15)) ^ guard.high) >>> 0;
  if (plainHigh >= 0x8000) return Number.NaN;
  return plainHigh * 2 ** 32 + ((((low >>> 17) | (high << 15)) ^ guard.low) >>> 0);
}

function savedRegisters(stackPointer: number, saved: (index: number) => number, layout: Layout): Float64Array {
  const registers = unknownRegisters();
  registers[register.rsp] = stackPointer;
  registers[register.rip] = saved(layout.rip);
  registers[register.rbp] = saved(layout.rbp);
  registers[register.rbx] = saved(layout.rbx);
  for (let index = 0; index < 4; index++) registers[register.r15 - 3 + index] = saved(layout.r12 + index);
  return registers;
}

function unknownRegisters(): Float64Array {
  return new Float64Array(registerCount).fill(Number.NaN);
}

/** Registers lie above the stack pointer, then the address to return to; rbp is among them, most often the last, or beside the stack pointer. */
function pushed(stackPointer: number, beside: number, tools: WalkTools): Walked {
  const { memory, code } = tools;
  const words: number[] = [];
  for (let index = 0; index < maxPushedWords; index++) {
    const value = memory.readWord(stackPointer + index * wordBytes);
    if (code.isCode(value) && code.isBehindCall(value)) {
      const above = stackPointer + (index + 1) * wordBytes;
      const bases = [...words.toReversed(), beside].filter((base) => base >= above);
      return strongest(
        [...bases, Number.NaN].map((base) => {
          const registers = unknownRegisters();
          registers[register.rsp] = above;
          registers[register.rip] = value;
          registers[register.rbp] = base;
          return walk(registers, tools, false);
        }),
      );
    }
    words.push(value);
  }
  return no;
}

/** What leads through guarded code counts before all; a walk to the bottom before one that is lost. */
function strongest(walks: readonly Walked[]): Walked {
  for (const outcome of ["guarded", "ends", "lost"] as const) {
    const found = walks.find((one) => one.outcome === outcome);
    if (found !== undefined) return found;
  }
  return no;
}

/** `exact`: rip may be the next instruction itself rather than one behind a call. */
function walk(registers: Float64Array, { memory, rows, code }: WalkTools, exact = true): Walked {
  const frame = innermostFrame(registers);
  frame.exact = exact && !code.isBehindCall(registers[register.rip] as number);
  const stack: number[] = [];
  while (stack.length < maxFrames) {
    const rip = frame.registers[register.rip] as number;
    stack.push(rip);
    const name = code.guardedAt(lookUpAddress(frame));
    if (name !== undefined) return { outcome: "guarded", name, stack };
    if (!code.isCode(rip)) return { outcome: "ends", stack };
    const result = unwindStep(frame, memory, rows);
    if (result === "end") return { outcome: "ends", stack };
    if (result === "caller") continue;
    if (stack.length > 1 || result !== "no-unwind-information") return { outcome: "lost", stack };
    // Where nothing to return to is near, it is no stack pointer but the beginning of a stack, or the walk of what was pushed tells.
    if (!returnsAtOnce(frame.registers, memory, code)) return no;
    frame.exact = false;
  }
  return { outcome: "lost", stack };
}

/** A switch that was written by hand has no unwind information; where it goes on, the address to return to is on top of the stack. */
function returnsAtOnce(registers: Float64Array, memory: Memory, code: CodeKnowledge): boolean {
  const stackPointer = registers[register.rsp] as number;
  const value = memory.readWord(stackPointer);
  if (!(code.isCode(value) && code.isBehindCall(value))) return false;
  registers[register.rip] = value;
  registers[register.rsp] = stackPointer + wordBytes;
  return true;
}
