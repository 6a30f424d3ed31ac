/**
 * Calls that wait on stacks that no thread runs on: coroutines. A function may not change under them, and patch memory may not go.
 *
 * Before a stop all writable private memory of the process is looked through for return addresses into guarded code, while the process runs.
 * In the stop it is looked through again, with what is known of the threads then, but only where there is reason: such a word was found, or a thread was seen on a stack that is not its own.
 * A word counts unless what switches of stacks have saved proves that it is left over (saved-contexts.ts).
 */
import type { RowFinder } from "../../elf/eh-frame/unwind-step.ts";
import { type Mapping, mappingAt, pageBytes } from "./memory-map.ts";
import { readRecords } from "./patch-memory.ts";
import type { ProcessMemory } from "./process-memory.ts";
import { callRoomBytes } from "./remote-function.ts";
import { type Run, residentRuns } from "./resident-pages.ts";
import {
  type CodeKnowledge,
  jumpBufferBytes,
  type PointerGuard,
  plainPointer,
  walkFrom,
  walkFromJumpBuffer,
} from "./saved-contexts.ts";
import { type GuardedRange, RemoteWords } from "./stack-scan.ts";
import type { Tracee } from "./tracee.ts";

/** A call that waits, and where its stack is. */
export interface WaitingCall {
  readonly name: string;
  readonly address: number;
  /** Instruction pointers, innermost first; empty where they cannot be told. */
  readonly stack: readonly number[];
}

interface Region {
  readonly mapping: Mapping;
  /** Its pages with contents. */
  readonly runs: readonly Run[];
  /** Where return addresses into guarded code stood before the stop. */
  readonly words: readonly number[];
}

const two32 = 2 ** 32;
const wordBytes = 8;
/** What is looked through in a stop; where there is more, what was found before it counts as it stands. */
const maxBytesInStop = 64 * 1024 * 1024;
const pieceBytes = 16 * 1024 * 1024;
/** No coroutine's stack is larger. */
const maxStackBytes = 8 * 1024 * 1024;
/** A frame's saved rbp points a little above itself, and is no saved stack pointer. */
const frameReachBytes = 16 * 1024;
/** The thread's control block and its thread-local variables lie on top of its stack. */
const controlBlockReachBytes = 16 * pageBytes;
/** Distance of the secret for pointers from the thread pointer (glibc's tcbhead_t). */
const pointerGuardOffset = 0x30;
const longestCallBytes = 8;

export class OtherStacks implements CodeKnowledge {
  readonly #memory: ProcessMemory;
  readonly #guarded: readonly GuardedRange[];
  readonly #rows: RowFinder;
  #mappings: readonly Mapping[] = [];
  #regions: readonly Region[] = [];
  #hasWords = false;
  #hasStacks = false;
  /** The first thread's stack, whose control block is elsewhere. */
  #firstStack: Mapping | undefined;

  constructor(memory: ProcessMemory, guarded: readonly GuardedRange[], rows: RowFinder) {
    this.#memory = memory;
    this.#guarded = guarded;
    this.#rows = rows;
  }

  /** While the process runs, before each stop. */
  prepare(): void {
    this.#mappings = this.#memory.maps();
    this.#firstStack = this.#mappings.find(({ name }) => name === "[stack]");
    const writable = this.#mappings.filter(({ permissions }) => permissions === "rw-p");
    const rooms = callRooms(this.#memory, this.#mappings);
    this.#regions = writable.map((mapping) => {
      const runs = residentRuns(this.#memory.pid, mapping).flatMap((run) => without(run, rooms));
      const found = mapping.name === "[stack]" ? [] : this.#wordsIn(runs);
      const words = found.length > 0 && this.#controlBlockIn(mapping) !== undefined ? [] : found;
      return { mapping, runs, words };
    });
    this.#hasWords = this.#regions.some(({ words }) => words.length > 0);
  }

