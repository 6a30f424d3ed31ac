/**
 * Which threads are, or may come back, inside functions that change: by the words on their stacks first, by unwinding where a word hits.
 *
 * Made for the stop: all buffers are there before it, and words are compared two halves at a time.
 */
import { type FrameRow, registerCount, registerNames } from "../../elf/eh-frame/frame-rows.ts";
import type { Memory } from "../../elf/eh-frame/memory.ts";
import { innermostFrame, lookUpAddress, unwindStep } from "../../elf/eh-frame/unwind-step.ts";
import { readStat } from "../../process/process.ts";
import { type Mapping, mappingAt } from "./memory-map.ts";
import type { ProcessMemory } from "./process-memory.ts";
import { readAddress } from "./registers.ts";
import { FixedBytes, readVectors } from "./system-calls.ts";
import type { Tracee } from "./tracee.ts";

/** Code that no thread may be in. */
export interface GuardedRange {
  readonly start: number;
  readonly end: number;
  /** For messages, such as `parse`. */
  readonly name: string;
}

export interface ActiveFunction {
  readonly tid: number;
  readonly name: string;
  /** Instruction pointers, innermost first; empty where the stack could not be followed. */
  readonly stack: readonly number[];
}

const two32 = 2 ** 32;
const usualStackBytes = 2 * 1024 * 1024;

interface StackWords {
  readonly bytes: FixedBytes;
  readonly view: Uint32Array;
}

let sharedWords: StackWords | undefined;

/** One buffer serves all looks. Pages that were never written would be given by the kernel one by one, in the stop. */
function stackWords(sizeBytes = usualStackBytes): StackWords {
  if (sharedWords !== undefined && sharedWords.view.byteLength >= sizeBytes) return sharedWords;
  const bytes = new FixedBytes(sizeBytes);
  bytes.buffer.fill(0x01);
  sharedWords = { bytes, view: new Uint32Array(bytes.buffer.buffer) };
  return sharedWords;
}

const maxStackBytes = 64 * 1024 * 1024;
const vectorBytes = 16;
/** Far below UIO_MAXIOV; so many stacks are read in one call. */
const maxVectors = 256;

export class StackScan {
  readonly #memory: ProcessMemory;
  /** Where the stack of the first thread ends. */
  readonly #startStack: number;
  readonly #ranges: readonly GuardedRange[];
  readonly #lowest: number;
  readonly #highest: number;
  readonly #mappings: readonly Mapping[];
  readonly #rows: { row(address: number): FrameRow | undefined };
  /** Where handlers of signals return to: below such a word another stack may go on. */
  readonly #signalReturns: readonly number[];
  readonly #firstReturn: number;
  readonly #lastReturn: number;
  /** High halves of the addresses that can hit. */
  readonly #lowestHigh: number;
  readonly #highestHigh: number;
  #words = stackWords();
  readonly #local = new FixedBytes(vectorBytes);
  readonly #remote = new FixedBytes(vectorBytes * maxVectors);

  constructor(
    memory: ProcessMemory,
    ranges: readonly GuardedRange[],
    mappings: readonly Mapping[],
    rows: { row(address: number): FrameRow | undefined },
    signalReturns: readonly number[],
  ) {
    this.#signalReturns = signalReturns;
    this.#firstReturn = Math.min(...signalReturns);
    this.#lastReturn = Math.max(...signalReturns);
    this.#memory = memory;
    this.#startStack = readStat(memory.pid)?.startStack ?? 0;
    this.#ranges = ranges;
    this.#lowest = Math.min(...ranges.map(({ start }) => start));
    this.#highest = Math.max(...ranges.map(({ end }) => end));
    this.#mappings = mappings;
    this.#rows = rows;
    this.#lowestHigh = Math.floor(Math.min(this.#lowest, this.#firstReturn) / two32);
    this.#highestHigh = Math.floor(Math.max(this.#highest, this.#lastReturn) / two32);
    this.#local.buffer.writeBigUInt64LE(BigInt(this.#words.bytes.address), 0);
  }

  /** The first thread that is in one of the ranges, or may be; their registers must have been read. */
  look(threads: readonly Tracee[]): ActiveFunction | undefined {
    for (const thread of threads) {
      if (thread.state !== "stopped") continue;
      const at = this.#rangeOf(thread.instructionPointer, false);
      if (at !== undefined) return { tid: thread.tid, name: at.name, stack: this.#walk(thread).stack };
    }
    const sizes = this.#remote.buffer;
    for (let first = 0; first < threads.length; ) {
      const count = this.#gather(threads, first);
      if (count === 0) return { tid: (threads[first] as Tracee).tid, name: "(a stack that is not known)", stack: [] };
      let start = 0;
      for (let index = 0; index < count; index++) {
        const end = start + (sizes.readUInt32LE(index * vectorBytes + 8) >> 2);
        const hit = end === start ? -1 : this.#hit(this.#words.view, start, end);
        const active = hit < 0 ? undefined : this.#decide(threads[first + index] as Tracee, hit);
        if (active !== undefined) return active;
        start = end;
      }
      first += count;
    }
    return undefined;
  }

  /** Whether a word that hit means anything. */
  #decide(thread: Tracee, hit: number): ActiveFunction | undefined {
    const { ended, stack, active } = this.#walk(thread);
    if (active !== undefined) return { tid: thread.tid, name: active.name, stack };
    // A walk to the very end proves that the word is left over from before.
    if (ended) return undefined;
    return { tid: thread.tid, name: this.#rangeOf(hit, true)?.name ?? "(a signal handler)", stack };
  }

  /** Two words of 32 bits a step; -1 when none is a return address into a range. */
  #hit(words: Uint32Array, start: number, end: number): number {
    const lowest = this.#lowest;
    const highest = this.#highest;
    const lowestHigh = this.#lowestHigh;
    const highestHigh = this.#highestHigh;
    const signalReturns = this.#signalReturns;
    const firstReturn = this.#firstReturn;
    const lastReturn = this.#lastReturn;
    for (let index = start; index + 1 < end; index += 2) {
      const high = words[index + 1] as number;
      if (high > highestHigh || high < lowestHigh) continue;
      const value = high * two32 + (words[index] as number);
      if (value > lowest && value <= highest && this.#rangeOf(value, true) !== undefined) return value;
      if (value >= firstReturn && value <= lastReturn && signalReturns.includes(value)) return value;
    }
    return -1;
  }

  /** A return address lies behind a call, so it is never the first byte of a function, and may be the one behind its last. */
  #rangeOf(address: number, isReturn: boolean): GuardedRange | undefined {
    for (const range of this.#ranges) {
      if (isReturn ? address > range.start && address <= range.end : address >= range.start && address < range.end)
        return range;
    }
    return undefined;
  }

