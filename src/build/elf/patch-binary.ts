/** What a fix changes in one binary: match its sources, refuse what cannot be, make the object, resolve what it refers to. */
import { createHash } from "node:crypto";
import { type Refusal, RefusalError, refuse } from "../../base/refusal.ts";
import { sectionIndex } from "../../elf/constants.ts";
import type { ElfBinary, ElfFunction } from "../../hotpatch/elf-manifest.ts";
import type { BinaryImage } from "./binary-image.ts";
import type { BuiltVersions, TouchedUnit } from "./build-versions.ts";
import { type Comparison, compareObjects } from "./compare-objects.ts";
import { compileAgain } from "./compile-again.ts";
import { type CompileUnit, isAssembler } from "./compile-command.ts";
import { dataRefusals } from "./data-refusals.ts";
import { layoutRefusals } from "./layouts.ts";
import { matchObject, type ObjectMatch } from "./match-object.ts";
import { isColdPart, isGlobal, leadingSymbol, type ObjectSection } from "./object-file.ts";
import { type CarriedCode, PatchObjectBuilder, type PatchSource } from "./patch-object.ts";
import { linkedSize, ofSection, resolveExpectations, type SourceMatch } from "./resolve-expectations.ts";

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
  readonly notices: readonly string[];
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
}

interface Source extends PatchSource {
  readonly unit: TouchedUnit;
  readonly match: SourceMatch;
}

export async function patchBinary(input: PatchBinaryInput): Promise<BuiltBinary | Missed> {
  const { image, path, built } = input;
  const all = built.touched.map((unit) => openSource(unit, image));
  const changing = all.filter(({ comparison }) => comparison.changedCode.size > 0 || changesData(comparison));
  if (changing.length === 0) {
    const touched = built.touched.map(({ name }) => name).join(", ");
    return refuse(
      "build/nothing-changed",
      `The compiled code is the same before and after the fix${touched === "" ? "" : ` (compiled again: ${touched})`}.`,
    );
  }
  const present = withoutTwins(changing.filter((source) => stands(source)));
  if (present.length === 0) return { miss: nearest(changing, image) };
  const absent = changing.filter((source) => !stands(source) && suppliesTo(source, present));
  const sources = [...present, ...likest(absent, present)];
  const refusals = sources.flatMap(({ comparison, unit }) => [
    ...dataRefusals({ comparison, name: unit.name, assembler: isAssembler(unit.unit), image }),
    ...layoutRefusals({
      before: unit.before.elf,
      after: unit.after.elf,
      source: unit.name,
      shortLived: input.shortLived,
    }),
  ]);
  if (refusals.length > 0) throw new RefusalError(refusals);
  const builder = new PatchObjectBuilder(sources);
  for (const { comparison } of sources)
    for (const section of comparison.changedCode.keys())
      if (comparison.pairs.beforeOf(section) !== undefined) builder.carry(section);
  const object = builder.finish();
  const { functions, missing } = replacedFunctions(object.code, sources, image);
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
  const problems = [...missing, ...resolved.refusals];
  if (problems.length > 0) throw new RefusalError(problems);
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
    notices: noticesOf(sources, object.escaping),
    code: object.code.map(({ symbol, source, reason, before }) => ({
      name: symbol,
      source: source.name,
      reason,
      isNew: before === undefined,
    })),
    newVariables: object.newVariables,
  };
}

