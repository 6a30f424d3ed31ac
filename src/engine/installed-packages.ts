/**
 * Which packages lie where a Node.js process looks for them, by its files alone.
 *
 * Files of packages are a stranger's: they are read in bounds, and never waited for.
 */
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  opendirSync,
  openSync,
  readlinkSync,
  readSync,
  realpathSync,
} from "node:fs";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { type ProcessInfo, readEnvironment } from "../process/process.ts";

export interface NamedVersion {
  readonly name: string;
  readonly version: string;
}

export interface InstalledPackage extends NamedVersion {
  readonly path: string;
}

const installedLimit = 2000;

/** What lies in the node_modules folders above the program's main file, in the process's own file system. */
export function installedPackages(info: ProcessInfo): InstalledPackage[] {
  const script = mainFile(info);
  const found: InstalledPackage[] = [];
  if (script === undefined) return found;
  const root = `/proc/${info.pid}/root`;
  for (const modules of modulesAbove(dirname(script))) {
    for (const name of packageNames(join(root, modules))) {
      if (found.length >= installedLimit) return found;
      const read = readPackage(join(root, modules, name, "package.json"));
      if (read) found.push({ ...read, path: join(modules, name) });
    }
  }
  return found;
}

const placesLimit = 20_000;

/**
 * Whether a package of that name and version lies where the process may load it from: in the node_modules folders above its main file, above its working folder and in NODE_PATH, and in those of other packages inside them.
 * Where there are too many to look at, the answer is yes.
 */
export function mayLoad(info: ProcessInfo, wanted: NamedVersion): boolean {
  const root = `/proc/${info.pid}/root`;
  const script = mainFile(info);
  const starts = [...(script === undefined ? [] : [dirname(script)]), workingFolder(info.pid)];
  const paths = (readEnvironment(info.pid)?.get("NODE_PATH") ?? "").split(":").filter(isAbsolute);
  const folders = [...new Set([...starts.flatMap(modulesAbove), ...paths])];
  let looked = 0;
  for (let index = 0; index < folders.length; index++) {
    const modules = folders[index] as string;
    const names = packageNames(join(root, modules));
    looked += 1 + names.length;
    if (looked > placesLimit) return true;
    // The layout of pnpm: .pnpm/NAME@VERSION/node_modules/NAME
    for (const name of namesIn(join(root, modules, ".pnpm")))
      folders.push(join(modules, ".pnpm", name, "node_modules"));
    for (const name of names) {
      const read = readPackage(join(root, modules, name, "package.json"));
      if (read?.name === wanted.name && read.version === wanted.version) return true;
      const inner = join(modules, name, "node_modules");
      if (existsSync(join(root, inner))) folders.push(inner);
    }
  }
  return false;
}

/** Programs that start others and serve nobody, and Rebootless itself. */
const tools: ReadonlySet<string> = new Set(["rebootless", "npm", "pnpm", "yarn", "corepack"]);

/**
 * Whether the process runs Rebootless or a package manager, by the package that its main file belongs to; those are left alone.
 * npm writes a title over its command line, which names no file any more, so there the title counts.
 */
export function isTool(info: ProcessInfo): boolean {
  const [title = "", ...rest] = info.commandLine.map((word) => word.trim()).filter((word) => word !== "");
  if (rest.length === 0) return tools.has(title.split(" ")[0] ?? "");
  const script = mainFile(info);
  const root = `/proc/${info.pid}/root`;
  for (let folder = dirname(script ?? "/"); folder !== "/"; folder = dirname(folder)) {
    const manifest = join(root, folder, "package.json");
    if (existsSync(manifest)) return tools.has(readPackage(manifest)?.name ?? "");
  }
  return false;
}

function mainFile({ pid, commandLine }: ProcessInfo): string | undefined {
  const script = commandLine.slice(1).find((word) => !word.startsWith("-"));
  if (script === undefined) return undefined;
  const file = resolve(workingFolder(pid), script);
  const root = `/proc/${pid}/root`;
  try {
    // A program in node_modules/.bin is a link to one of a package; Node.js goes by where that lies.
    return pid === process.pid || readlinkSync(root) === "/" ? realpathSync(file) : file;
  } catch {
    // Gone, somebody else's, or no file at all: the name is all there is.
    return file;
  }
}

function modulesAbove(start: string): string[] {
  const folders: string[] = [];
  for (let folder = start; ; folder = dirname(folder)) {
    folders.push(join(folder, "node_modules"));
    if (folder === "/") return folders;
  }
}

function workingFolder(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    // The process has ended or belongs to somebody else; relative names cannot be followed then.
    return "/";
  }
}

function packageNames(folder: string): string[] {
  return namesIn(folder).flatMap((name) =>
    name.startsWith("@")
      ? namesIn(join(folder, name)).map((inner) => `${name}/${inner}`)
      : name.startsWith(".")
        ? []
        : [name],
  );
}

const namesLimit = 20_000;

/** At most so many; a stranger's folder may hold millions. */
function namesIn(folder: string): string[] {
  try {
    const directory = opendirSync(folder);
    const names: string[] = [];
    try {
      for (let entry = directory.readSync(); entry !== null; entry = directory.readSync()) {
        if (names.push(entry.name) >= namesLimit) break;
      }
    } finally {
      directory.closeSync();
    }
    return names;
  } catch {
    // Absent, somebody else's, or a file: there are no packages that this user could see.
    return [];
  }
}

/** Name and version as a package.json has them; undefined for what is none. */
export function readPackage(manifest: string): NamedVersion | undefined {
  try {
    const { name, version } = JSON.parse(boundedText(manifest)) as { name?: unknown; version?: unknown };
    return typeof name === "string" && typeof version === "string" ? { name, version } : undefined;
  } catch {
    // Somebody else's file: one that cannot be read names no package.
    return undefined;
  }
}

const manifestBytes = 1024 * 1024;

/** Throws for what is no regular file, and gives no more than a manifest may have: it could be a pipe, or have no end. */
function boundedText(file: string): string {
  const descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  try {
    const stats = fstatSync(descriptor);
    if (!stats.isFile() || stats.size > manifestBytes) return "";
    const bytes = Buffer.alloc(stats.size);
    return bytes.toString("utf8", 0, readSync(descriptor, bytes, 0, bytes.length, 0));
  } finally {
    closeSync(descriptor);
  }
}
