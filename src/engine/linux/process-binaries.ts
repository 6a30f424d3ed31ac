/**
 * Which ELF binaries a process has mapped, by the build-id: a look that opens nothing but files of /proc and of the process's own file system, and stops nobody.
 *
 * The build-id is that in memory, so that deleted, replaced and containers' files count as what runs; where the memory may not be read, that of the file that is mapped.
 * Files are a stranger's: they are read in bounds, and never waited for.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { RebootlessError } from "../../base/errors.ts";
import { RefusalError } from "../../base/refusal.ts";
import { segmentType } from "../../elf/constants.ts";
import { readSegments } from "../../elf/elf-file.ts";
import { buildId, readNotes } from "../../elf/notes.ts";
import { readProcText } from "../../process/proc-file.ts";
import type { ProcessReference } from "../engine.ts";
import { loadedImages } from "./loaded-image.ts";
import { type Mapping, parseMaps } from "./memory-map.ts";
import { ProcessMemory } from "./process-memory.ts";

export interface MappedBinary {
  /** Hexadecimal. */
  readonly buildId: string;
  /** As the process sees it, in its own mount namespace. */
  readonly path: string;
  /** The file was removed or replaced after it was mapped. */
  readonly deleted: boolean;
}

interface Look {
  readonly map: string;
  readonly binaries: readonly MappedBinary[];
}

const mapsBytes = 64 * 1024 * 1024;
/** Processes of which the last look is remembered; above, the oldest is forgotten. */
const remembered = 8192;
const deletedSuffix = " (deleted)";

export class BinaryLooks {
  readonly #looks = new Map<string, Look>();

  /** Each build-id once, by the address of its first mapping; nothing of a process that has ended or is not ours to look at. */
  of({ pid, startTicks }: ProcessReference): readonly MappedBinary[] {
    const mappings = parseMaps(readProcText(`/proc/${pid}/maps`, mapsBytes) ?? "");
    const key = `${pid}:${startTicks}`;
    // An image begins with the first page of a file; nothing else of the map says what is loaded.
    const beginnings = mappings.filter(({ offset, inode }) => offset === 0 && inode !== 0);
    const map = beginnings.map(({ start, device, inode, name }) => `${start} ${device} ${inode} ${name}`).join("\n");
    const known = this.#looks.get(key);
    if (known?.map === map) return known.binaries;
    const binaries = mappedBinaries(pid, mappings, beginnings);
    this.#looks.delete(key);
    this.#looks.set(key, { map, binaries });
    for (const oldest of this.#looks.keys()) {
      if (this.#looks.size <= remembered) break;
      this.#looks.delete(oldest);
    }
    return binaries;
  }
}

function mappedBinaries(
  pid: number,
  mappings: readonly Mapping[],
  beginnings: readonly Mapping[],
): readonly MappedBinary[] {
  const found = new Map<string, MappedBinary>();
  for (const { buildId, path } of inMemory(pid, mappings) ?? inFiles(pid, beginnings)) {
    // The vdso has a build-id as well; it is the kernel's.
    if (path.startsWith("[") || found.has(buildId)) continue;
    const deleted = path.endsWith(deletedSuffix);
    found.set(buildId, { buildId, path: deleted ? path.slice(0, -deletedSuffix.length) : path, deleted });
  }
  return [...found.values()];
}

interface Named {
  readonly buildId: string;
  readonly path: string;
}

/** Undefined where its memory may not be read. */
function inMemory(pid: number, mappings: readonly Mapping[]): readonly Named[] | undefined {
  let memory: ProcessMemory;
  try {
    memory = new ProcessMemory(pid);
  } catch (error) {
    if (error instanceof RefusalError) return undefined;
    throw error;
  }
  try {
    return loadedImages(memory, mappings).flatMap(({ buildId, path }) =>
      buildId === undefined ? [] : [{ buildId, path }],
    );
  } finally {
    memory.close();
  }
}

function inFiles(pid: number, beginnings: readonly Mapping[]): readonly Named[] {
  const paths = new Set(beginnings.map(({ name }) => name).filter((name) => name.startsWith("/")));
  return [...paths].flatMap((path) => {
    const buildId = path.endsWith(deletedSuffix) ? undefined : buildIdOfFile(`/proc/${pid}/root${path}`);
    return buildId === undefined ? [] : [{ buildId, path }];
  });
}

/** Linkers put notes behind the program headers. */
const beginningBytes = 64 * 1024;

function buildIdOfFile(file: string): string | undefined {
  const bytes = beginningOf(file);
  try {
    if (bytes === undefined) return undefined;
    for (const { type, offset, fileSize, align } of readSegments(bytes)) {
      if (type !== segmentType.note || offset + fileSize > bytes.length) continue;
      const found = buildId(readNotes(bytes.subarray(offset, offset + fileSize), align));
      if (found !== undefined) return found;
    }
    return undefined;
  } catch (error) {
    // No ELF file, or a damaged one.
    if (error instanceof RebootlessError && error.kind === "input") return undefined;
    throw error;
  }
}

function beginningOf(file: string): Buffer | undefined {
  let descriptor: number | undefined;
  try {
    // A pipe that took the file's place is not waited for.
    descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
    if (!fstatSync(descriptor).isFile()) return undefined;
    const bytes = Buffer.alloc(beginningBytes);
    return bytes.subarray(0, readSync(descriptor, bytes, 0, bytes.length, 0));
  } catch {
    // Gone, or not ours to read: nothing is known of it.
    return undefined;
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}
