/** What a fix changes in one binary: match its sources, refuse what cannot be, make the object, resolve what it refers to. */
import { type Refusal, RefusalError, refuse } from "../../base/refusal.ts";
import { sectionIndex } from "../../elf/constants.ts";
import type { ElfBinary, ElfChange, ElfFunction, ElfHook } from "../../hotpatch/elf-manifest.ts";
import type { BinaryImage } from "./binary-image.ts";
import type { BuiltVersions, TouchedUnit } from "./build-versions.ts";
import { namesOf } from "./built-names.ts";
import { type Comparison, compareObjects } from "./compare-objects.ts";
import { compileAgain } from "./compile-again.ts";
import { type CompileUnit, isAssembler } from "./compile-command.ts";
import { dataRefusals } from "./data-refusals.ts";
import { handledBy, hookSections, manifestHooks, releasesOf, splitHandled } from "./hooks.ts";
import { compareLayouts } from "./layouts.ts";
import { inlinedElsewhere } from "./link-time-callers.ts";
import { sourcesOfBinary } from "./linked-sources.ts";
import { matchObject, type ObjectMatch } from "./match-object.ts";
import { isGlobal, leadingSymbol, type ObjectFile } from "./object-file.ts";
import { type PatchObject, PatchObjectBuilder } from "./patch-object.ts";
import { processNotices } from "./process-notices.ts";
import { type BinarySource, notFound, replacedFunctions, replacedSections } from "./replaced-functions.ts";
import { linkedSize, ofSection, resolveExpectations } from "./resolve-expectations.ts";
import { watchedFunctions } from "./watched-functions.ts";

export interface CodeReport {
  readonly name: string;
  readonly source: string;
  readonly reason: string;
  readonly isNew: boolean;
}

export interface BuiltBinary {
  readonly binary: ElfBinary;
  readonly path: string;
  readonly object: Uint8Array;
  /** Names of the sources whose code it changes. */
  readonly sources: readonly string[];
  readonly notices: readonly string[];
  readonly hooks: ElfChange["hooks"];
  /** Those of its hooks that give back what our own runtimes hold: each binary's object has runtimes of its own. */
  readonly releases: readonly ElfHook[];
  readonly code: readonly CodeReport[];
  readonly newVariables: readonly { readonly name: string; readonly size: number }[];
}

/** The fix touches nothing of the binary; `miss` is a sentence. */
export interface Missed {
  readonly miss: string;
}

export interface PatchBinaryInput {
  readonly image: BinaryImage;
  readonly path: string;
  readonly built: BuiltVersions;
  /** Structs that the author vouches for: their objects live no longer than a call. */
  readonly shortLived: readonly string[];
  /** Such as `struct:foo`: changes that hooks take care of, by the author's word. */
  readonly handled: readonly string[];
}

export async function patchBinary(input: PatchBinaryInput): Promise<BuiltBinary | Missed> {
  const { image, path, built } = input;
  const all = built.touched.map((unit) => openSource(unit, image, built.changedNames));
  const linked = sourcesOfBinary(image, path, built);
  const stands = (source: BinarySource): boolean => standsIn(source, linked?.all.has(source.unit.unit.source));
  const changing = all.filter(
    ({ comparison, unit }) => !unit.isHooks && (comparison.changedCode.size > 0 || changesData(comparison)),
  );
  if (changing.length === 0) refuseUnchanged(built);
  const present = withoutTwins(changing.filter((source) => stands(source)));
  if (present.length === 0) return { miss: nearest(changing, image) };
  const absent = changing.filter((source) => !stands(source) && suppliesTo(source, present));
  const hooks = all.filter(({ unit }) => unit.isHooks);
  const hookObjects = hooks.map(({ unit }) => unit.after);
  const own = [...present, ...likest(absent, present)];
  const sources = [...own, ...hooks];
  const knowing = [...own, ...all.filter((source) => !sources.includes(source) && stands(source))];
  const layouts = compareLayouts(
    knowing.map(({ unit }) => unit),
    input.shortLived,
  );
  const handled = checkChanges(sources, layouts.refusals, input, hookObjects);
  const { object, releases } = carryChanges(sources, hookObjects, image);
  const { functions, missing } = replacedFunctions(object.code, sources, image);
  missing.push(...watchHolders(knowing, layouts.watched, image, functions));
  const inlined = await inlinedElsewhere(own, input.built, image);
  const elsewhere = new Map<string, Promise<ObjectMatch | undefined>>();
  const resolved = await resolveExpectations(object.expectations, {
    binary: image,
    binaryPath: path,
    matches: new Map(all.map(({ name, match }) => [name, match])),
    findElsewhere: (name) => {
      const known = elsewhere.get(name) ?? findDefinition(name, input);
      elsewhere.set(name, known);
      return known;
    },
  });
  const problems = [...missing, ...inlined, ...resolved.refusals];
  if (problems.length > 0) throw new RefusalError(problems);
  if (functions.length === 0 && object.code.length === 0)
    refuse("build/nothing-changed", `Nothing that runs in ${image.name} changes: the fix adds what nothing calls.`);
  return {
    binary: {
      name: image.soname ?? image.name,
      buildId: image.buildId ?? "",
      type: image.type,
      object: `${(image.soname ?? image.name).replace(/[^0-9A-Za-z._@+-]/g, "_").replace(/^[^0-9A-Za-z]/, "x")}.o`,
      functions,
      symbols: [...resolved.symbols],
    },
    path,
    object: object.bytes,
    sources: own.map(({ name }) => name),
    notices: [
      ...processNotices({ image, path, built, sources: own, functions, symbols: resolved.symbols }),
      ...object.escaping.map(escapingNotice),
      ...handled,
    ],
    hooks: manifestHooks(image.soname ?? image.name, hookObjects, object, releases),
    releases: manifestHooks(image.soname ?? image.name, [], object, releases).release ?? [],
    code: object.code.map(({ symbol, source, reason, before }) => ({
      name: symbol,
      source: source.name,
      reason,
      isNew: before === undefined,
    })),
    newVariables: object.newVariables,
  };
}

