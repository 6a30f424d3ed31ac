/**
 * Reading and writing of whole files for keys and hotpatches.
 *
 * What is read is a regular file whose kind, size and mode are checked on the open descriptor, so that nothing can be swapped in between.
 * What is written appears whole or not at all: a temporary file beside it, synced, then linked or renamed into place.
 */
import { randomBytes } from "node:crypto";
import { constants, existsSync, type Stats } from "node:fs";
import { type FileHandle, link, mkdir, open, rename, stat, unlink } from "node:fs/promises";
import path from "node:path";
import { RebootlessError } from "./errors.ts";
import { quoted } from "./printable.ts";
import { RefusalError } from "./refusal.ts";

export interface ReadOptions {
  /** What the file is, for messages: `hotpatch`, `public key`. */
  readonly what: string;
  /** Called with the descriptor's own metadata before a byte is read; throws to decline. */
  check?(stats: Stats): void;
}

/** The bytes of a regular file. Throws `input/file-missing` or `input/file-unreadable`, and whatever `check` throws. */
export async function readRegularFile(file: string, options: ReadOptions): Promise<Buffer> {
  let handle: FileHandle;
  try {
    // O_NONBLOCK keeps a named pipe without a writer from holding the open up; it changes nothing for a regular file.
    handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch (error) {
    throw unreadable(file, options.what, error);
  }
  try {
    const stats = await handle.stat();
    if (!stats.isFile()) {
      throw new RebootlessError(
        "input/file-unreadable",
        `${quoted(file)} is not a regular file; give the path of a ${options.what} file.`,
      );
    }
    options.check?.(stats);
    return await readExactly(handle, { file, sizeBytes: stats.size });
  } finally {
    await handle.close();
  }
}

async function readExactly(handle: FileHandle, expected: { file: string; sizeBytes: number }): Promise<Buffer> {
  const bytes = Buffer.alloc(expected.sizeBytes);
  let offset = 0;
  while (offset < bytes.length) {
    const { bytesRead } = await handle.read(bytes, offset, bytes.length - offset, offset);
    if (bytesRead === 0) {
      throw changing(expected.file);
    }
    offset += bytesRead;
  }
  const beyond = await handle.read(Buffer.alloc(1), 0, 1, offset);
  if (beyond.bytesRead !== 0) {
    throw changing(expected.file);
  }
  return bytes;
}

function changing(file: string): RebootlessError {
  return new RebootlessError(
    "input/file-unreadable",
    `${quoted(file)} changed while it was read; try again when its writer is done.`,
  );
}

function unreadable(file: string, what: string, cause: unknown): RebootlessError {
  const code = errnoOf(cause);
  if (code === "ENOENT" || code === "ENOTDIR") {
    return new RebootlessError("input/file-missing", `There is no ${what} file ${quoted(file)}.`, {
      cause,
      details: { file },
    });
  }
  const why = code === "EACCES" || code === "EPERM" ? "you may not read it" : (code ?? "unknown error");
  return new RebootlessError("input/file-unreadable", `The ${what} file ${quoted(file)} cannot be read: ${why}.`, {
    cause,
    details: { file },
  });
}

export interface WriteOptions {
  /** Permission bits, set whatever the umask is. */
  readonly mode: number;
  /** With `false`, a file that is there already stays as it is and `key/exists` is thrown. */
  readonly replace: boolean;
}

/** The whole, or its pieces as they come. */
type Contents = Uint8Array | string | AsyncIterable<string>;

/** Writes a file in one step that other processes see. Throws `failure/file-write`, `key/exists` when it must not replace, or what its pieces throw. */
export async function writeFileAtomically(file: string, bytes: Contents, options: WriteOptions): Promise<void> {
  const folder = path.dirname(file);
  const temporary = path.join(folder, `.${path.basename(file)}.${randomBytes(6).toString("hex")}.tmp`);
  try {
    await writeSynced(temporary, bytes, options.mode);
    try {
      if (options.replace) {
        await rename(temporary, file);
      } else {
        // link(2) fails when the name exists; rename(2) would replace a key that appeared a moment ago.
        await link(temporary, file);
      }
    } finally {
      await removeIfPresent(temporary);
    }
    await syncFolder(folder);
  } catch (error) {
    if (error instanceof RebootlessError || error instanceof RefusalError) throw error;
    if (errnoOf(error) === "EEXIST") {
      throw new RebootlessError(
        "key/exists",
        `${quoted(file)} exists already and is never overwritten; choose another name.`,
        { cause: error },
      );
    }
    throw new RebootlessError(
      "failure/file-write",
      `${quoted(file)} could not be written: ${errnoOf(error) ?? "unknown error"}.`,
      { cause: error },
    );
  }
}

async function writeSynced(file: string, bytes: Contents, mode: number): Promise<void> {
  const handle = await open(file, "wx", 0o600);
  try {
    await handle.writeFile(bytes);
    await handle.chmod(mode);
    await handle.sync();
  } catch (error) {
    await removeIfPresent(file);
    throw error;
  } finally {
    await handle.close();
  }
}

async function removeIfPresent(file: string): Promise<void> {
  try {
    await unlink(file);
  } catch (error) {
    // After a rename the temporary name is gone, which is what is wanted.
    if (errnoOf(error) !== "ENOENT") {
      throw error;
    }
  }
}

/** A new name in a folder survives a power cut only once the folder itself is synced (fsync(2)). */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

/** Creates a folder and those above it, when missing. Throws `failure/file-write`. */
export async function createFolder(folder: string, mode: number): Promise<void> {
  try {
    // One by one: with `recursive`, Node.js tries for ever where a folder such as /proc takes no other.
    const missing: string[] = [];
    for (let current = path.resolve(folder); !existsSync(current); current = path.dirname(current))
      missing.push(current);
    for (const one of missing.reverse()) await mkdir(one, { mode }).catch(unlessThere);
    if (!(await stat(folder)).isDirectory()) throw new Error(`${folder} is no folder`);
  } catch (error) {
    throw new RebootlessError(
      "failure/file-write",
      `The folder ${quoted(folder)} cannot be made (${errnoOf(error) ?? "it is a file"}); check its parent's permissions.`,
      { cause: error },
    );
  }
}

/** Another process may have made it meanwhile. */
function unlessThere(error: NodeJS.ErrnoException): void {
  if (error.code !== "EEXIST") throw error;
}