  /** In the stop; the threads' registers must have been read. The first call that waits in guarded code, or may. */
  look(threads: readonly Tracee[]): WaitingCall | undefined {
    if (!this.#hasReason(threads)) return undefined;
    const stopped = threads.filter(({ state }) => state === "stopped");
    const lives = stopped.flatMap((thread) => this.#liveStack(thread) ?? []);
    const others = this.#regions.filter(({ mapping }) => !lives.some(({ end }) => end === mapping.end));
    if (sizeOf(others) > maxBytesInStop) {
      const [first] = others.flatMap(({ words }) => words);
      return first === undefined ? undefined : this.#waiting(first);
    }
    const blocks = new Set(stopped.map(({ controlBlock }) => controlBlock));
    const words = others.flatMap((region) => this.#wordsNow(region, blocks));
    if (words.length === 0) return undefined;
    return this.#firstAlive(words, [...others.flatMap(({ runs }) => runs), ...lives], stopped[0]);
  }

  isCode(address: number): boolean {
    return mappingAt(this.#mappings, address)?.permissions[2] === "x";
  }

  /** `call rel32`, or FF /2 with any operand (Intel SDM, CALL). */
  isBehindCall(address: number): boolean {
    const bytes = this.#memory.readSome(address - longestCallBytes, longestCallBytes);
    if (bytes.length < longestCallBytes) return false;
    if (bytes[longestCallBytes - 5] === 0xe8) return true;
    return [2, 3, 4, 6, 7].some((back) => {
      const at = longestCallBytes - back;
      return bytes[at] === 0xff && (((bytes[at + 1] as number) >> 3) & 7) === 2;
    });
  }

  guardedAt(address: number): string | undefined {
    return this.#guarded.find(({ start, end }) => address >= start && address < end)?.name;
  }

  #waiting(address: number): WaitingCall {
    const value = Number(this.#memory.read(address, wordBytes).readBigUInt64LE());
    return { name: this.guardedAt(value - 1) ?? "changed code", address, stack: [] };
  }

  /** All that most stops do: nothing is made anew in it. */
  #hasReason(threads: readonly Tracee[]): boolean {
    for (const thread of threads)
      if (thread.state === "stopped" && this.#ownStack(thread) === undefined) this.#hasStacks = true;
    return this.#hasStacks || this.#hasWords;
  }

  /** The mapping of a thread's own stack; undefined where it is on another one. */
  #ownStack({ tid, controlBlock, stackPointer }: Tracee): Mapping | undefined {
    const home = tid === this.#memory.pid ? this.#firstStack : mappingAt(this.#mappings, controlBlock);
    return home !== undefined && stackPointer >= home.start && stackPointer < home.end ? home : undefined;
  }

  /** What a thread uses of its own stack. */
  #liveStack(thread: Tracee): Run | undefined {
    const { stackPointer } = thread;
    const home = this.#ownStack(thread);
    return home && { start: stackPointer - (stackPointer % wordBytes), end: home.end };
  }

  /** The stack of a thread that has ended, which glibc keeps for those to come, has none. */
  #wordsNow({ mapping, runs }: Region, blocks: ReadonlySet<number>): number[] {
    const words = this.#wordsIn(runs);
    const block = words.length === 0 ? undefined : this.#controlBlockIn(mapping);
    return block === undefined || blocks.has(block) ? words : words.filter((address) => address > block);
  }

  /** The control block of a thread of glibc: a word that is its own address, twice (tcbhead_t: tcb, self). */
  #controlBlockIn({ start, end }: Mapping): number | undefined {
    const from = Math.max(start, end - controlBlockReachBytes);
    const bytes = this.#memory.readSome(from, end - from);
    for (let at = bytes.length - 3 * wordBytes; at >= 0; at -= wordBytes) {
      if (wordAt(bytes, at) === from + at && wordAt(bytes, at + 2 * wordBytes) === from + at) return from + at;
    }
    return undefined;
  }

