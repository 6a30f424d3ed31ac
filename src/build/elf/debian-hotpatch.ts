/**
 * From a Debian source package and a fix to a hotpatch for the binaries that the package installed.
 *
 * The source is fetched and built in a folder of its own; nothing of the system changes unless missing build dependencies are to be installed.
 */
import { cpSync, existsSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Hotpatch } from "../../hotpatch/hotpatch.ts";
import { inWorkFolder } from "../work-folder.ts";
import { SourceArchive } from "./debian-apt.ts";
import { buildDependencies, buildTools, debianBuildCommand, debianEnvironment } from "./debian-build.ts";
import {
  type InstalledSource,
  installedSource,
  packageFiles,
  parsePackage,
  runnableBinaries,
  socketsThatStartAnew,
} from "./debian-packages.ts";
import { buildElfHotpatch, type ElfBuildInput, type ElfBuildOptions, type ElfBuildReport } from "./elf-hotpatch.ts";
import type { Fix } from "./source-trees.ts";

export interface DebianBuildInput extends Pick<ElfBuildInput, "shortLived" | "hooks" | "handled"> {
  /** A source package or an installed binary package, with `=VERSION` for another version of the source than the installed one. */
  readonly package: string;
  /** A unified diff against the source with Debian's patches. */
  readonly patch?: string;
  /** The version of the source package that has the fix, instead of a diff. */
  readonly toVersion?: string;
  /** The binaries that run; those that the package installed where empty. */
  readonly binaries: readonly string[];
  readonly installBuildDependencies: boolean;
  /** Instead of the package's own build. */
  readonly command?: readonly string[];
}

/** Refuses with `build/source-missing`, `build/dependencies-missing` and what `buildElfHotpatch` refuses. */
export async function buildDebianHotpatch(
  input: DebianBuildInput,
  options: ElfBuildOptions,
): Promise<{ hotpatch: Hotpatch; report: ElfBuildReport }> {
  return await inWorkFolder(async (work) => {
    const { env, progress } = options;
    await buildTools({ env, install: input.installBuildDependencies, progress });
    const source = await installedSource(parsePackage(input.package), options.env);
    options.progress(`Fetching the source of ${source.name} ${source.version}`);
    const archive = await SourceArchive.open(join(work, "apt"), options.env);
    const unpacked = await archive.unpack(source, join(work, "source"));
    const fix = await fixOf(input, { archive, source, work, tree: unpacked.tree, options });
    await buildDependencies(unpacked, { env, install: input.installBuildDependencies, progress });
    const files = await packageFiles(source.packages, options.env);
    return await buildElfHotpatch(
      {
        source: unpacked.tree,
        // The folder that Debian's own builds map their source to, whatever it was.
        knownAs: `/build/reproducible-path/${source.name}-${source.version.replace(/^\d+:/, "").replace(/-[^-]*$/, "")}`,
        fix,
        command: input.command ?? debianBuildCommand,
        onlyOnce: input.command === undefined,
        binaries: input.binaries,
        installed: runnableBinaries(files),
        shortLived: input.shortLived,
        hooks: input.hooks ?? [],
        handled: input.handled ?? [],
      },
      {
        ...options,
        env: await debianEnvironment(unpacked, options.env),
        version: options.version ?? source.version,
        notices: [...(options.notices ?? []), ...socketsThatStartAnew(files).map(startsAnew)],
      },
    );
  });
}

interface FixPlace {
  readonly archive: SourceArchive;
  readonly source: InstalledSource;
  readonly work: string;
  readonly tree: string;
  readonly options: ElfBuildOptions;
}

async function fixOf(
  { patch, toVersion }: DebianBuildInput,
  { archive, source, work, tree, options }: FixPlace,
): Promise<Fix> {
  if (patch !== undefined) return { patch: resolve(options.cwd, patch) };
  if (toVersion === undefined) return {};
  options.progress(`Fetching the source of ${source.name} ${toVersion}`);
  const fixed = await archive.unpack({ name: source.name, version: toVersion }, join(work, "fixed"));
  // How it is packaged is no part of the fix, and the old version's flags are those of the binary that runs.
  rmSync(join(fixed.tree, "debian"), { recursive: true, force: true });
  if (existsSync(join(tree, "debian")))
    cpSync(join(tree, "debian"), join(fixed.tree, "debian"), {
      recursive: true,
      verbatimSymlinks: true,
      preserveTimestamps: true,
    });
  return { to: fixed.tree };
}

function startsAnew(socket: string): string {
  return `${socket} starts the program anew for each connection: those processes run what is on the disk, so that the package has to be updated as well.`;
}
