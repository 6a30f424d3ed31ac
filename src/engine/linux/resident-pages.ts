/** Which pages of a process have contents of their own, by /proc/PID/pagemap (Documentation/admin-guide/mm/pagemap.rst: bit 63 present, bit 62 swapped out). */
import { closeSync, openSync, readSync } from "node:fs";
import { pageBytes } from "./memory-map.ts";

export interface Run {
  readonly start: number;
  readonly end: number;
}

const entryBytes = 8;
const entriesAtOnce = 64 * 1024;
const hasContents = 0xc0;

/** Parts of a range that were ever written or read, in the order of their addresses; the whole range where the kernel does not tell. */
export function residentRuns(pid: number, { start, end }: Run): Run[] {
  let descriptor: number;
  try {
    descriptor = openSync(`/proc/${pid}/pagemap`, "r");
  } catch {
    // A kernel without it, or a process that has ended: reading its memory will tell.
    return [{ start, end }];
  }
  try {
    return runsIn(descriptor, start, end);
  } finally {
    closeSync(descriptor);
  }
}

function runsIn(descriptor: number, start: number, end: number): Run[] {
  const runs: Run[] = [];
  const entries = Buffer.alloc(entriesAtOnce * entryBytes);
  let begin: number | undefined;
  for (let at = start; at < end; ) {
    const wanted = Math.min(entriesAtOnce, (end - at) / pageBytes) * entryBytes;
    const count = Math.floor(readSync(descriptor, entries, 0, wanted, (at / pageBytes) * entryBytes) / entryBytes);
    if (count === 0) break;
    for (let index = 0; index < count; index++, at += pageBytes) {
      const isThere = ((entries[index * entryBytes + 7] as number) & hasContents) !== 0;
      if (isThere) begin ??= at;
      else if (begin !== undefined) {
        runs.push({ start: begin, end: at });
        begin = undefined;
      }
    }
  }
  if (begin !== undefined) runs.push({ start: begin, end });
  return runs;
}
