/** The memory map of a process: /proc/PID/maps (proc(5)) as values, and gaps in it. Pure. */

export interface Mapping {
  readonly start: number;
  readonly end: number;
  /** Such as `r-xp`. */
  readonly permissions: string;
  readonly offset: number;
  readonly device: string;
  readonly inode: number;
  /** A path, a name in brackets, or empty; a line feed in a path is `\012`. */
  readonly name: string;
}

/** Ranges beyond user space (the vsyscall page) are left out: nothing can be read or put there. */
export function parseMaps(text: string): Mapping[] {
  const mappings: Mapping[] = [];
  for (const line of text.split("\n")) {
    const match = /^([0-9a-f]+)-([0-9a-f]+) ([rwxsp-]{4}) ([0-9a-f]+) ([0-9a-f]+:[0-9a-f]+) (\d+) *(.*)$/.exec(line);
    if (match === null) continue;
    const [, start = "", end = "", permissions = "", offset = "", device = "", inode = "", name = ""] = match;
    const mapping = {
      start: Number.parseInt(start, 16),
      end: Number.parseInt(end, 16),
      permissions,
      offset: Number.parseInt(offset, 16),
      device,
      inode: Number(inode),
      name,
    };
    if (mapping.start < mapping.end && mapping.end <= userEnd) mappings.push(mapping);
  }
  return mappings;
}

/** The end of user space with four levels of page tables (psABI §3.3.3). */
const userEnd = 2 ** 47;
/** Below it the kernel maps nothing without a privilege (vm.mmap_min_addr is 64 KiB, and is left a wide margin). */
const userStart = 0x10_0000;
export const pageBytes = 4096;

export function pageUp(sizeBytes: number): number {
  return Math.ceil(sizeBytes / pageBytes) * pageBytes;
}

export function mappingAt(mappings: readonly Mapping[], address: number): Mapping | undefined {
  let low = 0;
  let high = mappings.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const mapping = mappings[middle] as Mapping;
    if (address < mapping.start) high = middle - 1;
    else if (address >= mapping.end) low = middle + 1;
    else return mapping;
  }
  return undefined;
}

export interface Span {
  readonly start: number;
  readonly end: number;
}

/** Stacks grow down into what is free below them, and the heap up into what is above, so patch memory keeps away from both. */
const stackRoomBytes = 64 * 1024 * 1024;
const heapRoomBytes = 1024 * 1024 * 1024;
/** The dynamic linker may map the next library directly beside one; a distance keeps the two from being merged or mistaken. */
const marginBytes = 64 * 1024;
/** A displacement of 32 bits reaches this far; a little is kept for what lies inside of the ends. */
const reachBytes = 2 ** 31 - 1024 * 1024;

/**
 * Where `sizeBytes` can be mapped so that every byte of it is within reach of every byte of each span, nearest to the first one; undefined when nowhere.
 */
export function findGap(mappings: readonly Mapping[], sizeBytes: number, spans: readonly Span[]): number | undefined {
  const lowest = Math.max(userStart, ...spans.map(({ end }) => end - reachBytes));
  const highest = Math.min(userEnd - pageBytes, ...spans.map(({ start }) => start + reachBytes)) - sizeBytes;
  const wish = spans[0]?.start ?? userEnd;
  let best: number | undefined;
  let previousEnd = userStart;
  let previousName = "";
  for (const next of [...mappings, { start: userEnd, end: userEnd, name: "" }]) {
    const from = previousEnd + (previousName === "[heap]" ? heapRoomBytes : marginBytes);
    const to = next.start - (next.name === "[stack]" ? stackRoomBytes : marginBytes) - sizeBytes;
    previousEnd = next.end;
    previousName = next.name;
    const low = Math.ceil(Math.max(from, lowest) / pageBytes) * pageBytes;
    const high = Math.floor(Math.min(to, highest) / pageBytes) * pageBytes;
    if (low > high) continue;
    const candidate = Math.min(Math.max(wish, low), high);
    const at = Math.floor(candidate / pageBytes) * pageBytes;
    if (best === undefined || Math.abs(at - wish) < Math.abs(best - wish)) best = at;
  }
  return best;
}
