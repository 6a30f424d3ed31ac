/**
 * The two hash tables over dynamic symbols: DT_HASH (gABI chapter 5, "Hash Table") and DT_GNU_HASH (glibc, binutils).
 *
 * They are walked in place; a chain ends at the end of its table at the latest.
 */
import { Cursor } from "../binary/cursor.ts";
import { damaged } from "./damaged.ts";

export interface GnuHash {
  readonly firstSymbol: number;
  readonly bloomShift: number;
  /** Pairs of 32-bit words, low half first. */
  readonly bloom: Uint32Array;
  readonly buckets: Uint32Array;
  /** One word a symbol from `firstSymbol` on, and whatever else is behind the table. */
  readonly chains: DataView;
}

export interface SysvHash {
  readonly chainCount: number;
  readonly buckets: Uint32Array;
  readonly chains: Uint32Array;
}

export interface HashTables {
  readonly gnu?: GnuHash;
  readonly sysv?: SysvHash;
}

function words(cursor: Cursor, count: number): Uint32Array {
  const bytes = cursor.take(count * 4);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Uint32Array.from({ length: count }, (_, index) => view.getUint32(index * 4, true));
}

/** `bytes` begin at the table and may go on behind it. Throws `binary/out-of-bounds` or `elf/damaged`. */
export function readGnuHash(bytes: Uint8Array): GnuHash {
  const cursor = new Cursor(bytes, "DT_GNU_HASH");
  const bucketCount = cursor.u32();
  const firstSymbol = cursor.u32();
  const bloomCount = cursor.u32();
  const bloomShift = cursor.u32();
  if (bloomCount === 0 || (bloomCount & (bloomCount - 1)) !== 0) damaged(`DT_GNU_HASH has ${bloomCount} bloom words`);
  const bloom = words(cursor, bloomCount * 2);
  const buckets = words(cursor, bucketCount);
  const rest = cursor.take(cursor.remaining - (cursor.remaining % 4));
  return {
    firstSymbol,
    bloomShift: bloomShift & 31,
    bloom,
    buckets,
    chains: new DataView(rest.buffer, rest.byteOffset, rest.byteLength),
  };
}

export function readSysvHash(bytes: Uint8Array): SysvHash {
  const cursor = new Cursor(bytes, "DT_HASH");
  const bucketCount = cursor.u32();
  const chainCount = cursor.u32();
  return { chainCount, buckets: words(cursor, bucketCount), chains: words(cursor, chainCount) };
}

/** The hash of DT_GNU_HASH: Bernstein's, over the bytes of the name. */
export function gnuHash(name: string): number {
  let hash = 5381;
  for (let index = 0; index < name.length; index += 1) hash = (Math.imul(hash, 33) + name.charCodeAt(index)) >>> 0;
  return hash;
}

/** The hash of DT_HASH and of version names (gABI figure 5-13). */
export function sysvHash(name: string): number {
  let hash = 0;
  for (let index = 0; index < name.length; index += 1) {
    hash = ((hash << 4) + name.charCodeAt(index)) >>> 0;
    hash = ((hash ^ ((hash >>> 24) & 0xf0)) & 0x0fffffff) >>> 0;
  }
  return hash;
}

function chainWord(table: GnuHash, symbol: number): number | undefined {
  const at = (symbol - table.firstSymbol) * 4;
  return at >= 0 && at + 4 <= table.chains.byteLength ? table.chains.getUint32(at, true) : undefined;
}

/** Symbols that may have this hash, in the order in which the dynamic linker meets them. */
export function* gnuHashCandidates(table: GnuHash, hash: number): Generator<number> {
  const word = (Math.floor(hash / 64) & (table.bloom.length / 2 - 1)) * 2;
  const bit = (position: number) => ((table.bloom[word + (position >>> 5)] ?? 0) >>> (position & 31)) & 1;
  if (table.buckets.length === 0 || !(bit(hash & 63) && bit((hash >>> table.bloomShift) & 63))) return;
  let symbol = table.buckets[hash % table.buckets.length] ?? 0;
  if (symbol === 0) return;
  for (;;) {
    const value = chainWord(table, symbol);
    if (value === undefined) return;
    if ((value ^ hash) >>> 1 === 0) yield symbol;
    if ((value & 1) !== 0) return;
    symbol += 1;
  }
}

export function* sysvHashCandidates(table: SysvHash, hash: number): Generator<number> {
  if (table.buckets.length === 0) return;
  let symbol = table.buckets[hash % table.buckets.length] ?? 0;
  // A chain has at most as many links as there are entries; a longer one goes in a circle.
  for (let links = 0; symbol !== 0 && links < table.chains.length; links += 1) {
    yield symbol;
    symbol = table.chains[symbol] ?? 0;
  }
}

/** One more than the last symbol of the last chain; symbols before the first hashed one count. */
export function gnuHashSymbolCount(table: GnuHash): number {
  let last = 0;
  for (const bucket of table.buckets) if (bucket > last) last = bucket;
  if (last < table.firstSymbol) return table.firstSymbol;
  for (;;) {
    const value = chainWord(table, last);
    if (value === undefined) return damaged("a chain of DT_GNU_HASH has no end");
    last += 1;
    if ((value & 1) !== 0) return last;
  }
}
