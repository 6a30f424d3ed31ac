/**
 * Which sources a fix touches: those for which the compiler is given something else than before.
 *
 * That the build compiled a source again says little: some makefiles begin anew whenever they are called, and headers change in what a source does not use.
 * So the preprocessed texts of both versions are compared; what they do not tell of counts as touched.
 */
import { type CompileOptions, includesAny, inParallel } from "./compile-again.ts";
import type { CompileUnit } from "./compile-command.ts";
import { givenText } from "./given-text.ts";
import { isCompiled, type SourceTrees } from "./source-trees.ts";

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
  const replaced = changesBuild(changed) ? withOtherFlags(rebuilt, units, known, done) : new Map();
  const gone = new Set(replaced.values());
  const left = units.filter((unit) => !done.has(unitKey(unit)) && !gone.has(unit));
  const files = new Set(changed);
  trees.show("after");
  const missed = await inParallel(left, (unit) => includesAny(unit, files, compile));
  const candidates = distinct([...rebuilt, ...left.filter((_, index) => missed[index])]);
  const comparable = candidates.filter((unit) => !replaced.has(unit));
  const texts = (): Promise<(string | undefined)[]> =>
    inParallel(comparable, (unit, index) => givenText(unit, compile, `${index}`));
  const after = await texts();
  trees.show("before");
  const before = await texts();
  const same = new Set(comparable.filter((_, index) => after[index] !== undefined && after[index] === before[index]));
  return candidates
    .filter((unit) => !same.has(unit))
    .map((unit) => {
      const was = replaced.get(unit);
      return was === undefined ? unit : { ...unit, was };
    });
}

/** Whether the fix changes more than what compilers read: flags that differ are its doing then, and else such as the date of the build. */
function changesBuild(changed: readonly string[]): boolean {
  return changed.some((path) => !isCompiled(path));
}

/** What was compiled into the same object before, with other flags. */
function withOtherFlags(
  rebuilt: readonly CompileUnit[],
  units: readonly CompileUnit[],
  known: ReadonlySet<string>,
  done: ReadonlySet<string>,
): Map<CompileUnit, CompileUnit> {
  const found = new Map<CompileUnit, CompileUnit>();
  for (const unit of rebuilt) {
    if (known.has(unitKey(unit)) || unit.object === undefined) continue;
    const [was, ...more] = units.filter(
      (one) => one.object === unit.object && one.source === unit.source && !done.has(unitKey(one)),
    );
    if (was !== undefined && more.length === 0) found.set(unit, was);
  }
  return found;
}

function unitKey({ compiler, folder, source, flags }: CompileUnit): string {
  return JSON.stringify([source, folder, compiler, flags]);
}

/** In the order of their sources, each way of compiling once. */
export function distinct(units: readonly CompileUnit[]): CompileUnit[] {
  const found = new Map(units.map((unit) => [unitKey(unit), unit]));
  return [...found].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, unit]) => unit);
}
