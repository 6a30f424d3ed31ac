/**
 * What differs between two compilations of one source, compiled with a section for each function and datum.
 *
 * Functions and variables are what they are by name; strings and constants by content.
 * So the order of sections, the numbers of local labels and the places of strings count for nothing, and a function is unchanged only if its bytes are, and everything that it refers to means the same.
 */
import { sectionFlag, sectionIndex } from "../../elf/constants.ts";
import { relocationTypes } from "../../elf/relocations.ts";
import {
  functionOfColdPart,
  isColdPart,
  isFunction,
  leadingSymbol,
  type ObjectFile,
  type ObjectSection,
  type Reference,
  referredSection,
} from "./object-file.ts";
import { pairSections, type SectionPairs } from "./pair-sections.ts";
import { mergeEntryAt, sameBytesBut } from "./section-bytes.ts";

export interface Comparison {
  readonly before: ObjectFile;
  readonly after: ObjectFile;
  readonly pairs: SectionPairs;
  /** Code of `after` that has to be exchanged or is new, with the reason. */
  readonly changedCode: ReadonlyMap<ObjectSection, string>;
  /** Constants of `after` that are not as they were, or new. */
  readonly changedConstants: ReadonlySet<ObjectSection>;
  /** Variables whose initial value is another one; of `after`. */
  readonly changedVariables: readonly ObjectSection[];
  readonly newVariables: readonly ObjectSection[];
  readonly newThreadVariables: readonly ObjectSection[];
  /** Constructors and destructors that differ. */
  readonly changedStart: readonly ObjectSection[];
}

type Answer = string | undefined;

class Comparer {
  readonly before: ObjectFile;
  readonly after: ObjectFile;
  readonly pairs: SectionPairs;
  readonly #known = new Map<ObjectSection, Map<ObjectSection, Answer>>();

  readonly #changedNames: ReadonlySet<string>;

  constructor(before: ObjectFile, after: ObjectFile, changedNames: ReadonlySet<string>) {
    this.before = before;
    this.after = after;
    this.#changedNames = changedNames;
    this.pairs = pairSections(before, after);
  }

  /** Why two sections differ; undefined when they do not. Sections that refer to each other in a circle are the same unless something in the circle is not. */
  difference(after: ObjectSection, before: ObjectSection): Answer {
    const known = this.#known.get(after) ?? new Map<ObjectSection, Answer>();
    this.#known.set(after, known);
    if (known.has(before)) return known.get(before);
    known.set(before, undefined);
    const answer = this.#compare(after, before);
    if (answer !== undefined) known.set(before, answer);
    return answer;
  }

  #compare(after: ObjectSection, before: ObjectSection): Answer {
    if (after.header.size !== before.header.size) return "its size is another one";
    if (after.references.length !== before.references.length) return "it refers to other things";
    if (!sameBytesBut(after, before)) return "its bytes differ";
    for (const [index, reference] of after.references.entries()) {
      const other = before.references[index] as Reference;
      if (reference.offset !== other.offset || reference.type !== other.type) return "it refers to other things";
      const answer = this.#sameTarget(reference, other, after.kind);
      if (answer !== undefined) return answer;
    }
    return undefined;
  }

  #sameTarget(after: Reference, before: Reference, from: ObjectSection["kind"]): Answer {
    const target = referredSection(this.after, after);
    const other = referredSection(this.before, before);
    if (target === undefined || other === undefined) {
      const same = after.symbol.name === before.symbol.name && after.addend === before.addend && target === other;
      if (same && this.#changedNames.has(after.symbol.name)) return `the constant ${after.symbol.name} changed`;
      return same ? undefined : `it refers to ${nameOf(after, target)} rather than ${nameOf(before, other)}`;
    }
    if (target.kind !== other.kind) return `it refers to ${nameOf(after, target)} rather than ${nameOf(before, other)}`;
    if (target.kind === "strings" || target.kind === "constants") return sameEntry(target, after, other, before);
    if (after.symbol.value + after.addend !== before.symbol.value + before.addend) return "it refers to other places";
    const paired = this.pairs.beforeOf(target) === other;
    if (paired && target.kind !== "constant") return undefined;
    if (target.kind !== "constant") return `it refers to ${nameOf(after, target)} rather than ${nameOf(before, other)}`;
    if (this.difference(target, other) === undefined) return undefined;
    return from === "code" ? `the constant ${nameOf(after, target)} changed` : "a constant that it refers to changed";
  }
}

