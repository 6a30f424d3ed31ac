/** Numbers that look random and are the same for the same seed: a failure is found again by its seed alone. */

export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = (seed ^ 0x9e3779b9) >>> 0;
    for (let turn = 0; turn < 4; turn++) this.#next();
  }

  /** A whole number of at least 0 and below `limit`. */
  below(limit: number): number {
    return Math.floor((this.#next() / 2 ** 32) * limit);
  }

  /** True once in `times`. */
  oneIn(times: number): boolean {
    return this.below(times) === 0;
  }

  pick<T>(all: readonly T[]): T {
    return all[this.below(all.length)] as T;
  }

  bytes(count: number): Buffer {
    const bytes = Buffer.alloc(count);
    for (let at = 0; at < count; at++) bytes[at] = this.below(256);
    return bytes;
  }

  /** Mulberry32, by Tommy Ettinger (public domain). */
  #next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let value = this.#state;
    value = Math.imul(value ^ (value >>> 15), value | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return (value ^ (value >>> 14)) >>> 0;
  }
}

/** Numbers at which counts, sizes and offsets go wrong. */
export const edges: readonly bigint[] = [
  0n,
  1n,
  2n,
  0x7fn,
  0x80n,
  0xffn,
  0x7fffn,
  0xffffn,
  0x1_0000n,
  0x7fff_ffffn,
  0x8000_0000n,
  0xffff_ffffn,
  1n << 32n,
  1n << 40n,
  (1n << 47n) - 1n,
  1n << 53n,
  (1n << 63n) - 1n,
  1n << 63n,
  (1n << 64n) - 1n,
];

/** Bytes are others, gone, there twice, or exchanged for an edge; nothing is known of what they mean. */
export function damageBlindly(original: Uint8Array, random: Random): Buffer {
  let bytes = Buffer.from(original);
  for (let count = 1 + random.below(8); count > 0 && bytes.length > 0; count--) {
    const at = random.below(random.oneIn(3) ? Math.min(bytes.length, 512) : bytes.length);
    switch (random.below(6)) {
      case 0:
        bytes[at] = random.below(256);
        break;
      case 1:
        bytes[at] = (bytes[at] as number) ^ (1 << random.below(8));
        break;
      case 2: {
        const size = random.pick([1, 2, 4, 8]);
        if (at + size <= bytes.length) writeEdge(bytes, at, size, random);
        break;
      }
      case 3:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + random.below(64))]);
        break;
      case 4:
        bytes = Buffer.concat([bytes.subarray(0, at), random.bytes(1 + random.below(32)), bytes.subarray(at)]);
        break;
      default: {
        const from = random.below(bytes.length);
        bytes.copy(bytes, at, from, from + random.below(64));
      }
    }
  }
  return random.oneIn(8) ? bytes.subarray(0, random.below(bytes.length)) : bytes;
}

/** An edge, or what stands there and a little. */
export function writeEdge(bytes: Buffer, at: number, sizeBytes: number, random: Random): void {
  const limit = (1n << BigInt(sizeBytes * 8)) - 1n;
  let current = 0n;
  for (let index = sizeBytes - 1; index >= 0; index--) current = (current << 8n) | BigInt(bytes[at + index] as number);
  const value = random.oneIn(3) ? current + BigInt(random.below(33) - 16) : random.pick(edges);
  let left = value & limit;
  for (let index = 0; index < sizeBytes; index++) {
    bytes[at + index] = Number(left & 0xffn);
    left >>= 8n;
  }
}
