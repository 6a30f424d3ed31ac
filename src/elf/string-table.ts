/**
 * A string table (gABI chapter 4, "String Table"): names by their offset.
 *
 * Names may share bytes, so that a small file could ask for gigabytes of strings; the sum of all distinct ones is limited instead.
 */
import { stringAt } from "../binary/cursor.ts";
import { damaged } from "./damaged.ts";

/** How many times the bytes of a table may be read as parts of different names; linkers share tails, but not that often. */
const maxReuse = 16;

export class StringTable {
  readonly bytes: Uint8Array;
  readonly what: string;
  readonly #names = new Map<number, string>();
  #left: number;

  constructor(bytes: Uint8Array, what: string) {
    this.bytes = bytes;
    this.what = what;
    this.#left = bytes.length * maxReuse;
  }

  /** The string at this offset, one UTF-16 unit a byte. Throws `binary/string` or `elf/damaged`. */
  at(offset: number): string {
    const known = this.#names.get(offset);
    if (known !== undefined) return known;
    const name = stringAt(this.bytes, offset, this.what);
    this.#left -= name.length + 1;
    if (this.#left < 0) damaged(`${this.what} is used for too many long names`);
    this.#names.set(offset, name);
    return name;
  }
}
