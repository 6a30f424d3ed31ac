/** Files of the machine to read: a bounded number, of different kinds. */
import { closeSync, openSync, readdirSync, readSync, realpathSync, statSync } from "node:fs";
import { join } from "node:path";

function isElf(path: string): boolean {
  const file = openSync(path, "r");
  try {
    const magic = Buffer.alloc(20);
    return (
      readSync(file, magic, 0, 20, 0) === 20 &&
      magic.readUInt32BE(0) === 0x7f454c46 &&
      magic[4] === 2 &&
      magic[18] === 62
    );
  } finally {
    closeSync(file);
  }
}

/** Every n-th of the 64-bit ELF files in a folder that are not larger than `maxBytes`, in the order of their names. */
export function machineFiles(folder: string, count: number, maxBytes: number): string[] {
  const paths = new Set<string>();
  for (const name of readdirSync(folder).toSorted()) {
    const path = join(folder, name);
    const status = statSync(path, { throwIfNoEntry: false });
    if (status?.isFile() && status.size <= maxBytes && status.size > 64 && isElf(path)) paths.add(realpathSync(path));
  }
  const all = [...paths];
  const step = Math.max(1, all.length / count);
  return Array.from({ length: Math.min(count, all.length) }, (_, index) => all[Math.floor(index * step)]!);
}
