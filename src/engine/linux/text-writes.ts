/**
 * Changes to code that are prepared before a stop and made in it: looked at with one call, written with one call a page.
 *
 * A write that stays within a page is made by the kernel as a whole or not at all, also when the writer is killed in it.
 * Invariant: bytes that are not as expected are left as they are.
 */
import { pageBytes } from "./memory-map.ts";
import type { ProcessMemory } from "./process-memory.ts";
import { FixedBytes, readVectors } from "./system-calls.ts";

export interface TextWrite {
  /** For messages. */
  readonly name: string;
  readonly address: number;
  /** What stands there. */
  readonly expected: Buffer;
  /** As many bytes that take its place. */
  readonly bytes: Buffer;
}

/** Far below UIO_MAXIOV. */
const maxVectors = 512;
const vectorBytes = 16;

/** The bytes from the first write of a page to the end of the last. */
class Span {
  readonly address: number;
  readonly bytes: FixedBytes;
  readonly writes: readonly TextWrite[];
  matching = 0;
  /** Its library may have been unloaded; nothing is as expected then. */
  isThere = true;

  constructor(writes: readonly TextWrite[]) {
    this.writes = writes;
    this.address = Math.min(...writes.map(({ address }) => address));
    this.bytes = new FixedBytes(Math.max(...writes.map(({ address, bytes }) => address + bytes.length)) - this.address);
  }

  read(memory: ProcessMemory): void {
    const { length } = this.bytes.buffer;
    this.isThere = memory.readFixed(this.address, this.bytes, length) === length;
  }

  /** Puts the new bytes in, where the expected ones stand. */
  fill(): void {
    this.matching = 0;
    if (!this.isThere) return;
    const { buffer } = this.bytes;
    for (const { address, expected, bytes } of this.writes) {
      const at = address - this.address;
      if (!startsWith(buffer, at, expected)) continue;
      this.matching++;
      for (let index = 0; index < bytes.length; index++) buffer[at + index] = bytes[index] as number;
    }
  }

  firstOther(): TextWrite | undefined {
    if (!this.isThere) return this.writes[0];
    for (const write of this.writes)
      if (!startsWith(this.bytes.buffer, write.address - this.address, write.expected)) return write;
    return undefined;
  }
}

function startsWith(buffer: Buffer, at: number, wanted: Buffer): boolean {
  for (let index = 0; index < wanted.length; index++) if (buffer[at + index] !== wanted[index]) return false;
  return true;
}

export class TextWrites {
  readonly #memory: ProcessMemory;
  readonly #spans: readonly Span[];
  readonly #local: FixedBytes;
  readonly #remote: FixedBytes;

  constructor(memory: ProcessMemory, writes: readonly TextWrite[]) {
    this.#memory = memory;
    const byPage = Map.groupBy(writes, ({ address }) => Math.floor(address / pageBytes));
    this.#spans = [...byPage.values()].map((group) => new Span(group));
    this.#local = new FixedBytes(this.#spans.length * vectorBytes);
    this.#remote = new FixedBytes(this.#spans.length * vectorBytes);
    for (const [index, { address, bytes }] of this.#spans.entries()) {
      const at = index * vectorBytes;
      this.#local.buffer.writeBigUInt64LE(BigInt(bytes.address), at);
      this.#remote.buffer.writeBigUInt64LE(BigInt(address), at);
      for (const { buffer } of [this.#local, this.#remote]) buffer.writeUInt32LE(bytes.buffer.length, at + 8);
    }
  }

  /**
   * Has the kernel give the process pages of its own, which it would do in the stop otherwise: one byte of each is written as it is.
   */
  touch(): void {
    const byte = Buffer.alloc(1);
    for (const { address } of this.#spans)
      if (this.#memory.readInto(byte, address) === 1) this.#memory.write(address, byte);
  }

  /** Reads what stands there; answers the first write whose bytes are not as expected. */
  look(): TextWrite | undefined {
    this.#read();
    for (const span of this.#spans) {
      const other = span.firstOther();
      if (other !== undefined) return other;
    }
    return undefined;
  }

  /** Writes what `look` has found as expected; each page at once. */
  write(): void {
    for (const span of this.#spans) {
      span.fill();
      if (span.matching > 0) this.#memory.writeFixed(span.address, span.bytes);
    }
  }

  #read(): void {
    const [single] = this.#spans;
    // The shorter way through the kernel.
    if (this.#spans.length === 1) single?.read(this.#memory);
    else this.#readAtOnce();
  }

  #readAtOnce(): void {
    const { pid } = this.#memory;
    for (let first = 0; first < this.#spans.length; first += maxVectors) {
      const count = Math.min(maxVectors, this.#spans.length - first);
      const at = first * vectorBytes;
      const wanted = this.#bytesOf(first, count);
      if (readVectors(pid, this.#local.address + at, count, this.#remote.address + at, count) === wanted) {
        for (let index = first; index < first + count; index++) (this.#spans[index] as Span).isThere = true;
        continue;
      }
      // Code that may only be executed is not read that way.
      for (let index = first; index < first + count; index++) this.#spans[index]?.read(this.#memory);
    }
  }

  #bytesOf(first: number, count: number): number {
    let total = 0;
    for (let index = first; index < first + count; index++) total += (this.#spans[index] as Span).bytes.buffer.length;
    return total;
  }
}
