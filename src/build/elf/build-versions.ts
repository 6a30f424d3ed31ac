/** Building the old and the fixed version, and compiling again what the fix touched. */
import { existsSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { RebootlessError } from "../../base/errors.ts";
import { refuse } from "../../base/refusal.ts";
import { runAgain, watchTools } from "./build-tools.ts";
import { BuiltNames, namesOf } from "./built-names.ts";
import { type Comparison, compareObjects } from "./compare-objects.ts";
import { type CompileOptions, compileAgain, inParallel, type Variant } from "./compile-again.ts";
import { type CompileUnit, isAssembler, type Link, type ReadCommand, readCommand } from "./compile-command.ts";
import { watchCompilers } from "./compiler-wrapper.ts";
import { headerFolder, hookUnit } from "./hooks.ts";
import {
  newThreadNames,
  provideThreadVariables,
  runtimeUnit,
  threadCallFlags,
  usesNewThreadVariables,
} from "./new-thread-variables.ts";
import { isGlobal, type ObjectFile } from "./object-file.ts";
import { indirectAccessFlags, reachesNewOutside } from "./outside-variables.ts";
import { mustRun } from "./run-command.ts";
import { applyFix, copySource, type Fix, type SourceTrees } from "./source-trees.ts";
import { distinct, touchedUnits } from "./touched-units.ts";

export interface VersionsInput {
  readonly source: string;
  readonly fix: Fix;
  /** The build's command, as words. */
  readonly command: readonly string[];
  /** A shell command that is run once before the build, such as ./configure. */
  readonly prepare?: string;
  /** Files with hooks of the author. */
  readonly hooks?: readonly string[];
  /** The command does a step once and never again: the fixed version is built by the make and ninja runs that it started. */
  readonly onlyOnce?: boolean;
  /** The folder that paths of the source shall begin with in what is compiled; the source's own unless told. */
  readonly knownAs?: string;
}

export interface VersionsOptions {
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  progress(message: string): void;
}

/** One source that the fix touched, compiled three times. */
export interface TouchedUnit {
  readonly unit: CompileUnit;
  /** The source's path in the tree, with a number where it was compiled in several ways. */
  readonly name: string;
  readonly plainBefore: ObjectFile;
  readonly before: ObjectFile;
  readonly after: ObjectFile;
  /** A file with hooks, or our own runtime: no part of the program. */
  readonly isHooks: boolean;
  /** Why its new thread-local variables cannot be had; absent where there are none or they can. */
  readonly noThreadVariables?: string;
}

export interface BuiltVersions {
  readonly touched: readonly TouchedUnit[];
  /** Every source that the old version's build compiled. */
  readonly units: readonly CompileUnit[];
  readonly links: readonly Link[];
  readonly changed: readonly string[];
  /** Global constants that are not as they were: who refers to them from another source changes as well. */
  readonly changedNames: ReadonlySet<string>;
  /** What the old version's objects define and refer to. */
  readonly names: BuiltNames;
  readonly options: CompileOptions;
}

interface Builds {
  readonly trees: SourceTrees;
  /** What the two builds ran, and the environment in which their compilers run. */
  readonly first: readonly ReadCommand[];
  readonly second: readonly ReadCommand[];
  readonly env: NodeJS.ProcessEnv;
}

/** Runs the build of the old version and that of the fixed one, in one copy of the source. */
async function runBuilds(
  input: VersionsInput,
  { work, original }: { readonly work: string; readonly original: string },
  options: VersionsOptions,
): Promise<Builds> {
  const tools = input.onlyOnce ? watchTools(work, options.env) : undefined;
  const env = tools?.env ?? options.env;
  const { CPATH: path = "" } = env;
  // Fixes and hooks may include our headers wherever the compiler is called from.
  const watch = watchCompilers(work, { ...env, CPATH: path === "" ? headerFolder : `${path}:${headerFolder}` });
  options.progress(`Copying ${original}`);
  const place = await copySource(original, work);
  const inTree = { cwd: place, env: watch.env };
  const prepare = async (): Promise<void> => {
    if (input.prepare === undefined) return;
    options.progress(`Preparing: ${input.prepare}`);
    await mustRun("Preparing the build", ["sh", "-c", input.prepare], inTree);
    watch.takeRuns();
  };
  await prepare();
  options.progress(`Building the old version: ${input.command.join(" ")}`);
  await mustRun("The build of the old version", input.command, inTree);
  const first = watch.takeRuns().map(readCommand);
  options.progress("Applying the fix and building the fixed version");
  const trees = await applyFix(place, work, original, resolveFix(input, options));
  const fixedBuild = "The build of the fixed version";
  try {
    const again = tools?.runs() ?? [];
    if (again.length > 0) await runAgain(again, fixedBuild);
    else await mustRun(fixedBuild, input.command, inTree);
  } catch (error) {
    if (!(error instanceof RebootlessError) || error.code !== "failure/command") throw error;
    // Some builds cannot be run twice in one tree; what is wrong with the fix itself fails in a new one as well.
    options.progress("The build does not run again where it has run; building the fixed version from the beginning");
    watch.takeRuns();
    await trees.startAnew();
    await prepare();
    await mustRun(fixedBuild, input.command, inTree);
  }
  const second = watch.takeRuns().map(readCommand);
  return { trees, first, second, env: watch.env };
}

/** Refuses with `build/no-compiler-seen` where the build ran no compiler that was found on PATH. */
export async function buildBothVersions(
  input: VersionsInput,
  work: string,
  options: VersionsOptions,
): Promise<BuiltVersions> {
  const original = resolve(options.cwd, input.source);
  const { trees, first, second, env } = await runBuilds(input, { work, original }, options);
  const { place } = trees;
  const compile: CompileOptions = { work, place, original, knownAs: input.knownAs ?? original, env };
  const units = distinct(first.flatMap((run) => run.units)).filter(({ source }) => existsSync(source));
  const rebuilt = distinct(second.flatMap((run) => run.units)).filter(({ source }) => existsSync(source));
  if (units.length === 0 && rebuilt.length === 0) {
    refuse(
      "build/no-compiler-seen",
      "The build ran no compiler that could be watched. It must take its compiler from PATH, CC or CXX, and have something left to build.",
    );
  }
  const changed = trees.changed.map((path) => join(place, path));
  const wanted = await touchedUnits({ units, rebuilt, changed, trees, compile });
  options.progress(
    `Compiling ${wanted.length} touched source${wanted.length === 1 ? "" : "s"} again, function by function`,
  );
  const compiled = await compileVersions(wanted, { trees, compile, first: 0 });
  const changedNames = changedConstantNames(compiled);
  const built = new BuiltNames(units);
  const readers = await readersOf(changedNames, { units, touched: wanted, built, compile });
  const more = await compileVersions(readers, { trees, compile, first: wanted.length });
  const reaching = await withOutsideVariables([...compiled, ...more], { trees, compile, first: 0 });
  const all = await withThreadVariables(reaching, { trees, compile, first: 0 });
  trees.show("after");
  const hookFiles = (input.hooks ?? []).map((file) => hookUnit(resolve(options.cwd, file), wanted));
  const threaded = all.find(({ usesRuntime }) => usesRuntime);
  const runtime = threaded === undefined ? [] : [runtimeUnit(threaded.unit)];
  const hooks = await compileHooks([...hookFiles, ...runtime], wanted, compile);
  trees.show("before");
  return {
    touched: [
      ...all.map(({ usesRuntime, accessFlags, ...one }, index) => ({ ...one, name: unitName(all, index, place) })),
      ...hooks,
    ],
    units,
    links: [...first, ...second].flatMap(({ link }) => link ?? []),
    changed: trees.changed,
    changedNames,
    names: built,
    options: compile,
  };
}

/** What a hook file was before the fix: nothing. */
async function compileHooks(
  units: readonly CompileUnit[],
  [like]: readonly CompileUnit[],
  compile: CompileOptions,
): Promise<TouchedUnit[]> {
  if (units.length === 0 || like === undefined) return [];
  const absent = { ...like, source: join(compile.work, "no-such-source") };
  const nothing = await compileAgain(absent, "sections", compile, "nothing");
  return await inParallel(units, async (unit, index) => {
    const flags = await indirectAccessFlags(unit, compile.env);
    const after = await compileAgain(unit, "sections", compile, `hooks-${index}`, flags);
    return { unit, name: basename(unit.source), plainBefore: nothing, before: nothing, after, isHooks: true };
  });
}

type CompiledUnit = Omit<TouchedUnit, "name"> & {
  /** Its new thread-local variables are those of our runtime. */
  readonly usesRuntime?: boolean;
  /** What it was compiled with so that it reaches variables of libraries. */
  readonly accessFlags?: readonly string[];
};

interface Compiling {
  readonly trees: SourceTrees;
  readonly compile: CompileOptions;
  /** The number of the first object. */
  readonly first: number;
}

async function compileVersions(units: readonly CompileUnit[], options: Compiling): Promise<CompiledUnit[]> {
  const { trees, compile, first } = options;
  if (units.length === 0) return [];
  const each = (version: readonly CompileUnit[], variant: Variant, name: string): Promise<ObjectFile[]> =>
    inParallel(version, (unit, index) => compileAgain(unit, variant, compile, `${name}-${first + index}`));
  const olds = units.map((unit) => unit.was ?? unit);
  trees.show("after");
  const after = await each(units, "sections", "after");
  trees.show("before");
  const before = await each(olds, "sections", "before");
  const plain = await each(olds, "plain", "plain");
  return units.map((unit, index) => ({
    unit,
    plainBefore: plain[index] as ObjectFile,
    before: before[index] as ObjectFile,
    after: after[index] as ObjectFile,
    isHooks: false,
  }));
}

/** Compiles the same sources in the tree that is shown; `versionOf` gives each as that version's build compiled it. */
type CompileEach = (name: string, versionOf: (unit: CompileUnit) => CompileUnit) => Promise<ObjectFile[]>;

async function inBothTrees(
  trees: Compiling["trees"],
  each: CompileEach,
): Promise<{ readonly befores: ObjectFile[]; readonly afters: ObjectFile[] }> {
  trees.show("after");
  const afters = await each("after", (unit) => unit);
  trees.show("before");
  const befores = await each("before", (unit) => unit.was ?? unit);
  return { befores, afters };
}

/** Sources that use something of another object for the first time, compiled once more so that it may be anywhere. */
async function withOutsideVariables(
  compiled: readonly CompiledUnit[],
  { trees, compile }: Compiling,
): Promise<readonly CompiledUnit[]> {
  const users = compiled.filter(({ unit, before, after }) => !isAssembler(unit) && reachesNewOutside(before, after));
  if (users.length === 0) return compiled;
  const flags = await inParallel(users, ({ unit }) => indirectAccessFlags(unit, compile.env));
  const each: CompileEach = (name, versionOf) =>
    inParallel(users, ({ unit }, index) =>
      compileAgain(versionOf(unit), "sections", compile, `outside-${name}-${index}`, flags[index]),
    );
  const { befores, afters } = await inBothTrees(trees, each);
  return compiled.map((one) => {
    const index = users.indexOf(one);
    if (index < 0) return one;
    const accessFlags = flags[index] ?? [];
    return { ...one, before: befores[index] as ObjectFile, after: afters[index] as ObjectFile, accessFlags };
  });
}

/** Sources that define or use new thread-local variables, compiled once more so that these are calls. */
async function withThreadVariables(
  compiled: readonly CompiledUnit[],
  { trees, compile }: Compiling,
): Promise<CompiledUnit[]> {
  const comparisons = compiled.map(({ before, after }) => compareObjects(before, after));
  const names = new Set(comparisons.flatMap(newThreadNames));
  const users = compiled.filter(
    ({ unit }, index) => !isAssembler(unit) && usesNewThreadVariables(comparisons[index] as Comparison, names),
  );
  const each: CompileEach = (name, versionOf) =>
    inParallel(users, ({ unit, after, accessFlags = [] }, index) => {
      const flags = [...accessFlags, ...threadCallFlags(unit, after)];
      return compileAgain(versionOf(unit), "sections", compile, `threads-${name}-${index}`, flags);
    });
  if (users.length === 0) return [...compiled];
  const { befores, afters } = await inBothTrees(trees, each);
  return compiled.map((one) => {
    const index = users.indexOf(one);
    if (index < 0) return one;
    const before = befores[index] as ObjectFile;
    const { object, reason } = provideThreadVariables(before, afters[index] as ObjectFile, names);
    if (object === undefined) return { ...one, noThreadVariables: reason };
    return { ...one, before, after: object, usesRuntime: true };
  });
}

function changedConstantNames(compiled: readonly CompiledUnit[]): Set<string> {
  return new Set(
    compiled.flatMap(({ before, after }) => {
      const { changedConstants, pairs } = compareObjects(before, after);
      return [...changedConstants]
        .filter((section) => pairs.beforeOf(section) !== undefined)
        .flatMap(({ symbols }) => symbols.filter(isGlobal).map(({ name }) => name));
    }),
  );
}

interface Reading {
  readonly units: readonly CompileUnit[];
  readonly touched: readonly CompileUnit[];
  readonly built: BuiltNames;
  readonly compile: CompileOptions;
}

/** Untouched sources that refer to one of the names. */
async function readersOf(
  names: ReadonlySet<string>,
  { units, touched, built, compile }: Reading,
): Promise<CompileUnit[]> {
  if (names.size === 0) return [];
  const rest = units.filter((unit) => !touched.includes(unit) && !isAssembler(unit));
  const wanted = await inParallel(rest, async (unit, index) => {
    const known = built.of(unit) ?? namesOf(await compileAgain(unit, "plain", compile, `reader-${index}`));
    return !known.wanted.isDisjointFrom(names);
  });
  return rest.filter((_, index) => wanted[index]);
}

function resolveFix({ fix }: VersionsInput, { cwd }: VersionsOptions): Fix {
  return {
    ...(fix.patch === undefined ? {} : { patch: resolve(cwd, fix.patch) }),
    ...(fix.to === undefined ? {} : { to: resolve(cwd, fix.to) }),
  };
}

function unitName(all: readonly CompiledUnit[], index: number, place: string): string {
  const { source } = (all[index] as CompiledUnit).unit;
  const path = source.startsWith(`${place}/`) ? source.slice(place.length + 1) : source;
  const same = all.slice(0, index).filter(({ unit }) => unit.source === source).length;
  return same === 0 ? path : `${path} (compiled in way ${same + 1})`;
}