/** Adds the functions that hold an object whose layout changes to `functions`; answers those that were not found. */
function watchHolders(
  sources: readonly BinarySource[],
  holders: ReadonlyMap<string, ReadonlySet<string>>,
  image: BinaryImage,
  functions: ElfFunction[],
): Refusal[] {
  const missing = sources.flatMap((source) => {
    const { comparison, match, name } = source;
    const watched = watchedFunctions({
      comparison,
      match,
      image,
      names: holders.get(name) ?? new Set(),
      known: functions,
    });
    functions.push(...watched.functions);
    return watched.unfound.map((unfound) => notFound(unfound, source, image));
  });
  functions.sort((one, other) => one.address - other.address);
  return missing;
}

function refuseUnchanged({ touched }: BuiltVersions): never {
  const names = touched.map(({ name }) => name).join(", ");
  return refuse(
    "build/nothing-changed",
    `The compiled code is the same before and after the fix${names === "" ? "" : ` (compiled again: ${names})`}.`,
  );
}

/** Refuses what exchanging code cannot bring about; what the hooks take care of by the author's word comes back as sentences. */
function checkChanges(
  sources: readonly BinarySource[],
  layoutRefusals: readonly Refusal[],
  { image, handled }: PatchBinaryInput,
  hookObjects: readonly ObjectFile[],
): readonly string[] {
  const refusals = sources.flatMap(({ comparison, unit }) =>
    dataRefusals({
      comparison,
      name: unit.name,
      assembler: isAssembler(unit.unit),
      image,
      noThreadVariables: unit.noThreadVariables,
    }),
  );
  const { left, notices } = splitHandled(
    [...refusals, ...layoutRefusals],
    [...handled, ...hookObjects.flatMap(handledBy)],
  );
  if (left.length > 0) throw new RefusalError(left);
  return notices;
}

/** The object with the changed code of all sources and the hooks, and what they lead to. */
function carryChanges(
  sources: readonly BinarySource[],
  hookObjects: readonly ObjectFile[],
  image: BinaryImage,
): { object: PatchObject; releases: ReturnType<typeof releasesOf> } {
  const builder = new PatchObjectBuilder(sources, { isLibrary: image.type === "library" });
  for (const { comparison } of sources) for (const { after } of replacedSections(comparison)) builder.carry(after);
  for (const section of hookSections(hookObjects)) builder.carry(section);
  const releases = releasesOf(builder.code);
  for (const release of releases) builder.carry(release);
  return { object: builder.finish(), releases };
}

function openSource(unit: TouchedUnit, image: BinaryImage, changedNames: ReadonlySet<string>): BinarySource {
  const comparison = compareObjects(unit.before, unit.after, changedNames);
  const match = { plain: matchObject(unit.plainBefore, image), sections: matchObject(unit.before, image) };
  return {
    name: unit.name,
    unit,
    comparison,
    match,
    reachesStatics: unit.isHooks,
    has: (section) => {
      const before = comparison.pairs.beforeOf(section);
      return (
        before !== undefined &&
        !comparison.changedConstants.has(section) &&
        leadingSymbol(before) !== undefined &&
        ofSection(match, before)?.kind === "address"
      );
    },
  };
}

function changesData({ changedVariables, changedConstants, changedStart }: Comparison): boolean {
  return changedVariables.length + changedConstants.size + changedStart.length > 0;
}

/**
 * Whether the source's old object is in the binary: any of its changed functions, or most of its code, was found.
 *
 * `isLinked` is what the build's record says, undefined where it has no such binary; it does not know libraries that were named by -l.
 */
