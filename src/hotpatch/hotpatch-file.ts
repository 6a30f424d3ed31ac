/** Hotpatches on disk: read whole within the size limit, written whole or not at all. */

import { readRegularFile, writeFileAtomically } from "../base/stored-file.ts";
import { checkFileSize } from "./container.ts";

/** The bytes of a hotpatch file, its size checked before anything is read. Refuses with `hotpatch/too-large`; throws `input/file-missing` or `input/file-unreadable`. */
export async function readHotpatchFile(file: string): Promise<Buffer> {
  return await readRegularFile(file, { what: "hotpatch", check: (stats) => checkFileSize(stats.size) });
}

/** Writes the bytes of `encodeHotpatch`, replacing a file of that name. Throws `failure/file-write`. */
export async function writeHotpatchFile(file: string, bytes: Uint8Array): Promise<void> {
  await writeFileAtomically(file, bytes, { mode: 0o644, replace: true });
}
