/**
 * A reader of little-endian values that never leaves the bytes it was given.
 *
 * Numbers are JavaScript numbers throughout: user-space addresses stay below 2^47, and offsets and sizes below the length of a file.
 * A 64-bit value that a number cannot hold exactly is an error, never a rounded value; `raw64` gives those who need the bits a bigint.
 * Invariant: reading throws nothing but RebootlessError, and allocates nothing whose size was not checked against the bytes.
 */
import { type ErrorCode, RebootlessError } from "../base/errors.ts";

/** User-space addresses on x86-64 with four-level page tables lie below this one (psABI §3.3.3). */
export const addressLimit = 2 ** 47;

const two32 = 2 ** 32;
const maxLebBytes = 10;

export class Cursor {
  readonly bytes: Uint8Array;
  /** What the bytes are, for messages, such as "section .eh_frame". */
  readonly what: string;
  readonly end: number;
  #offset: number;
  readonly #view: DataView;

  /** `offset` and `end` are positions in `bytes`; the cursor stays between 0 and `end`. */
  constructor(bytes: Uint8Array, what: string, offset = 0, end: number = bytes.length) {
    this.bytes = bytes;
    this.what = what;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#offset = 0;
    this.end = bytes.length;
    if (!(Number.isInteger(end) && end >= 0 && end <= bytes.length))
      this.fail("binary/out-of-bounds", `ends at ${end}`);
    this.end = end;
    this.seek(offset);
  }

  get offset(): number {
    return this.#offset;
  }

  get remaining(): number {
    return this.end - this.#offset;
  }

  get atEnd(): boolean {
    return this.#offset >= this.end;
  }

  seek(offset: number): this {
    if (!(Number.isInteger(offset) && offset >= 0 && offset <= this.end)) {
      this.fail("binary/out-of-bounds", `points to ${offset}`);
    }
    this.#offset = offset;
    return this;
  }

  skip(sizeBytes: number): this {
    return this.seek(this.#offset + sizeBytes);
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  i8(): number {
    return this.#view.getInt8(this.#take(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }

  i16(): number {
    return this.#view.getInt16(this.#take(2), true);
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  i32(): number {
    return this.#view.getInt32(this.#take(4), true);
  }

  /** From 0 to 2^53 − 1; more is `binary/number`. */
  u64(): number {
    const at = this.#take(8);
    return this.#exact(this.#view.getUint32(at, true) + this.#view.getUint32(at + 4, true) * two32, at);
  }

  /** From −2^53 + 1 to 2^53 − 1; more is `binary/number`. */
  i64(): number {
    const at = this.#take(8);
    return this.#exact(this.#view.getUint32(at, true) + this.#view.getInt32(at + 4, true) * two32, at);
  }

  /** All 64 bits, unsigned. */
  raw64(): bigint {
    return this.#view.getBigUint64(this.#take(8), true);
  }

  /** Unsigned LEB128 (DWARF 5 §7.6) of at most ten bytes. */
  uleb128(): number {
    return this.#leb128(false);
  }

  /** Signed LEB128 (DWARF 5 §7.6) of at most ten bytes. */
  sleb128(): number {
    return this.#leb128(true);
  }

  /** A view, not a copy. */
  take(sizeBytes: number): Uint8Array {
    const at = this.#take(sizeBytes);
    return this.bytes.subarray(at, at + sizeBytes);
  }

  /** A NUL-terminated string, one UTF-16 unit a byte, so that any bytes survive; the NUL is consumed. */
  cstring(maxBytes = 65_536): string {
    const start = this.#offset;
    const end = nulAfter(this.bytes, start, Math.min(this.end, start + maxBytes));
    if (end < 0) this.fail("binary/string", "holds a string without an end");
    this.#offset = end + 1;
    return byteString(this.bytes, start, end);
  }

  fail(code: ErrorCode, problem: string): never {
    throw new RebootlessError(code, `${this.what} ${problem} at offset ${this.#offset} of ${this.end}`, {
      details: { what: this.what, offset: this.#offset },
    });
  }

  #take(sizeBytes: number): number {
    const at = this.#offset;
    if (!(sizeBytes >= 0 && sizeBytes <= this.end - at)) {
      this.fail("binary/out-of-bounds", `ends within a field of ${sizeBytes} bytes`);
    }
    this.#offset = at + sizeBytes;
    return at;
  }

  #exact(value: number, at: number): number {
    if (Number.isSafeInteger(value)) return value;
    this.#offset = at;
    return this.fail("binary/number", "holds a number beyond 2^53");
  }

  #leb128(signed: boolean): number {
    const at = this.#offset;
    let value = 0;
    for (let index = 0; index < 7; index += 1) {
      const byte = this.u8();
      value += (byte & 0x7f) * 2 ** (7 * index);
      if (byte < 0x80) return signed && (byte & 0x40) !== 0 ? value - 2 ** (7 * index + 7) : value;
    }
    this.#offset = at;
    return this.#longLeb128(signed);
  }

  /** Eight to ten bytes: more than the mantissa of a number holds, though the value may fit when it is padded or negative. */
  #longLeb128(signed: boolean): number {
    const at = this.#offset;
    let value = 0n;
    for (let index = 0; index < maxLebBytes; index += 1) {
      const byte = this.u8();
      value |= BigInt(byte & 0x7f) << BigInt(7 * index);
      if (byte >= 0x80) continue;
      if (signed && (byte & 0x40) !== 0) value -= 1n << BigInt(7 * index + 7);
      return this.#exact(Number(value), at);
    }
    this.#offset = at;
    return this.fail("binary/number", "holds a LEB128 number of more than ten bytes");
  }
}

/** The position of the first NUL from `start` on and before `end`, or −1. */
function nulAfter(bytes: Uint8Array, start: number, end: number): number {
  const at = bytes.indexOf(0, start);
  return at < 0 || at >= end ? -1 : at;
}

/** Bytes as a string with one UTF-16 unit a byte; names of ELF files are bytes, and compare as such. */
export function byteString(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString("latin1");
}

/**
 * The NUL-terminated string at `offset`, as the string tables of the gABI hold them.
 *
 * Throws `binary/string` where there is no such string within `maxBytes`.
 */
export function stringAt(bytes: Uint8Array, offset: number, what: string, maxBytes = 65_536): string {
  const end =
    offset >= 0 && offset < bytes.length ? nulAfter(bytes, offset, Math.min(bytes.length, offset + maxBytes)) : -1;
  if (end < 0) {
    throw new RebootlessError("binary/string", `${what} has no string at offset ${offset}`, {
      details: { what, offset },
    });
  }
  return byteString(bytes, offset, end);
}
