/** What dpkg knows of installed packages: from which source they were built, and which binaries they brought. */
import { closeSync, openSync, readFileSync, readSync, realpathSync, statSync } from "node:fs";
import { refuse } from "../../base/refusal.ts";
import type { SourcePackage } from "./debian-apt.ts";
import { mustRun } from "./run-command.ts";

export interface InstalledSource extends SourcePackage {
  /** The binary packages that were built from it, as dpkg names them. */
  readonly packages: readonly string[];
}

/** `expat` or `expat=2.5.0-1`: a source package, or a binary package that is installed. */
export interface PackageWish {
  readonly name: string;
  readonly version?: string;
}

export function parsePackage(text: string): PackageWish {
  const [name = "", version] = text.split("=");
  return version === undefined || version === "" ? { name } : { name, version };
}

interface Row {
  readonly package: string;
  readonly source: string;
  readonly version: string;
}

/** Refuses with `build/source-missing` where nothing of the package is installed and no version is named. */
export async function installedSource(
  { name, version }: PackageWish,
  env: NodeJS.ProcessEnv,
): Promise<InstalledSource> {
  const rows = await installedRows(env);
  const ofSource = rows.filter((row) => row.source === name);
  // The source of an installed binary package, where no source has that name.
  const source = ofSource.length > 0 ? name : rows.find((row) => row.package.replace(/:.*/, "") === name)?.source;
  const found = rows.filter((row) => row.source === source);
  const versions = [...new Set(found.map((row) => row.version))];
  const wanted = version ?? versions[0];
  if (wanted === undefined)
    return refuse(
      "build/source-missing",
      `No package of ${name} is installed; name the version of its source, such as ${name}=1.0-1.`,
    );
  if (version === undefined && versions.length > 1)
    refuse(
      "build/source-missing",
      `Packages of ${name} are installed in the versions ${versions.join(" and ")}; name one, such as ${name}=${wanted}.`,
    );
  const packages = found.filter((row) => row.version === wanted).map((row) => row.package);
  return { name: source ?? name, version: wanted, packages: packages.sort() };
}

async function installedRows(env: NodeJS.ProcessEnv): Promise<Row[]> {
  const format = "${db:Status-Status}\\t${binary:Package}\\t${source:Package}\\t${source:Version}\\n";
  const output = await mustRun("dpkg-query", ["dpkg-query", "-W", "-f", format], {
    cwd: "/",
    env: { ...env, LC_ALL: "C" },
    whole: true,
  });
  return output.split("\n").flatMap((line) => {
    const [status, name = "", source = "", version = ""] = line.split("\t");
    return status === "installed" ? [{ package: name, source, version }] : [];
  });
}

/** Files that packages brought, in the order of their names; without what has gone since. */
export async function packageFiles(packages: readonly string[], env: NodeJS.ProcessEnv): Promise<string[]> {
  if (packages.length === 0) return [];
  const options = { cwd: "/", env: { ...env, LC_ALL: "C" }, whole: true };
  const output = await mustRun("dpkg -L", ["dpkg", "-L", ...packages], options);
  return [...new Set(output.split("\n").filter((line) => line.startsWith("/")))].sort();
}

/** Executables and shared libraries for x86-64 among them; detached debug information is neither. */
export function runnableBinaries(files: readonly string[]): string[] {
  const found = files.filter((file) => !file.startsWith("/usr/lib/debug/") && isRunnable(file));
  return [...new Set(found.map((file) => realpathSync(file)))];
}

/** ELF header (gABI chapter 4): 64 bits, ET_EXEC or ET_DYN, EM_X86_64. */
function isRunnable(file: string): boolean {
  if (!statSync(file, { throwIfNoEntry: false })?.isFile()) return false;
  const header = Buffer.alloc(20);
  const descriptor = openSync(file, "r");
  try {
    if (readSync(descriptor, header) < header.length) return false;
  } finally {
    closeSync(descriptor);
  }
  const type = header.readUInt16LE(16);
  return (
    header.readUInt32BE(0) === 0x7f454c46 &&
    header[4] === 2 &&
    (type === 2 || type === 3) &&
    header.readUInt16LE(18) === 62
  );
}

/** Sockets of systemd that start the program anew for each connection (systemd.socket(5), Accept=). */
export function socketsThatStartAnew(files: readonly string[]): string[] {
  return files.filter(
    (file) =>
      /\/systemd\/system\/[^/]+\.socket$/.test(file) &&
      /^\s*Accept\s*=\s*(yes|true|1|on)\s*$/im.test(readFileSync(file, "utf8")),
  );
}
