/** Small C and C++ projects: built as their users have them, stripped, and given a fix. */
import { type ExecFileSyncOptions, execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { buildElfHotpatch, type ElfBuildReport } from "../../../../src/build/elf/elf-hotpatch.ts";
import { encodeHotpatch } from "../../../../src/hotpatch/container.ts";
import type { ElfBinary, ElfChange } from "../../../../src/hotpatch/elf-manifest.ts";
import type { Hotpatch } from "../../../../src/hotpatch/hotpatch.ts";
import { elfChangeOf } from "../../../../src/hotpatch/manifest.ts";

export type Files = Readonly<Record<string, string>>;

export interface Project {
  readonly files: Files;
  /** The files that the fix changes, adds, or (undefined) takes away. */
  readonly fixed: Readonly<Record<string, string>>;
  readonly flags?: string;
  readonly compiler?: string;
  /** Builds `app` unless told otherwise. */
  readonly makefile?: string;
  readonly output?: string;
  /** Flags of the binary that runs, where they are to differ from those of the build. */
  readonly targetFlags?: string;
  readonly shortLived?: readonly string[];
  /** Files that the binary which runs was built from instead, where its source is to be another one. */
  readonly target?: Files;
  /** Words of a command that builds instead of make, in the source's folder. */
  readonly command?: readonly string[];
}

export interface Built {
  readonly hotpatch: Hotpatch;
  readonly change: ElfChange;
  readonly binary: ElfBinary;
  readonly report: ElfBuildReport;
  /** Where the unstripped twin of the binary has its symbols. */
  readonly addresses: ReadonlyMap<string, number>;
  /** A file with the object. */
  readonly object: string;
  readonly bytes: Buffer;
  /** What the build said of its steps. */
  readonly steps: readonly string[];
}

const makefile = `SOURCES := $(sort $(wildcard *.c) $(wildcard *.cc))
app: $(addsuffix .o,$(basename $(SOURCES)))
	$(CC) $(FLAGS) -o $@ $^ $(LIBRARIES)
lib.so: $(addsuffix .o,$(basename $(SOURCES)))
	$(CC) $(FLAGS) -shared -o $@ $^
%.o: %.c $(wildcard *.h)
	$(CC) $(FLAGS) -c -o $@ $<
%.o: %.cc $(wildcard *.h)
	$(CC) $(FLAGS) -c -o $@ $<
`;

export function hasProgram(name: string): boolean {
  return spawnSync(name, ["--version"], { stdio: "ignore" }).status === 0;
}

const folders: string[] = [];
process.once("exit", () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

export function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "rebootless-elf-"));
  folders.push(folder);
  return folder;
}

export function writeFiles(folder: string, files: Files): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
}

/** Builds the binary that runs, strips it, and builds the hotpatch from a source tree that knows nothing of it. */
export async function buildProject(project: Project): Promise<Built> {
  const folder = newFolder();
  const [source, to, target] = ["source", "fixed", "target"].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  const output = project.output ?? "app";
  writeFiles(source, { Makefile: project.makefile ?? makefile, ...project.files });
  for (const copy of [to, target]) cpSync(source, copy, { recursive: true });
  writeFiles(to, project.fixed);
  writeFiles(target, project.target ?? {});
  const make = (flags: string): string[] => [output, `FLAGS=${flags}`, `CC=${project.compiler ?? "gcc"}`];
  const flags = project.flags ?? "-O2";
  const quiet = { cwd: target, stdio: ["ignore", "ignore", "inherit"] } satisfies ExecFileSyncOptions;
  const [program, ...words] = project.command ?? ["make", "-s", ...make(project.targetFlags ?? flags)];
  execFileSync(program as string, words, quiet);
  const addresses = symbolAddresses(join(target, output));
  execFileSync("strip", [join(target, output)]);
  const steps: string[] = [];
  const { hotpatch, report } = await buildElfHotpatch(
    {
      source,
      fix: { to },
      command: project.command ?? ["make", ...make(flags)],
      binaries: [join(target, output)],
      shortLived: project.shortLived ?? [],
    },
    {
      cwd: folder,
      env: process.env,
      advisories: [],
      sequence: 1,
      afterApply: [],
      progress: (step) => void steps.push(step),
    },
  );
  const change = elfChangeOf(hotpatch.manifest);
  const binary = change.binaries[0] as ElfBinary;
  const object = join(folder, "patch.o");
  writeFileSync(object, hotpatch.payloads.get(binary.object) as Uint8Array);
  return { hotpatch, change, binary, report, addresses, object, bytes: encodeHotpatch(hotpatch, []), steps };
}

function symbolAddresses(file: string): Map<string, number> {
  const lines = execFileSync("nm", [file], { encoding: "utf8" }).split("\n");
  return new Map(
    lines.flatMap((line) => {
      const [, address, name] = /^([0-9a-f]+) [^i] (\S+)$/.exec(line) ?? [];
      return address === undefined || name === undefined ? [] : [[name, Number.parseInt(address, 16)] as const];
    }),
  );
}

/** Names of the functions that are replaced. */
export function replaced({ binary }: Built): string[] {
  return binary.functions.flatMap(({ name, replacement }) => (replacement === undefined ? [] : [name])).sort();
}

export function newFunctions({ report }: Built): string[] {
  return report.binaries.flatMap(({ code }) => code.flatMap(({ name, isNew }) => (isNew ? [name] : []))).sort();
}

/** What readelf complains about in the object; empty when it reads well. */
export function readelfComplaints({ object }: Built): string {
  return spawnSync("readelf", ["-Wa", "--debug-dump=frames", object], { encoding: "utf8" }).stderr;
}

/** Nothing of a build may stay in the user's tree. */
export function listing(folder: string): string[] {
  return (readdirSync(folder, { recursive: true }) as string[]).sort();
}
