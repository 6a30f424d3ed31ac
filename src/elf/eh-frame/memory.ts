/** Memory of a thread that is unwound: words at addresses, NaN where there is none. */

export interface Memory {
  /**
   * The 64-bit little-endian word at an address, as a number.
   *
   * NaN where it cannot be read, where the address is none, and for values from 2^53 on, which no address is.
   */
  readWord(address: number): number;
}

const two32 = 2 ** 32;
/** Of the high half of a word: beyond it the word is no exact number. */
const highLimit = 2 ** 21;

/** A part of memory that was read in one go, such as the top of a stack; what is not in it is asked of `beyond`. */
export class MemorySnapshot implements Memory {
  readonly #view: DataView;
  readonly #start: number;
  readonly #last: number;
  readonly #beyond: Memory | undefined;

  constructor(bytes: Uint8Array, start: number, beyond?: Memory) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#start = start;
    this.#last = bytes.length - 8;
    this.#beyond = beyond;
  }

  readWord(address: number): number {
    const at = address - this.#start;
    if (!(at >= 0 && at <= this.#last)) return this.#beyond === undefined ? Number.NaN : this.#beyond.readWord(address);
    const high = this.#view.getUint32(at + 4, true);
    return high < highLimit ? this.#view.getUint32(at, true) + high * two32 : Number.NaN;
  }
}
