/** .eh_frame_hdr: where .eh_frame is, and a sorted table of functions to search in (LSB 5.0 core §10.6.2). */
import { Cursor } from "../../binary/cursor.ts";
import { readPointer } from "./pointer-encoding.ts";
import { badUnwindInformation } from "./unwind-error.ts";

export interface SearchTable {
  /** The address of .eh_frame. */
  readonly frameAddress: number;
  readonly count: number;
  /** Functions' first addresses, ascending, and the addresses of their FDEs. */
  readonly starts: Float64Array;
  readonly fdes: Float64Array;
}

/** The section's bytes, and its address; the table may be missing, and then has no entries. */
export function readSearchTable(bytes: Uint8Array, address: number): SearchTable {
  const cursor = new Cursor(bytes, ".eh_frame_hdr");
  const bases = { section: address, data: address };
  const version = cursor.u8();
  if (version !== 1) badUnwindInformation(`.eh_frame_hdr has version ${version}`);
  const frameEncoding = cursor.u8();
  const countEncoding = cursor.u8();
  const tableEncoding = cursor.u8();
  const frameAddress = readPointer(cursor, frameEncoding, bases);
  if (frameAddress === undefined) badUnwindInformation(".eh_frame_hdr does not say where .eh_frame is");
  const count = readPointer(cursor, countEncoding, bases) ?? 0;
  // The shortest table entry has two bytes, so a longer count cannot be true.
  if (!(count >= 0 && count * 2 <= cursor.remaining)) badUnwindInformation(`.eh_frame_hdr has ${count} entries`);
  const starts = new Float64Array(count);
  const fdes = new Float64Array(count);
  for (let index = 0; index < count; index += 1) {
    starts[index] = readPointer(cursor, tableEncoding, bases) ?? Number.NaN;
    fdes[index] = readPointer(cursor, tableEncoding, bases) ?? Number.NaN;
    if (index > 0 && !(starts[index]! >= starts[index - 1]!))
      badUnwindInformation("the table of .eh_frame_hdr is not sorted");
  }
  return { frameAddress, count, starts, fdes };
}

/** The index of the last entry that begins at or before `address`, or −1: a binary search. */
export function lastNotAfter(starts: Float64Array, address: number): number {
  let low = 0;
  let high = starts.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (starts[middle]! <= address) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
