/**
 * Watching the programs that work through a build's rules, so that they can be run again alone.
 *
 * A package's own build takes notes of the steps that it has done, and does nothing when it is run again; make and ninja, in their folders and with their arguments and environment, do what a changed source asks for.
 */
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, isAbsolute, join, resolve } from "node:path";
import { mustRun } from "./run-command.ts";

export interface ToolRun {
  readonly words: readonly string[];
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
}

const tools = ["make", "gmake", "ninja"];
const insideTool = "REBOOTLESS_INSIDE_BUILD_TOOL";

/** Only the outermost run is written down; what it starts is its own affair. */
function standIn(real: string, records: string): string {
  const place = `'${records}'/"$$"`;
  return `#!/bin/sh
if [ -z "$${insideTool}" ]; then
  printf '%s\\0' '${real}' "$PWD" "$@" > ${place}
  env -0 > ${place}.env
  ${insideTool}=1
  export ${insideTool}
fi
exec '${real}' "$@"
`;
}

export interface ToolWatch {
  readonly env: NodeJS.ProcessEnv;
  /** The runs so far, in the order of their processes. */
  runs(): ToolRun[];
}

/** `folder` is one of the builder's own, whose path has no quotes. */
export function watchTools(folder: string, env: NodeJS.ProcessEnv): ToolWatch {
  const programs = join(folder, "build-tools");
  const records = join(folder, "tool-runs");
  for (const made of [programs, records]) mkdirSync(made, { recursive: true });
  const path = env.PATH ?? "/usr/bin:/bin";
  for (const tool of tools) {
    const real = path
      .split(delimiter)
      .filter(isAbsolute)
      .map((place) => join(place, tool))
      .find((file) => existsSync(file));
    if (real === undefined) continue;
    writeFileSync(join(programs, tool), standIn(real, records));
    chmodSync(join(programs, tool), 0o755);
  }
  return {
    // GNU make calls itself by the path that it was started with unless MAKE says otherwise; debian/rules starts it by its path.
    env: { ...env, PATH: `${programs}${delimiter}${path}`, MAKE: "make" },
    runs: () => {
      const names = readdirSync(records).filter((name) => /^\d+$/.test(name));
      return names.sort((one, other) => Number(one) - Number(other)).map((name) => readRun(join(records, name)));
    },
  };
}

function readRun(file: string): ToolRun {
  const fields = (path: string): string[] => readFileSync(path, "utf8").split("\0").slice(0, -1);
  const [program = "", folder = "", ...parameters] = fields(file);
  const env = fields(`${file}.env`).map((text) => [
    text.slice(0, text.indexOf("=")),
    text.slice(text.indexOf("=") + 1),
  ]);
  return { words: [program, ...parameters], folder, env: Object.fromEntries(env) as NodeJS.ProcessEnv };
}

const otherGoals = /^(clean|distclean|maintainer-clean|mostlyclean|realclean|check|test|tests|install.*)$/;

/** Runs again what built the program: not what cleaned, tested or installed, nor the trials of configure and cmake, whose folders and files have gone. */
export async function runAgain(runs: readonly ToolRun[], what: string): Promise<void> {
  for (const { words, folder, env } of runs) {
    const file = words.find((_, index) => words[index - 1] === "-f");
    const gone = !existsSync(folder) || (file !== undefined && !existsSync(resolve(folder, file)));
    const trial =
      /\/CMakeFiles\/|\/meson-private\//.test(folder) ||
      words.some((word) => /conftest|^-n$|^-p$|^-q$|--version/.test(word));
    if (gone || trial || words.slice(1).some((word) => otherGoals.test(word))) continue;
    await mustRun(what, words, { cwd: folder, env });
  }
}
