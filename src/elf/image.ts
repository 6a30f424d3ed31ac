/**
 * A loaded object by link-time addresses, wherever its bytes come from: the file's PT_LOAD segments, or memory.
 *
 * What the dynamic linker reads (dynamic section, symbols, hashes, versions) is parsed through this, so that it works without section headers.
 */

import { segmentType } from "./constants.ts";
import { damaged } from "./damaged.ts";
import { type ElfFile, readSegments, type Segment } from "./elf-file.ts";

export interface Image {
  readonly segments: readonly Segment[];
  /** What the dynamic linker has added to the pointers in the dynamic section: 0 for a file. */
  readonly loadBias: number;
  /** `size` bytes at a link-time address, without a copy where that can be. Throws `elf/damaged` if they are not there. */
  bytesAt(address: number, size: number): Uint8Array;
  /** All bytes from a link-time address to the end of what is contiguous there; what has no length of its own is read from these. */
  bytesFrom(address: number): Uint8Array;
}

function loads(segments: readonly Segment[]): Segment[] {
  return segments.filter((segment) => segment.type === segmentType.load);
}

function partOf(available: Uint8Array, address: number, size: number): Uint8Array {
  if (size > available.length) damaged(`${size} bytes at address 0x${address.toString(16)} are not in the image`);
  return available.subarray(0, size);
}

/** The image that PT_LOAD makes of a file; what has no bytes in the file (.bss) is not in it. */
export function fileImage(elf: ElfFile): Image {
  const parts = loads(elf.segments);
  const bytesFrom = (address: number): Uint8Array => {
    const found = parts.find((part) => address >= part.address && address < part.address + part.fileSize);
    if (found === undefined) damaged(`address 0x${address.toString(16)} is in no segment of the file`);
    const start = found.offset + (address - found.address);
    const end = found.offset + found.fileSize;
    if (end > elf.bytes.length) damaged(`segment ${found.index} ends beyond the file`);
    return elf.bytes.subarray(start, end);
  };
  return {
    segments: elf.segments,
    loadBias: 0,
    bytesFrom,
    bytesAt: (address, size) => partOf(size === 0 ? new Uint8Array(0) : bytesFrom(address), address, size),
  };
}

/**
 * An object in memory: `bytes` were read from `start`, where its ELF header is mapped.
 *
 * Segments are found from the header; the bytes must reach to the end of the last segment that will be asked for.
 */
export function memoryImage(bytes: Uint8Array, start: number): Image {
  const segments = readSegments(bytes);
  const [first] = loads(segments).sort((one, other) => one.address - other.address);
  if (first === undefined) damaged("the image in memory has no PT_LOAD segment");
  const linkStart = first.address - first.offset;
  const bytesFrom = (address: number): Uint8Array => {
    const at = address - linkStart;
    if (!(at >= 0 && at < bytes.length)) damaged(`address 0x${address.toString(16)} is not in the image`);
    return bytes.subarray(at);
  };
  return {
    segments,
    loadBias: start - linkStart,
    bytesFrom,
    bytesAt: (address, size) => partOf(size === 0 ? new Uint8Array(0) : bytesFrom(address), address, size),
  };
}
