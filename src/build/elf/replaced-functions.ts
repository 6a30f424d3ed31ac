/** Which functions of the binary a fix replaces: found by their old code, refused by name where they are not. */
import { createHash } from "node:crypto";
import type { Refusal } from "../../base/refusal.ts";
import type { ElfFunction } from "../../hotpatch/elf-manifest.ts";
import type { BinaryImage } from "./binary-image.ts";
import type { TouchedUnit } from "./build-versions.ts";
import { type Comparison, functionsByName } from "./compare-objects.ts";
import { isColdPart, leadingSymbol, type ObjectSection } from "./object-file.ts";
import type { CarriedCode, PatchSource } from "./patch-object.ts";
import { linkedSize, ofSection, type SourceMatch } from "./resolve-expectations.ts";

/** A touched source and what was found of it in the binary. */
export interface BinarySource extends PatchSource {
  readonly unit: TouchedUnit;
  readonly match: SourceMatch;
}

export interface ReplacedSection {
  readonly after: ObjectSection;
  readonly before: ObjectSection;
}

/**
 * Changed code that the old version has.
 *
 * Compilers give functions that are the same one body with several names; where the fix makes two functions the same, both old ones lead to it.
 */
export function replacedSections({ before: old, after: fixed, changedCode, pairs }: Comparison): ReplacedSection[] {
  const olds = functionsByName(old);
  const joined = new Map<ObjectSection, Set<ObjectSection>>();
  for (const [name, after] of functionsByName(fixed)) {
    const before = olds.get(name);
    if (before !== undefined && before !== pairs.beforeOf(after) && pairs.afterOf(before) === undefined)
      joined.set(after, (joined.get(after) ?? new Set()).add(before));
  }
  return [...changedCode.keys()].flatMap((after) => {
    const paired = pairs.beforeOf(after);
    return [...(paired === undefined ? [] : [paired]), ...(joined.get(after) ?? [])]
      .filter(({ header }) => header.size > 0)
      .map((before) => ({ after, before }));
  });
}

/** Functions that are one body in the old version and that the fix makes different: their entry cannot lead to both. */
function partedFunctions({ comparison, name: source }: BinarySource): Refusal[] {
  const { before, after, pairs } = comparison;
  const olds = functionsByName(before);
  return [...functionsByName(after)].flatMap(([name, section]) => {
    const old = olds.get(name);
    const other = old && pairs.afterOf(old);
    if (old === undefined || other === undefined || other === section) return [];
    const kept = leadingSymbol(other)?.name ?? other.name;
    return [
      {
        code: "build/shared-code" as const,
        message: `${kept} and ${name} in ${source} are one body in the binary, and the fix makes them differ: whoever calls the one would get the other.`,
        details: { functions: [kept, name], source },
      },
    ];
  });
}

export function replacedFunctions(
  code: readonly CarriedCode[],
  sources: readonly BinarySource[],
  image: BinaryImage,
): { functions: ElfFunction[]; missing: Refusal[] } {
  const functions: ElfFunction[] = [];
  const missing: Refusal[] = [];
  for (const source of sources) {
    missing.push(...partedFunctions(source));
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
        reason: (source.comparison.changedCode.get(after) ?? "it changed").slice(0, 500),
        source: source.name,
      });
    }
    functions.push(...lostColdParts(source, image, functions));
  }
  return { functions: functions.sort((one, other) => one.address - other.address), missing };
}

/** Cold parts that the fixed version does not have: a thread inside one is inside its function. */
function lostColdParts(
  { comparison, match }: BinarySource,
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
    return [
      {
        name,
        address: found.address,
        sizeBytes,
        sha256,
        policy: "quiescent" as const,
        reason: "its function no longer has it",
      },
    ];
  });
}

export function notFound(name: string, source: BinarySource, image: BinaryImage): Refusal {
  const { plain, sections } = source.match;
  const found = Math.max(plain.foundBytes, sections.foundBytes);
  return {
    code: "build/not-matched",
    message: `${name} (${source.name}) changes and was not found in ${image.name}: ${plain.whyNot(name)}. Of that source, ${found} of ${plain.codeBytes} bytes of code were found; build with the very source, compiler and flags of the binary.`,
    details: { function: name, source: source.name, foundBytes: found, codeBytes: plain.codeBytes },
  };
}
