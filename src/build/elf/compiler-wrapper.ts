/**
 * Watching a build: a folder of stand-ins for the compilers, to be put first on PATH.
 *
 * A stand-in writes down its arguments and its folder, and becomes the real compiler; it changes nothing, so that the build's own checks (configure, cmake, libtool) see the compiler that they would see anyway.
 * What the hotpatch needs beyond that is compiled again from the record (replay.ts).
 */
import { accessSync, chmodSync, constants, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, isAbsolute, join } from "node:path";

/** One run of a compiler. */
export interface CompilerRun {
  /** The real compiler. */
  readonly compiler: string;
  readonly folder: string;
  readonly arguments: readonly string[];
}

const compilerName = /^(x86_64-(pc-)?linux-gnu-)?(cc|gcc|g\+\+|c\+\+|c89|c99|clang|clang\+\+)(-\d+(\.\d+)?)?$/;

/** `set -C` makes the redirection fail on a name that exists, so that parallel runs never share a record. */
function standIn(real: string, records: string): string {
  return `#!/bin/sh
number=0
until (set -C; printf '%s\\0' ${quoted(real)} "$PWD" "$@" > ${quoted(records)}/"$$-$number") 2>/dev/null; do
  number=$((number + 1))
  [ "$number" -lt 10000 ] || { echo 'rebootless: the compiler run could not be recorded' >&2; exit 1; }
done
exec ${quoted(real)} "$@"
`;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

export interface CompilerWatch {
  /** The environment for the build's commands. */
  readonly env: NodeJS.ProcessEnv;
  /** The runs since the last call, in the order of their records' names. */
  takeRuns(): CompilerRun[];
}

/** Makes stand-ins below `folder` for every compiler on the PATH of `env`. */
export function watchCompilers(folder: string, env: NodeJS.ProcessEnv): CompilerWatch {
  const programs = join(folder, "compilers");
  const records = join(folder, "compiler-runs");
  mkdirSync(programs, { recursive: true });
  mkdirSync(records, { recursive: true });
  const made = new Map<string, string>();
  for (const place of (env.PATH ?? "/usr/bin:/bin").split(delimiter).filter(isAbsolute)) {
    for (const name of entriesOf(place)) {
      const real = join(place, name);
      if (!compilerName.test(name) || made.has(name) || !executable(real)) continue;
      made.set(name, real);
      writeFileSync(join(programs, name), standIn(real, records));
      chmodSync(join(programs, name), 0o755);
    }
  }
  let seen = new Set<string>();
  return {
    env: buildEnvironment(env, programs, made),
    takeRuns() {
      const names = readdirSync(records).sort(byProcess);
      const fresh = names.filter((name) => !seen.has(name));
      seen = new Set(names);
      return fresh.map((name) => readRun(join(records, name)));
    },
  };
}

/** Dates in the compiled text stand still (SOURCE_DATE_EPOCH), messages are in English, and a compiler that was named by its path is watched too. */
function buildEnvironment(
  env: NodeJS.ProcessEnv,
  programs: string,
  made: ReadonlyMap<string, string>,
): NodeJS.ProcessEnv {
  const changed: NodeJS.ProcessEnv = {
    SOURCE_DATE_EPOCH: "1000000000",
    ...env,
    LC_ALL: "C",
    PATH: `${programs}${delimiter}${env.PATH ?? "/usr/bin:/bin"}`,
  };
  for (const variable of ["CC", "CXX"]) {
    const [compiler = "", ...flags] = (env[variable] ?? "").split(" ");
    const standInName = [...made].find(([, real]) => real === compiler)?.[0];
    if (standInName !== undefined) changed[variable] = [join(programs, standInName), ...flags].join(" ");
  }
  return changed;
}

function entriesOf(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    // PATH often names folders that are not there; the shell passes over them as well.
    return [];
  }
}

function executable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    // The error is the answer.
    return false;
  }
}

function byProcess(left: string, right: string): number {
  return left.localeCompare(right, "en", { numeric: true });
}

function readRun(file: string): CompilerRun {
  const [compiler = "", folder = "", ...parameters] = readFileSync(file, "utf8").split("\0").slice(0, -1);
  return { compiler, folder, arguments: parameters };
}
