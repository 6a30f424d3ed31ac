/**
 * The file that an image of a process was mapped from, where it can still be read and is that very build.
 *
 * Nothing that the engine changes goes by it: it is there to compare with, and for what a file has and memory does not.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { RebootlessError } from "../../base/errors.ts";
import { segmentType } from "../../elf/constants.ts";
import { parseElf, type Segment } from "../../elf/elf-file.ts";
import { buildId, elfNotes } from "../../elf/notes.ts";

export interface MappedImage {
  readonly start: number;
  readonly bias: number;
  readonly segments: readonly Segment[];
  readonly buildId: string | undefined;
  /** As the map names it. */
  readonly path: string;
}

const maxFileBytes = 2 * 1024 * 1024 * 1024 - 1;

/** By the mapping itself, which leads to a deleted file as well, else by its path in the process's own file system; only a file with the very build-id counts. */
export function readImageFile(pid: number, image: MappedImage): Buffer | undefined {
  const range = imageRange(image);
  for (const path of [`/proc/${pid}/map_files/${range}`, `/proc/${pid}/root${image.path}`]) {
    const bytes = readWhole(path);
    if (bytes !== undefined && hasBuildId(bytes, image.buildId)) return bytes;
  }
  return undefined;
}

function imageRange({ start, segments, bias }: MappedImage): string {
  const first = segments.find(({ type, offset }) => type === segmentType.load && offset === 0);
  const end = first === undefined ? start : Math.ceil((bias + first.address + first.fileSize) / 4096) * 4096;
  return `${start.toString(16)}-${end.toString(16)}`;
}

function readWhole(path: string): Buffer | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(path, "r");
  } catch {
    // Gone, replaced, or not ours to read: the caller goes on without it.
    return undefined;
  }
  try {
    const { size } = fstatSync(descriptor);
    if (size > maxFileBytes) return undefined;
    const bytes = Buffer.alloc(size);
    let total = 0;
    for (let count = 1; count > 0 && total < size; total += count)
      count = readSync(descriptor, bytes, total, size - total, total);
    return bytes.subarray(0, total);
  } finally {
    closeSync(descriptor);
  }
}

function hasBuildId(bytes: Buffer, wanted: string | undefined): boolean {
  try {
    return wanted !== undefined && buildId(elfNotes(parseElf(bytes))) === wanted;
  } catch (error) {
    // What took the file's place is no ELF file at all.
    if (error instanceof RebootlessError) return false;
    throw error;
  }
}