  /** One that a saved stack pointer leads to. Where a walk from one is lost, the words above it may be its. */
  #firstAlive(words: readonly number[], runs: readonly Run[], any: Tracee | undefined): WaitingCall | undefined {
    const guard = any && this.#pointerGuard(any);
    const spans = words.map((address) => {
      const start = mappingAt(this.#mappings, address)?.start ?? address;
      return { start: Math.max(start, address - maxStackBytes), end: address };
    });
    const tools = { memory: new RemoteWords(this.#memory.pid), rows: this.#rows, code: this };
    const isWanted = (pointer: number): boolean =>
      pointer % wordBytes === 0 && spans.some(({ start, end }) => pointer >= start && pointer <= end);
    const lost: number[] = [];
    let found: WaitingCall | undefined;
    const follow = (pointer: number, place: number, hidden: PointerGuard | undefined): void => {
      if (found !== undefined || !isWanted(pointer)) return;
      if (hidden === undefined && place < pointer && pointer - place < frameReachBytes) return;
      const {
        outcome,
        name = "",
        stack,
      } = hidden === undefined
        ? walkFrom(pointer, place, tools)
        : walkFromJumpBuffer(pointer, this.#jumpBuffer(place), hidden, tools);
      if (outcome === "guarded") found = { name, address: pointer, stack };
      if (outcome === "lost") lost.push(pointer);
    };
    for (const run of runs)
      this.#eachWord(run, (place, low, high) => {
        follow(high * two32 + low, place, undefined);
        if (guard !== undefined) follow(plainPointer(low, high, guard), place, guard);
      });
    if (found !== undefined) return found;
    const doubtful = words.find((address) =>
      lost.some((pointer) => pointer <= address && address - pointer < maxStackBytes),
    );
    return doubtful === undefined ? undefined : this.#waiting(doubtful);
  }

  #jumpBuffer(place: number): Buffer {
    return this.#memory.readSome(place - jumpBufferBytes.before, jumpBufferBytes.total);
  }

  #pointerGuard({ controlBlock }: Tracee): PointerGuard | undefined {
    const bytes = this.#memory.readSome(controlBlock + pointerGuardOffset, wordBytes);
    return bytes.length < wordBytes ? undefined : { low: bytes.readUInt32LE(0), high: bytes.readUInt32LE(4) };
  }

  /** Where return addresses into guarded code stand. */
  #wordsIn(runs: readonly Run[]): number[] {
    const lowest = Math.min(...this.#guarded.map(({ start }) => start));
    const highest = Math.max(...this.#guarded.map(({ end }) => end));
    const [lowestHigh, highestHigh] = [Math.floor(lowest / two32), Math.floor(highest / two32)];
    const found: number[] = [];
    for (const run of runs)
      this.#eachWord(run, (place, low, high) => {
        if (high < lowestHigh || high > highestHigh) return;
        const value = high * two32 + low;
        if (value <= lowest || value > highest || this.guardedAt(value - 1) === undefined) return;
        if (this.isBehindCall(value)) found.push(place);
      });
    return found;
  }

  #eachWord({ start, end }: Run, visit: (place: number, low: number, high: number) => void): void {
    for (let at = start; at < end; at += pieceBytes) {
      const bytes = this.#memory.readSome(at, Math.min(pieceBytes, end - at));
      const halves = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
      for (let index = 0; index + 1 < halves.length; index += 2) {
        const high = halves[index + 1] as number;
        if (high !== 0) visit(at + index * 4, halves[index] as number, high);
      }
    }
  }
}

/** The stacks on which a patcher has functions called: none waits there once it is done. */
function callRooms(memory: ProcessMemory, mappings: readonly Mapping[]): Run[] {
  return readRecords(memory, mappings).flatMap(({ calls }) =>
    calls === undefined ? [] : [{ start: calls.list, end: calls.list + callRoomBytes }],
  );
}

function without(run: Run, taken: readonly Run[]): Run[] {
  return taken.reduce<Run[]>(
    (parts, { start, end }) =>
      parts
        .flatMap((part) => [
          { start: part.start, end: Math.min(part.end, start) },
          { start: Math.max(part.start, end), end: part.end },
        ])
        .filter((part) => part.start < part.end),
    [run],
  );
}

function wordAt(bytes: Buffer, offset: number): number {
  return bytes.readUInt32LE(offset) + bytes.readUInt32LE(offset + 4) * two32;
}

function sizeOf(regions: readonly Region[]): number {
  return regions.reduce((sum, { runs }) => sum + runs.reduce((part, { start, end }) => part + end - start, 0), 0);
}
