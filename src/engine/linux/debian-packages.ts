/**
 * Which Debian package, in which version, a mapped file belongs to: by dpkg's own lists (dpkg(1), FILES: /var/lib/dpkg/info/*.list and status), in the process's own file system.
 *
 * A file that was deleted or replaced has none: what dpkg knows now is not what is mapped.
 * The lists of a container are a stranger's: they are read in bounds, and never waited for.
 */
import { closeSync, constants, fstatSync, openSync, readdirSync, readSync } from "node:fs";
import path from "node:path";
import type { ProcessInfo } from "../../process/process.ts";
import { dpkgPackages } from "./dpkg-status.ts";
import type { MappedBinary } from "./process-binaries.ts";

export interface DebianPackage {
  readonly name: string;
  readonly version: string;
}

interface FileSystem {
  /** Of dpkg's status file: it is replaced whenever a package comes or goes. */
  readonly changed: string;
  readonly owners: Map<string, DebianPackage | undefined>;
}

const statusBytes = 64 * 1024 * 1024;
const listBytes = 8 * 1024 * 1024;
const lists = 20_000;
const fileSystems = 64;
const dpkg = "var/lib/dpkg";

export class DebianPackages {
  /** By mount namespace and root folder. */
  readonly #known = new Map<string, FileSystem>();

  /** By path; a path that no package has is left out. */
  of(info: ProcessInfo, binaries: readonly MappedBinary[]): ReadonlyMap<string, DebianPackage> {
    const paths = binaries.filter((binary) => !binary.deleted && mayBePackaged(binary)).map((binary) => binary.path);
    const root = `/proc/${info.pid}/root`;
    const status = openFile(path.join(root, dpkg, "status"));
    if (status === undefined) return new Map();
    try {
      const { mtimeMs, size, ino } = fstatSync(status);
      const changed = `${ino} ${size} ${mtimeMs}`;
      const { owners } = this.#fileSystem(`${info.namespaces.mount} ${info.root}`, changed);
      const unknown = paths.filter((file) => !owners.has(file));
      if (unknown.length > 0) findOwners(root, readWhole(status, statusBytes), { wanted: unknown, owners });
      return new Map(
        paths.flatMap((file) => (owners.get(file) === undefined ? [] : [[file, owners.get(file) as DebianPackage]])),
      );
    } finally {
      closeSync(status);
    }
  }

  #fileSystem(key: string, changed: string): FileSystem {
    const known = this.#known.get(key);
    if (known?.changed === changed) return known;
    if (this.#known.size >= fileSystems) this.#known.clear();
    const fresh = { changed, owners: new Map() };
    this.#known.set(key, fresh);
    return fresh;
  }
}

/** /usr/local is the administrator's own (Debian Policy §9.1.2), and homes and temporary folders are nobody's packages. */
function mayBePackaged({ path: file }: MappedBinary): boolean {
  return /^\/(usr|lib\w*|s?bin|opt|etc|var\/lib)\//.test(file) && !file.startsWith("/usr/local/");
}

function findOwners(
  root: string,
  status: string,
  { wanted, owners }: { readonly wanted: readonly string[]; readonly owners: FileSystem["owners"] },
): void {
  for (const file of wanted) owners.set(file, undefined);
  // Where /lib is a link to /usr/lib, packages list either, and the kernel names what it is.
  const names = new Map(
    wanted.flatMap((file) => [file, file.replace(/^\/usr\//, "/")].map((name) => [name, file] as const)),
  );
  const versions = versionsIn(status);
  for (const list of listsIn(path.join(root, dpkg, "info"))) {
    const descriptor = openFile(path.join(root, dpkg, "info", list));
    if (descriptor === undefined) continue;
    const lines = readWhole(descriptor, listBytes).split("\n");
    closeSync(descriptor);
    const name = list.slice(0, -".list".length);
    const version = versions.get(name) ?? versions.get(name.replace(/:.*$/, ""));
    if (version === undefined) continue;
    for (const line of lines) {
      const file = names.get(line);
      if (file !== undefined) owners.set(file, { name: name.replace(/:.*$/, ""), version });
    }
  }
}

function listsIn(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => name.endsWith(".list"))
      .slice(0, lists);
  } catch {
    // No Debian, or not ours to read: no file has a package then.
    return [];
  }
}

/** By name, and by `name:architecture` as the lists of packages that may be there twice are called. */
function versionsIn(status: string): Map<string, string> {
  return new Map(
    [...dpkgPackages(status)].flatMap(({ name, version, architecture }) => [
      [name, version] as const,
      [`${name}:${architecture}`, version] as const,
    ]),
  );
}

function openFile(file: string): number | undefined {
  try {
    const descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
    if (fstatSync(descriptor).isFile()) return descriptor;
    closeSync(descriptor);
    return undefined;
  } catch {
    // Absent, or not ours to read.
    return undefined;
  }
}

function readWhole(descriptor: number, maxBytes: number): string {
  const bytes = Buffer.alloc(Math.min(fstatSync(descriptor).size, maxBytes));
  return bytes.toString("utf8", 0, readSync(descriptor, bytes, 0, bytes.length, 0));
}
