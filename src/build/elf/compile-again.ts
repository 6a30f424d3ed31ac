/**
 * Compiling single sources again from the record of a build, at the build's place and with its flags.
 *
 * `plain` is as the build did it, to be found in the binary; `sections` has a section for each function and variable, to be compared.
 */
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import type { CompileUnit } from "./compile-command.ts";
import { type ObjectFile, readObjectFile } from "./object-file.ts";
import { mustRun, runCommand } from "./run-command.ts";

export type Variant = "plain" | "sections";

export interface CompileOptions {
  readonly work: string;
  /** Where the tree is built, where it came from, and what it is called in `__FILE__`. */
  readonly place: string;
  readonly original: string;
  readonly knownAs: string;
  readonly env: NodeJS.ProcessEnv;
}

const unwanted =
  /^-(save-temps.*|ftime-trace.*|gsplit-dwarf|flto.*|ffat-lto-objects|fno-fat-lto-objects|fuse-linker-plugin|fprofile-generate.*|fprofile-update.*)$/;

function flagsOf(unit: CompileUnit, variant: Variant, { place, knownAs }: CompileOptions): string[] {
  const given = unit.flags.filter((flag) => !unwanted.test(flag));
  const mapped = given.some((flag) => /^-f(file|macro)-prefix-map=/.test(flag));
  return [
    ...given,
    "-w",
    "-fno-lto",
    "-frandom-seed=rebootless",
    ...(mapped ? [] : [`-ffile-prefix-map=${place}=${knownAs}`]),
    // Debug information changes no code; it tells the layout of types. Variables get a place of their own even where they might be merged.
    ...(variant === "sections"
      ? ["-ffunction-sections", "-fdata-sections", "-fno-common", "-g", "-gdwarf-5", "-gno-split-dwarf"]
      : []),
  ];
}

/** Compiles one unit and reads the object. A source that this version does not have gives an empty object. */
export async function compileAgain(
  unit: CompileUnit,
  variant: Variant,
  options: CompileOptions,
  name: string,
  extraFlags: readonly string[] = [],
): Promise<ObjectFile> {
  mkdirSync(join(options.work, "objects"), { recursive: true });
  const output = join(options.work, "objects", `${name}.o`);
  const input = existsSync(unit.source) ? [unit.given] : ["-x", "c", "/dev/null"];
  const command = [unit.compiler, ...flagsOf(unit, variant, options), ...extraFlags, "-c", ...input, "-o", output];
  await mustRun("Compiling again", command, { cwd: unit.folder, env: options.env });
  return readObjectFile(readFileSync(output), unit.source);
}

/** Writes the preprocessed text to a file, without the definitions of macros that debug information may ask for; answers whether the compiler could. */
export async function preprocess(unit: CompileUnit, options: CompileOptions, output: string): Promise<boolean> {
  const command = [unit.compiler, ...flagsOf(unit, "plain", options), "-g0", "-E", unit.given, "-o", output];
  const { code } = await runCommand(command, { cwd: unit.folder, env: options.env });
  return code === 0;
}

/** Whether the source, as it is now, includes one of these files. */
export async function includesAny(
  unit: CompileUnit,
  files: ReadonlySet<string>,
  options: CompileOptions,
): Promise<boolean> {
  const command = [unit.compiler, ...flagsOf(unit, "plain", options), "-M", "-MT", "x", unit.given];
  const { code, output } = await runCommand(command, { cwd: unit.folder, env: options.env });
  if (code !== 0) return false;
  const words = output.replaceAll("\\\n", " ").split(/(?<!\\)\s+/);
  return words.some((word) => files.has(join(word.startsWith("/") ? "" : unit.folder, word.replaceAll("\\ ", " "))));
}

/** Runs a task for each item, as many at once as there are processors; answers in the order of the items. */
export async function inParallel<T, R>(
  items: readonly T[],
  task: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = new Array(items.length);
  let next = 0;
  const work = async (): Promise<void> => {
    for (let index = next++; index < items.length; index = next++)
      results[index] = await task(items[index] as T, index);
  };
  await Promise.all(Array.from({ length: Math.min(items.length, availableParallelism()) }, work));
  return results;
}
