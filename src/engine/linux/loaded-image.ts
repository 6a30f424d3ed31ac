/**
 * The ELF images of a process as they are in its memory: found by their headers, named by their build-id, read without their files.
 *
 * Files may be deleted, replaced, or of another mount namespace; what runs is what is mapped.
 */
import { RebootlessError } from "../../base/errors.ts";
import { segmentFlag, segmentType } from "../../elf/constants.ts";
import { type DynamicObject, readDynamic } from "../../elf/dynamic.ts";
import { fileUnwindTable, imageUnwindTable } from "../../elf/eh-frame/unwind-information.ts";
import type { UnwindTable } from "../../elf/eh-frame/unwind-table.ts";
import { parseElf, readSegments, type Segment } from "../../elf/elf-file.ts";
import { type Image, memoryImage } from "../../elf/image.ts";
import { buildId, readNotes } from "../../elf/notes.ts";
import { readImageFile } from "./image-file.ts";
import { type Mapping, mappingAt, pageBytes } from "./memory-map.ts";
import type { ProcessMemory } from "./process-memory.ts";

/** More would be no library, but a mistake. */
const maxImageBytes = 2 * 1024 * 1024 * 1024;

export class LoadedImage {
  readonly start: number;
  readonly end: number;
  /** What is added to link-time addresses. */
  readonly bias: number;
  readonly segments: readonly Segment[];
  readonly buildId: string | undefined;
  /** As the map names it. */
  readonly path: string;
  readonly #memory: ProcessMemory;
  #image: Image | undefined;
  #dynamic: DynamicObject | undefined;
  #unwindTable: UnwindTable | undefined | "none";

  constructor(memory: ProcessMemory, start: number, segments: readonly Segment[], path: string) {
    const loads = segments.filter(({ type }) => type === segmentType.load);
    const first = Math.min(...loads.map(({ address, offset }) => address - offset));
    this.#memory = memory;
    this.start = start;
    this.bias = start - first;
    this.end = this.bias + Math.max(...loads.map(({ address, memorySize }) => address + memorySize));
    this.segments = segments;
    this.path = path;
    this.buildId = this.#readBuildId();
  }

  /** Read once; what the program changes afterwards is not seen in it. Undefined where nothing is mapped any more: the library was unloaded since it was found, or the process has ended. */
  get image(): Image | undefined {
    if (this.#image === undefined) {
      const sizeBytes = this.end - this.start;
      if (sizeBytes > maxImageBytes)
        throw new RebootlessError("elf/damaged", `${this.path} spans ${sizeBytes} bytes of memory.`);
      const bytes = Buffer.alloc(sizeBytes);
      let found = 0;
      for (const { type, address, memorySize } of this.segments) {
        if (type !== segmentType.load) continue;
        const from = this.bias + address;
        found += this.#memory.readInto(bytes.subarray(from - this.start, from - this.start + memorySize), from);
      }
      if (found === 0) return undefined;
      this.#image = memoryImage(bytes, this.start);
    }
    return this.#image;
  }

  /** Undefined for a static program, and where `image` is. */
  get dynamic(): DynamicObject | undefined {
    const { image } = this;
    this.#dynamic ??= image && readDynamic(image);
    return this.#dynamic;
  }

  get unwindTable(): UnwindTable | undefined {
    this.#unwindTable ??= this.#readUnwindTable() ?? "none";
    return this.#unwindTable === "none" ? undefined : this.#unwindTable;
  }

  /** Whether an address of the process lies in an executable segment. */
  hasCode(address: number): boolean {
    return this.segments.some(
      ({ type, flags, address: at, memorySize }) =>
        type === segmentType.load &&
        (flags & 1) !== 0 &&
        address - this.bias >= at &&
        address - this.bias < at + memorySize,
    );
  }

  /** A static program has .eh_frame without the search table that would lead to it; its file's sections do. */
  #readUnwindTable(): UnwindTable | undefined {
    try {
      const { image } = this;
      const table = image && imageUnwindTable(image);
      if (table !== undefined) return table;
      const file = readImageFile(this.#memory.pid, this);
      return file === undefined ? undefined : fileUnwindTable(parseElf(file));
    } catch (error) {
      // Damaged information is none: the conservative look at the stack decides then.
      if (error instanceof RebootlessError && error.kind === "input") return undefined;
      throw error;
    }
  }

  #readBuildId(): string | undefined {
    for (const { type, address, fileSize, align } of this.segments) {
      if (type !== segmentType.note || fileSize === 0 || fileSize > pageBytes * 16) continue;
      const found = buildIdIn(this.#memory.readSome(this.bias + address, fileSize), align);
      if (found !== undefined) return found;
    }
    return undefined;
  }
}

function buildIdIn(bytes: Uint8Array, align: number): string | undefined {
  try {
    return buildId(readNotes(bytes, align));
  } catch (error) {
    // A program may have overwritten its own notes; it has no build-id then.
    if (error instanceof RebootlessError && error.kind === "input") return undefined;
    throw error;
  }
}

const elfMagic = 0x464c457f;

/** In order of their addresses. */
export function loadedImages(memory: ProcessMemory, mappings: readonly Mapping[]): LoadedImage[] {
  const images: LoadedImage[] = [];
  let previousEnd = 0;
  for (const { start, permissions, offset, name } of mappings) {
    if (start < previousEnd || offset !== 0 || !permissions.startsWith("r") || permissions.endsWith("s")) continue;
    const header = memory.readSome(start, pageBytes);
    if (header.length < 64 || header.readUInt32LE(0) !== elfMagic || !isLoadable(header)) continue;
    const segments = segmentsOf(header);
    if (segments === undefined || !segments.some(({ type }) => type === segmentType.load)) continue;
    const image = new LoadedImage(memory, start, segments, name);
    if (!(image.end > start) || isReadAsData(image, mappings)) continue;
    images.push(image);
    previousEnd = image.end;
  }
  return images;
}

/** A program may have mapped a file of code to read its symbols; that copy does not run. */
function isReadAsData({ segments, bias }: LoadedImage, mappings: readonly Mapping[]): boolean {
  const code = segments.filter(({ type, flags }) => type === segmentType.load && (flags & segmentFlag.execute) !== 0);
  return code.length > 0 && !code.some(({ address }) => mappingAt(mappings, bias + address)?.permissions[2] === "x");
}

/** ELF64, little-endian, ET_EXEC or ET_DYN, x86-64 (gABI figure 4-3). */
function isLoadable(header: Buffer): boolean {
  const type = header.readUInt16LE(16);
  return header[4] === 2 && header[5] === 1 && (type === 2 || type === 3) && header.readUInt16LE(18) === 62;
}

function segmentsOf(header: Buffer): Segment[] | undefined {
  try {
    return readSegments(header);
  } catch (error) {
    // A file that is mapped as data may begin like an ELF file and be cut.
    if (error instanceof RebootlessError) return undefined;
    throw error;
  }
}
