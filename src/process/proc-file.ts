/**
 * Reading files below /proc: bounded, and with the two answers that are no errors there.
 *
 * A process may end at any moment and may belong to somebody else, so "gone" and "not permitted" are values; anything else is an error.
 */
import { closeSync, openSync, readdirSync, readlinkSync, readSync } from "node:fs";

export type Absence = "gone" | "not-permitted";

/** What stands behind an error of /proc; ESRCH comes from files that were open when their process ended. */
export function absenceOf(error: unknown): Absence {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === "ENOENT" || code === "ESRCH" || code === "ENOTDIR" || code === "EINVAL" || code === "EIO") return "gone";
  if (code === "EACCES" || code === "EPERM") return "not-permitted";
  throw error;
}

const chunkBytes = 64 * 1024;

/** At most `maxBytes` of the file's beginning; sizes in /proc say 0, so it reads until there is no more. */
export function readProcBytes(path: string, maxBytes: number): Buffer | Absence {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(path, "r");
    const chunks: Buffer[] = [];
    let total = 0;
    while (total < maxBytes) {
      const chunk = Buffer.allocUnsafe(Math.min(chunkBytes, maxBytes - total));
      const count = readSync(descriptor, chunk, 0, chunk.length, null);
      if (count === 0) break;
      chunks.push(chunk.subarray(0, count));
      total += count;
    }
    return Buffer.concat(chunks);
  } catch (error) {
    return absenceOf(error);
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/** As `readProcBytes`, decoded as UTF-8; `undefined` when the file is gone or not ours to read. */
export function readProcText(path: string, maxBytes: number): string | undefined {
  const bytes = readProcBytes(path, maxBytes);
  return typeof bytes === "string" ? undefined : bytes.toString("utf8");
}

export function readProcLink(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch (error) {
    absenceOf(error);
    return undefined;
  }
}

export function readProcFolder(path: string): string[] | Absence {
  try {
    return readdirSync(path);
  } catch (error) {
    return absenceOf(error);
  }
}