  /** Reads the stacks of as many threads as fit, each from its stack pointer to the end of its mapping, in one call; answers how many, 0 when the next one points to no memory that was known before the stop. A thread that has ended has none. */
  #gather(threads: readonly Tracee[], first: number): number {
    const remote = this.#remote.buffer;
    let total = 0;
    let count = 0;
    for (; count < maxVectors && first + count < threads.length; count++) {
      const thread = threads[first + count] as Tracee;
      const at = count * vectorBytes;
      if (thread.state !== "stopped") {
        remote.writeUInt32LE(0, at + 8);
        continue;
      }
      const stackPointer = thread.stackPointer;
      const aligned = stackPointer - (stackPointer % 8);
      const mapping = mappingAt(this.#mappings, aligned);
      const sizeBytes = mapping === undefined ? maxStackBytes + 1 : this.#stackEnd(thread, mapping) - aligned;
      if (sizeBytes > maxStackBytes || (count > 0 && total + sizeBytes > this.#words.view.byteLength)) break;
      remote.writeUInt32LE(aligned % two32, at);
      remote.writeUInt32LE(Math.floor(aligned / two32), at + 4);
      remote.writeUInt32LE(sizeBytes, at + 8);
      total += sizeBytes;
    }
    if (count === 0 || total === 0) return count;
    if (total > this.#words.view.byteLength) {
      this.#words = stackWords(total);
      this.#local.buffer.writeBigUInt64LE(BigInt(this.#words.bytes.address), 0);
    }
    return this.#read(threads[first] as Tracee, count, total) === total ? count : 0;
  }

  #read({ stackPointer }: Tracee, count: number, total: number): number {
    // One stack alone takes a shorter way through the kernel.
    if (count === 1) return this.#memory.readFixed(stackPointer - (stackPointer % 8), this.#words.bytes, total);
    this.#local.buffer.writeUInt32LE(total, 8);
    return readVectors(this.#memory.pid, this.#local.address, 1, this.#remote.address, count);
  }

  /**
   * The C library puts a thread's control block, which fs points to, on top of its stack: no frame lies above it.
   * The first thread's is elsewhere; above its frames are the arguments and the environment of the program.
   */
  #stackEnd(thread: Tracee, { end, name }: Mapping): number {
    const { stackPointer } = thread;
    const top = name === "[stack]" ? this.#startStack : name === "" ? thread.controlBlock : 0;
    return top > stackPointer && top < end ? top - (top % 8) : end;
  }

  #walk({ registers }: Tracee): { readonly ended: boolean; readonly stack: number[]; readonly active?: GuardedRange } {
    const frame = innermostFrame(psabiRegisters(registers));
    const memory = new RemoteWords(this.#memory.pid);
    const stack: number[] = [frame.registers[16] as number];
    while (stack.length < 10_000) {
      const result = unwindStep(frame, memory, this.#rows);
      if (result !== "caller") return { ended: result === "end", stack };
      stack.push(frame.registers[16] as number);
      const active = this.#rangeOf(lookUpAddress(frame), false);
      if (active !== undefined) return { ended: false, stack, active };
    }
    return { ended: false, stack };
  }
}

export function psabiRegisters(registers: Buffer): Float64Array {
  const values = new Float64Array(registerCount).fill(Number.NaN);
  for (const [index, name] of registerNames.entries()) {
    const value = readAddress(registers, name);
    values[index] = Number.isSafeInteger(value) ? value : Number.NaN;
  }
  return values;
}

/** Words of a stopped process, one system call each: for the few threads whose words hit. */
export class RemoteWords implements Memory {
  readonly #pid: number;
  readonly #word = new FixedBytes(8);
  readonly #local = new FixedBytes(vectorBytes);
  readonly #remote = new FixedBytes(vectorBytes);

  constructor(pid: number) {
    this.#pid = pid;
    this.#local.buffer.writeBigUInt64LE(BigInt(this.#word.address), 0);
    this.#local.buffer.writeUInt32LE(8, 8);
    this.#remote.buffer.writeUInt32LE(8, 8);
  }

  readWord(address: number): number {
    if (!(address >= 0 && address < 2 ** 47)) return Number.NaN;
    this.#remote.buffer.writeBigUInt64LE(BigInt(address), 0);
    if (readVectors(this.#pid, this.#local.address, 1, this.#remote.address, 1) !== 8) return Number.NaN;
    const value = this.#word.buffer.readUInt32LE(0) + this.#word.buffer.readUInt32LE(4) * two32;
    return Number.isSafeInteger(value) ? value : Number.NaN;
  }
}
