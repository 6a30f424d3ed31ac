/** Programs and objects of many kinds, compiled for the tests with the compilers that are there. */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const fixtures = join(import.meta.dirname, "..", "fixtures");

export function have(program: string): boolean {
  return spawnSync(program, ["--version"], { stdio: "ignore" }).status === 0;
}

/** A reason to skip what needs these programs, or false. */
export function missing(...programs: readonly string[]): string | false {
  const absent = programs.filter((program) => !have(program));
  return absent.length === 0 ? false : `needs ${absent.join(", ")}`;
}

export class Workshop {
  readonly folder = mkdtempSync(join(tmpdir(), "rebootless-elf-"));

  /** Compiles fixtures with these flags; the path of the output. */
  compile(compiler: string, output: string, sources: readonly string[], flags: readonly string[]): string {
    const path = join(this.folder, output);
    const inputs = sources.map((source) => join(fixtures, source));
    execFileSync(compiler, [...flags, "-o", path, ...inputs], {
      stdio: ["ignore", "ignore", "pipe"],
      timeout: 120_000,
    });
    return path;
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

const variants: readonly (readonly [name: string, flags: readonly string[]])[] = [
  ["object.o", ["-c", "-O2"]],
  ["object-g.o", ["-c", "-O1", "-g", "-gz=zlib"]],
  ["sections.o", ["-c", "-O2", "-ffunction-sections", "-fdata-sections"]],
  ["protected.o", ["-c", "-O2", "-fcf-protection=full"]],
  ["unprotected.o", ["-c", "-Os", "-fcf-protection=none"]],
  ["pie", ["-O2", "-pie", "-fPIE"]],
  ["protected", ["-O2", "-fcf-protection=full"]],
  ["no-pie", ["-O0", "-no-pie", "-fno-pie"]],
  ["static", ["-O2", "-static"]],
  ["static-pie", ["-O2", "-static-pie", "-fPIE"]],
  ["lto", ["-O2", "-flto"]],
  ["sysv-hash", ["-O2", "-Wl,--hash-style=sysv"]],
  ["relr", ["-O2", "-pie", "-fPIE", "-Wl,-z,pack-relative-relocs"]],
  ["stripped", ["-O3", "-s"]],
  ["frame-pointer", ["-O2", "-fno-omit-frame-pointer", "-Wl,-z,now"]],
];

/** One of each kind, in C and in C++ with exceptions, with gcc and, where it is there, clang. */
export function compileAll(workshop: Workshop): string[] {
  const languages = [
    { source: "kinds.c", compilers: ["gcc", "clang"] },
    { source: "throws.cc", compilers: ["g++", "clang++"] },
  ];
  const paths: string[] = [];
  for (const { source, compilers } of languages) {
    for (const compiler of compilers.filter(have)) {
      for (const [name, flags] of variants) {
        // Clang's link-time optimisation needs a linker plug-in that is not always with it.
        if (name === "lto" && compiler.startsWith("clang")) continue;
        paths.push(workshop.compile(compiler, `${compiler}-${name}`, [source], flags));
      }
    }
  }
  return paths.filter((path) => existsSync(path));
}