function standsIn(source: BinarySource, isLinked: boolean | undefined): boolean {
  const { plain, sections } = source.match;
  const foundBytes = Math.max(plain.foundBytes, sections.foundBytes);
  const replaced = replacedSections(source.comparison);
  if (replaced.some(({ before }) => ofSection(source.match, before) !== undefined)) return true;
  // Code that stands in several places may well be this source's: to leave it out without a word could be half a fix.
  // Where it was not linked and nothing else of it is there, a small piece is the same by chance.
  const isAmbiguous = replaced.some(({ before }) => plain.isAmbiguous(leadingSymbol(before)?.name ?? ""));
  if (isAmbiguous && (isLinked !== false || foundBytes > 0)) return true;
  return foundBytes * 2 > plain.codeBytes && plain.codeBytes > 0;
}

/** A source that the build compiles in two ways (for a shared and a static library) stands in the binary in one of them: the one that more is found of. */
function withoutTwins(sources: readonly BinarySource[]): BinarySource[] {
  const taken: { start: number; end: number; source: BinarySource }[] = [];
  const kept = new Set<BinarySource>();
  for (const source of sources.toSorted((one, other) => foundShare(other) - foundShare(one))) {
    const ranges = replacedSections(source.comparison).flatMap(({ before }) => {
      const found = ofSection(source.match, before);
      const end = (address: number): number => address + linkedSize(source.match, before);
      return found?.kind === "address" ? [{ start: found.address, end: end(found.address), source }] : [];
    });
    const isTwin = ranges.some(({ start, end }) =>
      taken.some(
        (one) => one.source.unit.unit.source === source.unit.unit.source && start < one.end && one.start < end,
      ),
    );
    if (isTwin) continue;
    taken.push(...ranges);
    kept.add(source);
  }
  return sources.filter((source) => kept.has(source));
}

/** Of sources that only the fixed version has, and that are compiled in several ways, the way that is nearest to that of the others. */
function likest(sources: readonly BinarySource[], others: readonly BinarySource[]): BinarySource[] {
  const flags = new Set(others.flatMap(({ unit }) => unit.unit.flags));
  const unlikeness = ({ unit }: BinarySource): number => {
    const own = new Set(unit.unit.flags);
    return flags.symmetricDifference(own).size;
  };
  const best = new Map<string, BinarySource>();
  for (const source of sources) {
    const rival = best.get(source.unit.unit.source);
    if (rival === undefined || unlikeness(source) < unlikeness(rival)) best.set(source.unit.unit.source, source);
  }
  return [...best.values()];
}

function foundShare({ match }: BinarySource): number {
  return match.plain.codeBytes === 0 ? 0 : match.plain.foundBytes / match.plain.codeBytes;
}

/** Whether others need something that only this source's fixed version defines. */
function suppliesTo(source: BinarySource, others: readonly BinarySource[]): boolean {
  const fresh = new Set(
    [...source.comparison.changedCode.keys(), ...source.comparison.newVariables]
      .filter((section) => source.comparison.pairs.beforeOf(section) === undefined)
      .flatMap(({ symbols }) => symbols.filter(isGlobal).map(({ name }) => name)),
  );
  return others.some(({ comparison }) =>
    comparison.after.symbols.some(({ name, section }) => section === sectionIndex.undefined && fresh.has(name)),
  );
}

function nearest(sources: readonly BinarySource[], image: BinaryImage): string {
  const best = sources.toSorted((one, other) => other.match.plain.foundBytes - one.match.plain.foundBytes)[0];
  if (best === undefined) return "";
  const { plain, sections } = best.match;
  const [first] = replacedSections(best.comparison);
  const name = (first && leadingSymbol(first.before)?.name) ?? "";
  const why = first === undefined ? "" : `; ${name}: ${plain.whyNot(name)}`;
  return `${image.name} is not built from this source with these flags: of ${best.name}, ${Math.max(plain.foundBytes, sections.foundBytes)} of ${plain.codeBytes} bytes of code stand in it${why}.`;
}

/** The match of the untouched source that defines a global symbol. */
async function findDefinition(name: string, { image, built }: PatchBinaryInput): Promise<ObjectMatch | undefined> {
  const touched = new Set(built.touched.map(({ unit }) => unit));
  const rest = built.units.filter((unit) => !touched.has(unit));
  for (const [index, unit] of rest.entries()) {
    if (built.names.of(unit)?.defined.has(name) === false) continue;
    const object = await plainObject(unit, index, built);
    if (!namesOf(object).defined.has(name)) continue;
    const match = matchObject(object, image);
    if (match.foundBytes > 0) return match;
  }
  return undefined;
}

const plainObjects = new WeakMap<CompileUnit, ReturnType<typeof compileAgain>>();

function plainObject(unit: CompileUnit, index: number, built: BuiltVersions): ReturnType<typeof compileAgain> {
  const known = plainObjects.get(unit) ?? compileAgain(unit, "plain", built.options, `other-${index}`);
  plainObjects.set(unit, known);
  return known;
}

function escapingNotice(name: string): string {
  return `The address of the new function ${name} is taken; what keeps it beyond the call must be gone before a revert.`;
}
