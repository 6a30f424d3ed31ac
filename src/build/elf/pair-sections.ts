/**
 * Which section of the fixed object is which of the old one.
 *
 * By name first; what compilers number (static variables inside functions, clones) then by who uses it and in which order.
 */
import { refuse } from "../../base/refusal.ts";
import { leadingSymbol, type ObjectFile, type ObjectSection, referredSection, withoutNumber } from "./object-file.ts";
import { sameBytesBut } from "./section-bytes.ts";

export interface SectionPairs {
  beforeOf(after: ObjectSection): ObjectSection | undefined;
  afterOf(before: ObjectSection): ObjectSection | undefined;
}

export function pairSections(before: ObjectFile, after: ObjectFile): SectionPairs {
  const forth = new Map<ObjectSection, ObjectSection>();
  const back = new Map<ObjectSection, ObjectSection>();
  const join = (old: ObjectSection, fixed: ObjectSection): void => {
    forth.set(old, fixed);
    back.set(fixed, old);
  };
  const olds = byKey(before);
  for (const [key, fixed] of byKey(after)) {
    const old = olds.get(key);
    if (old !== undefined && !isNumbered(fixed)) join(old, fixed);
  }
  for (const round of [sameUse, sameOrder]) {
    for (const [old, fixed] of [...forth]) {
      if (fixed.kind !== "code") continue;
      for (const [one, other] of round({ before, after, old, fixed }))
        if (!forth.has(one) && !back.has(other)) join(one, other);
    }
  }
  joinRemaining({ before, after, forth, back, join });
  return { beforeOf: (section) => back.get(section), afterOf: (section) => forth.get(section) };
}

/** `count.3` is numbered, a clone such as `parse.part.0` is, and `crc32` is not. */
function isNumbered(section: ObjectSection): boolean {
  const name = leadingSymbol(section)?.name;
  return name !== undefined && withoutNumber(name) !== name;
}

function keyOf(section: ObjectSection): string {
  const name = leadingSymbol(section)?.name;
  return name === undefined ? `section ${section.name}` : `symbol ${name}`;
}

function byKey(object: ObjectFile): Map<string, ObjectSection> {
  return new Map(object.sections.map((section) => [keyOf(section), section]));
}

interface Users {
  readonly before: ObjectFile;
  readonly after: ObjectFile;
  readonly old: ObjectSection;
  readonly fixed: ObjectSection;
}

type Found = readonly (readonly [ObjectSection, ObjectSection])[];

/** In two functions with the same code, what stands at the same place is the same. */
function sameUse({ before, after, old, fixed }: Users): Found {
  if (old.header.size !== fixed.header.size || old.references.length !== fixed.references.length) return [];
  if (!sameBytesBut(fixed, old)) return [];
  return fixed.references.flatMap((reference, index) => {
    const other = old.references[index];
    const target = referredSection(after, reference);
    const previous = other && referredSection(before, other);
    return target !== undefined && previous !== undefined && alike(previous, target)
      ? [[previous, target] as const]
      : [];
  });
}

/** In a function that changed, the first static variable of a name stays the first; where their number changed, nobody can say. */
function sameOrder({ before, after, old, fixed }: Users): Found {
  const names = new Set(numberedIn(after, fixed).map(baseName));
  return [...names].flatMap((name) => {
    const targets = numberedIn(after, fixed).filter((section) => baseName(section) === name);
    const previous = numberedIn(before, old).filter((section) => baseName(section) === name);
    if (targets.length === previous.length || previous.length === 0)
      return targets.flatMap((target, index) => {
        const one = previous[index];
        return one !== undefined && alike(one, target) ? [[one, target] as const] : [];
      });
    if (targets.some(({ kind }) => kind === "writable"))
      refuse(
        "build/ambiguous-variable",
        `${leadingSymbol(fixed)?.name ?? fixed.name} in ${after.name} has ${targets.length} static variables named ${name} after the fix and ${previous.length} before it, and which is which cannot be told. Give the new one another name.`,
      );
    return [];
  });
}

function numberedIn(object: ObjectFile, section: ObjectSection): ObjectSection[] {
  const found = section.references.flatMap((reference) => referredSection(object, reference) ?? []);
  return [...new Set(found)].filter(isNumbered);
}

function baseName(section: ObjectSection): string {
  return withoutNumber(leadingSymbol(section)?.name ?? "");
}

function alike(one: ObjectSection, other: ObjectSection): boolean {
  return one.kind === other.kind && baseName(one) === baseName(other) && isNumbered(one) && isNumbered(other);
}

interface Remaining {
  readonly before: ObjectFile;
  readonly after: ObjectFile;
  readonly forth: ReadonlyMap<ObjectSection, ObjectSection>;
  readonly back: ReadonlyMap<ObjectSection, ObjectSection>;
  join(old: ObjectSection, fixed: ObjectSection): void;
}

/** What is used by nothing that could tell keeps its whole name, and its base name where only one on each side has it. */
function joinRemaining({ before, after, forth, back, join }: Remaining): void {
  const olds = byKey(before);
  for (const fixed of after.sections) {
    const old = olds.get(keyOf(fixed));
    if (
      old !== undefined &&
      !forth.has(old) &&
      !back.has(fixed) &&
      old.kind === fixed.kind &&
      old.header.size === fixed.header.size
    )
      join(old, fixed);
  }
  for (const fixed of after.sections) {
    if (back.has(fixed) || !isNumbered(fixed)) continue;
    const olds = before.sections.filter((old) => !forth.has(old) && alike(old, fixed));
    const rivals = after.sections.filter((one) => !back.has(one) && alike(one, fixed));
    if (olds.length === 1 && rivals.length === 1 && olds[0] !== undefined) join(olds[0], fixed);
  }
}