function nameOf({ symbol }: Reference, section: ObjectSection | undefined): string {
  if (symbol.name !== "") return symbol.name;
  return (section && leadingSymbol(section)?.name) ?? section?.name ?? `symbol ${symbol.index}`;
}

function sameEntry(section: ObjectSection, after: Reference, other: ObjectSection, before: Reference): Answer {
  const entry = mergeEntryAt(section, after);
  const previous = mergeEntryAt(other, before);
  if (entry === undefined || previous === undefined) return "it refers to a constant whose place is not clear";
  return Buffer.compare(entry.bytes, previous.bytes) === 0 && entry.into === previous.into
    ? undefined
    : `a ${section.kind === "strings" ? "string" : "constant"} differs`;
}

/** Compares two compilations of one source; see the head of this file for what counts. `changedNames` are constants of other sources that are not as they were. */
export function compareObjects(
  before: ObjectFile,
  after: ObjectFile,
  changedNames: ReadonlySet<string> = new Set(),
): Comparison {
  const comparer = new Comparer(before, after, changedNames);
  const { pairs } = comparer;
  const changedCode = new Map<ObjectSection, string>();
  const changedConstants = new Set<ObjectSection>();
  const lists = {
    changedVariables: [] as ObjectSection[],
    newVariables: [] as ObjectSection[],
    newThreadVariables: [] as ObjectSection[],
    changedStart: [] as ObjectSection[],
  };
  for (const section of after.sections) {
    const other = pairs.beforeOf(section);
    const difference = other === undefined ? "it is new" : comparer.difference(section, other);
    if (section.header.size === 0 || difference === undefined) continue;
    if (section.kind === "code") changedCode.set(section, difference);
    else if (section.kind === "constant") changedConstants.add(section);
    else if (section.kind === "writable")
      (other === undefined ? lists.newVariables : lists.changedVariables).push(section);
    else if (section.kind === "tls")
      (other === undefined ? lists.newThreadVariables : lists.changedVariables).push(section);
    else if (section.kind === "start") lists.changedStart.push(section);
  }
  joinColdParts(after, changedCode);
  joinNames(comparer, changedCode);
  return { before, after, pairs, changedCode, changedConstants, ...lists };
}

/** A cold part jumps into its function and its function into it, so one cannot be exchanged without the other. */
function joinColdParts(object: ObjectFile, changed: Map<ObjectSection, string>): void {
  const byName = new Map<string, ObjectSection>();
  for (const section of object.sections)
    if (section.kind === "code") for (const { name } of section.symbols) byName.set(name, section);
  for (const [name, part] of byName) {
    if (!isColdPart(name)) continue;
    const whole = byName.get(functionOfColdPart(name));
    if (whole === undefined) continue;
    if (changed.has(whole) && !changed.has(part))
      changed.set(part, `${functionOfColdPart(name)} changed, of which it is a part`);
    if (changed.has(part) && !changed.has(whole)) changed.set(whole, `its part ${name} changed`);
  }
}

/** Code of the old version that has no other counterpart than a name of new code: both become one body, to which the old entry has to lead. */
function joinNames({ before, after, pairs }: Comparer, changed: Map<ObjectSection, string>): void {
  const olds = functionsByName(before);
  for (const [name, section] of functionsByName(after)) {
    const old = olds.get(name);
    if (old === undefined || old === pairs.beforeOf(section) || pairs.afterOf(old) !== undefined) continue;
    if (!changed.has(section)) changed.set(section, `it is ${name} as well now`);
  }
}

/** Functions by all their names; several names of one body lead to one section. */
export function functionsByName(object: ObjectFile): Map<string, ObjectSection> {
  const found = new Map<string, ObjectSection>();
  for (const section of object.sections) {
    const start = leadingSymbol(section)?.value;
    if (section.kind === "code")
      for (const symbol of section.symbols)
        if (isFunction(symbol) && symbol.value === start) found.set(symbol.name, section);
  }
  return found;
}

/** Sections that a linker fills: `common` symbols are variables without a section of their own (gABI chapter 4, SHN_COMMON). */
export function isCommon(reference: Reference): boolean {
  return reference.symbol.section === sectionIndex.common;
}

export function isThreadLocal(section: ObjectSection): boolean {
  return (section.header.flags & sectionFlag.tls) !== 0;
}

export function relocationName(type: number): string {
  return relocationTypes.get(type)?.name ?? `type ${type}`;
}