function openSource(unit: TouchedUnit, image: BinaryImage): Source {
  const comparison = compareObjects(unit.before, unit.after);
  const match = { plain: matchObject(unit.plainBefore, image), sections: matchObject(unit.before, image) };
  return {
    name: unit.name,
    unit,
    comparison,
    match,
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

/** Changed code that the old version has. */
function replacedSections({ changedCode, pairs }: Comparison): { after: ObjectSection; before: ObjectSection }[] {
  return [...changedCode.keys()].flatMap((after) => {
    const before = pairs.beforeOf(after);
    return before === undefined || before.header.size === 0 ? [] : [{ after, before }];
  });
}

/** Whether the source's old object is in the binary: any of its changed functions, or most of its code, was found. */
function stands(source: Source): boolean {
  const { plain, sections } = source.match;
  const replaced = replacedSections(source.comparison);
  if (replaced.some(({ before }) => ofSection(source.match, before) !== undefined)) return true;
  // Code that stands in several places may well be this source's: to leave it out without a word could be half a fix.
  if (replaced.some(({ before }) => /^its code stands in \d/.test(plain.whyNot(leadingSymbol(before)?.name ?? ""))))
    return true;
  return Math.max(plain.foundBytes, sections.foundBytes) * 2 > plain.codeBytes && plain.codeBytes > 0;
}

/** A source that the build compiles in two ways (for a shared and a static library) stands in the binary in one of them: the one that more is found of. */
function withoutTwins(sources: readonly Source[]): Source[] {
  const taken: { start: number; end: number; source: Source }[] = [];
  const kept = new Set<Source>();
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
function likest(sources: readonly Source[], others: readonly Source[]): Source[] {
  const flags = new Set(others.flatMap(({ unit }) => unit.unit.flags));
  const unlikeness = ({ unit }: Source): number => {
    const own = new Set(unit.unit.flags);
    return flags.symmetricDifference(own).size;
  };
  const best = new Map<string, Source>();
  for (const source of sources) {
    const rival = best.get(source.unit.unit.source);
    if (rival === undefined || unlikeness(source) < unlikeness(rival)) best.set(source.unit.unit.source, source);
  }
  return [...best.values()];
}

function foundShare({ match }: Source): number {
  return match.plain.codeBytes === 0 ? 0 : match.plain.foundBytes / match.plain.codeBytes;
}

/** Whether others need something that only this source's fixed version defines. */
function suppliesTo(source: Source, others: readonly Source[]): boolean {
  const fresh = new Set(
    [...source.comparison.changedCode.keys(), ...source.comparison.newVariables]
      .filter((section) => source.comparison.pairs.beforeOf(section) === undefined)
      .flatMap(({ symbols }) => symbols.filter(isGlobal).map(({ name }) => name)),
  );
  return others.some(({ comparison }) =>
    comparison.after.symbols.some(({ name, section }) => section === sectionIndex.undefined && fresh.has(name)),
  );
}

function nearest(sources: readonly Source[], image: BinaryImage): string {
  const best = sources.toSorted((one, other) => other.match.plain.foundBytes - one.match.plain.foundBytes)[0];
  if (best === undefined) return "";
  const { plain, sections } = best.match;
  const [first] = replacedSections(best.comparison);
  const name = (first && leadingSymbol(first.before)?.name) ?? "";
  const why = first === undefined ? "" : `; ${name}: ${plain.whyNot(name)}`;
  return `${image.name} is not built from this source with these flags: of ${best.name}, ${Math.max(plain.foundBytes, sections.foundBytes)} of ${plain.codeBytes} bytes of code stand in it${why}.`;
}

function replacedFunctions(
  code: readonly CarriedCode[],
  sources: readonly Source[],
  image: BinaryImage,
): { functions: ElfFunction[]; missing: Refusal[] } {
  const functions: ElfFunction[] = [];
  const missing: Refusal[] = [];
  for (const source of sources) {
    for (const { before, after } of replacedSections(source.comparison)) {
      const leading = leadingSymbol(before);
      const name = leading?.name ?? before.name;
      const found = ofSection(source.match, before);
      if (found?.kind !== "address") {
        // A COMDAT function may be the one of another object; then that one was found.
        const twin = before.group !== undefined && code.some((one) => one.symbol === name && one.source !== source);
        if (!twin) missing.push(notFound(name, source, image));
        continue;
      }
      if (functions.some(({ address }) => address === found.address)) continue;
      const carried = code.find(({ section }) => section === after);
      const sizeBytes = linkedSize(source.match, before);
      const bytes = image.bytesAt(found.address, sizeBytes);
      if (bytes === undefined) continue;
      functions.push({
        name: carried?.symbol ?? name,
        address: found.address,
        sizeBytes,
        sha256: createHash("sha256").update(bytes).digest("hex"),
        ...(isColdPart(name) || carried === undefined ? {} : { replacement: carried.symbol }),
        policy: "quiescent",
      });
    }
    functions.push(...lostColdParts(source, image, functions));
  }
  return { functions: functions.sort((one, other) => one.address - other.address), missing };
}

/** Cold parts that the fixed version does not have: a thread inside one is inside its function. */
function lostColdParts(
  { comparison, match }: Source,
  image: BinaryImage,
  known: readonly ElfFunction[],
): ElfFunction[] {
  return comparison.before.sections.flatMap((section) => {
    const name = leadingSymbol(section)?.name;
    if (
      section.kind !== "code" ||
      name === undefined ||
      !isColdPart(name) ||
      comparison.pairs.afterOf(section) !== undefined
    )
      return [];
    const found = ofSection(match, section);
    const sizeBytes = linkedSize(match, section);
    const bytes = found?.kind === "address" ? image.bytesAt(found.address, sizeBytes) : undefined;
    if (found?.kind !== "address" || bytes === undefined || known.some(({ address }) => address === found.address))
      return [];
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    return [{ name, address: found.address, sizeBytes, sha256, policy: "quiescent" as const }];
  });
}

function notFound(name: string, source: Source, image: BinaryImage): Refusal {
  const { plain, sections } = source.match;
  const found = Math.max(plain.foundBytes, sections.foundBytes);
  return {
    code: "build/not-matched",
    message: `${name} (${source.name}) changes and was not found in ${image.name}: ${plain.whyNot(name)}. Of that source, ${found} of ${plain.codeBytes} bytes of code were found; build with the very source, compiler and flags of the binary.`,
    details: { function: name, source: source.name, foundBytes: found, codeBytes: plain.codeBytes },
  };
}

/** The match of the untouched source that defines a global symbol. */
async function findDefinition(name: string, { image, built }: PatchBinaryInput): Promise<ObjectMatch | undefined> {
  const touched = new Set(built.touched.map(({ unit }) => unit));
  const rest = built.units.filter((unit) => !touched.has(unit));
  for (const [index, unit] of rest.entries()) {
    const object = await plainObject(unit, index, built);
    if (
      !object.symbols.some(
        (symbol) => symbol.name === name && symbol.section !== sectionIndex.undefined && isGlobal(symbol),
      )
    )
      continue;
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

function noticesOf(sources: readonly Source[], escaping: readonly string[]): string[] {
  const notices = sources.flatMap(({ comparison, name }) => startNotices(comparison, name));
  for (const name of escaping)
    notices.push(
      `The address of the new function ${name} is taken; what keeps it beyond the call must be gone before a revert.`,
    );
  return notices;
}

function startNotices(comparison: Comparison, name: string): string[] {
  const changed = [...comparison.changedCode.keys()].map((section) => leadingSymbol(section)?.name);
  const notices: string[] = [];
  if (comparison.changedStart.length > 0)
    notices.push(
      `${name}: what runs when the program is loaded changed; it has run already in a process that gets this hotpatch.`,
    );
  if (changed.includes("main"))
    notices.push(
      `${name}: main changes; it runs once and is left at the end only, so that its own changes do not reach a running process.`,
    );
  return notices;
}
