/**
 * Which sources a fix touches: those for which the compiler is given something else than before.
 *
 * That the build compiled a source again says little: some makefiles begin anew whenever they are called, and headers change in what a source does not use.
 * So the preprocessed texts of both versions are compared; what they do not tell of counts as touched.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type CompileOptions, includesAny, inParallel, preprocess } from "./compile-again.ts";
import type { CompileUnit } from "./compile-command.ts";
import type { SourceTrees } from "./source-trees.ts";

export interface TouchedInput {
  /** What the build of the old version compiled, and that of the fixed one; both distinct. */
  readonly units: readonly CompileUnit[];
  readonly rebuilt: readonly CompileUnit[];
  /** Files that the fix changes, absolute. */
  readonly changed: readonly string[];
  readonly trees: SourceTrees;
  readonly compile: CompileOptions;
}

/**
 * Of what the build compiled again, and of what it should have, since makefiles do not always know which headers a source includes.
 *
 * Leaves one version or the other at the place of the build.
 */
export async function touchedUnits({ units, rebuilt, changed, trees, compile }: TouchedInput): Promise<CompileUnit[]> {
  const done = new Set(rebuilt.map(unitKey));
  const known = new Set(units.map(unitKey));
  const left = units.filter((unit) => !done.has(unitKey(unit)));
  const files = new Set(changed);
  trees.show("after");
  const missed = await inParallel(left, (unit) => includesAny(unit, files, compile));
  const candidates = distinct([...rebuilt, ...left.filter((_, index) => missed[index])]);
  // What was compiled with other flags, or not at all, has nothing to be compared with.
  const comparable = candidates.filter((unit) => known.has(unitKey(unit)));
  const texts = (): Promise<(string | undefined)[]> =>
    inParallel(comparable, (unit, index) => givenText(unit, compile, `${index}`));
  const after = await texts();
  trees.show("before");
  const before = await texts();
  const same = new Set(comparable.filter((_, index) => after[index] !== undefined && after[index] === before[index]));
  return candidates.filter((unit) => !same.has(unit));
}

/** Options by which a compiler reads more than the source and what it includes: profiles, plug-ins, modules, lists. */
const readsMore =
  /^-(fprofile-use|fauto-profile|fprofile-sample-use|fbranch-probabilities|fplugin|fpass-plugin|load|include-pch|fmodule|fprebuilt-module|fsanitize-\w*list|fsanitize-coverage-\w*list|frandomize-layout|Wa,.*@)/;
/** Text that has the compiler or the assembler read another file. */
const namesMore = /\.incbin\b|\.include\b|^[ \t]*#[ \t]*embed\b/m;
/** As the preprocessor writes where the text comes from (GCC's "The C Preprocessor", 9). */
const lineMarker = /^#[ \t]*(line[ \t]+)?\d/;

/** A digest of the preprocessed text, blind to the numbers of lines; undefined where the text does not tell all that is compiled. */
async function givenText(unit: CompileUnit, options: CompileOptions, name: string): Promise<string | undefined> {
  if (unit.flags.some((flag) => readsMore.test(flag))) return undefined;
  const folder = join(options.work, "preprocessed");
  mkdirSync(folder, { recursive: true });
  const output = join(folder, `${name}.i`);
  const made = await preprocess(unit, options, output);
  // Compilers pass over what they do not preprocess, such as plain assembly, and write nothing.
  if (!made || !existsSync(output)) return undefined;
  const text = readFileSync(output, "latin1");
  rmSync(output);
  if (namesMore.test(text)) return undefined;
  const digest = createHash("sha256");
  for (const line of text.split("\n")) {
    if (line.trim() === "" || lineMarker.test(line)) continue;
    digest.update(line, "latin1").update("\n");
  }
  return digest.digest("hex");
}

function unitKey({ compiler, folder, source, flags }: CompileUnit): string {
  return JSON.stringify([source, folder, compiler, flags]);
}

/** In the order of their sources, each way of compiling once. */
export function distinct(units: readonly CompileUnit[]): CompileUnit[] {
  const found = new Map(units.map((unit) => [unitKey(unit), unit]));
  return [...found].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, unit]) => unit);
}
