/**
 * Layouts of structs and classes before and after the fix.
 *
 * Objects that exist in the running process have the old layout, so code that expects the new one would read and write beside them.
 * A struct is harmless only where its objects live no longer than a call: it is a local variable somewhere, and nothing that lasts holds it or points to it.
 */
import type { Refusal } from "../../base/refusal.ts";
import type { ElfFile } from "../../elf/elf-file.ts";
import { attribute, type DebugEntry, type DebugInformation, readDebugInformation, tag } from "./debug-entries.ts";

interface Layout {
  readonly name: string;
  readonly size: number;
  readonly members: readonly string[];
}

export interface LayoutCheck {
  readonly before: ElfFile;
  readonly after: ElfFile;
  readonly source: string;
  /** Names of structs that the author vouches for. */
  readonly shortLived: readonly string[];
}

export function layoutRefusals({ before, after, source, shortLived }: LayoutCheck): Refusal[] {
  const old = readDebugInformation(before);
  const olds = layouts(old);
  const news = layouts(readDebugInformation(after));
  const lasting = lastingTypes(old);
  return [...news].flatMap(([name, layout]) => {
    const previous = olds.get(name);
    const difference = previous && layoutDifference(previous, layout);
    if (difference === undefined || shortLived.includes(name) || !lasting.has(name)) return [];
    return [
      {
        code: "build/changed-layout" as const,
        message: `The layout of ${name} changes in ${source}: ${difference}. Objects of it that exist in a running process keep the old one. Where they live no longer than a call, say so with --short-lived ${name}; otherwise restart.`,
        details: { type: name, source },
      },
    ];
  });
}

function layoutDifference(before: Layout, after: Layout): string | undefined {
  if (before.size !== after.size) return `its size goes from ${before.size} to ${after.size} bytes`;
  const index = after.members.findIndex((member, place) => member !== before.members[place]);
  if (index < 0 && before.members.length === after.members.length) return undefined;
  return `${before.members[index] ?? "nothing"} becomes ${after.members[index] ?? "nothing"}`;
}

const composite: ReadonlySet<number> = new Set([tag.structureType, tag.classType, tag.unionType]);
const wrappers: ReadonlySet<number> = new Set([tag.typedef, tag.constType, tag.volatileType]);

function text(entry: DebugEntry | undefined, name: number): string | undefined {
  const value = entry?.attributes.get(name);
  return typeof value === "string" ? value : undefined;
}

function number(entry: DebugEntry | undefined, name: number): number | undefined {
  const value = entry?.attributes.get(name);
  return typeof value === "number" ? value : undefined;
}

function typeOf(entry: DebugEntry, information: DebugInformation): DebugEntry | undefined {
  const place = number(entry, attribute.type);
  return place === undefined ? undefined : information.byOffset.get(place);
}

/** The name of a struct: its tag, or that of the typedef around one without. */
function namesOf(information: DebugInformation): Map<DebugEntry, string> {
  const names = new Map<DebugEntry, string>();
  for (const entry of information.byOffset.values()) {
    const own = text(entry, attribute.name);
    if (composite.has(entry.tag) && own !== undefined) names.set(entry, own);
    const target = entry.tag === tag.typedef ? typeOf(entry, information) : undefined;
    if (
      target !== undefined &&
      own !== undefined &&
      composite.has(target.tag) &&
      text(target, attribute.name) === undefined
    )
      names.set(target, own);
  }
  return names;
}

function layouts(information: DebugInformation): Map<string, Layout> {
  const found = new Map<string, Layout>();
  for (const [entry, name] of namesOf(information)) {
    const size = number(entry, attribute.byteSize);
    if (size === undefined || entry.attributes.has(attribute.declaration)) continue;
    found.set(name, { name, size, members: membersOf(entry, information, 0) });
  }
  return found;
}

const maxDepth = 16;

function membersOf(entry: DebugEntry, information: DebugInformation, depth: number): string[] {
  return entry.children
    .filter((child) => child.tag === tag.member || child.tag === tag.inheritance)
    .filter(
      (child) =>
        child.attributes.has(attribute.dataMemberLocation) ||
        child.attributes.has(attribute.dataBitOffset) ||
        entry.tag === tag.unionType,
    )
    .map((child) => {
      const at = number(child, attribute.dataMemberLocation) ?? 0;
      const bits = child.attributes.has(attribute.bitSize)
        ? `, bits ${number(child, attribute.dataBitOffset) ?? 0} to +${number(child, attribute.bitSize)}`
        : "";
      return `${text(child, attribute.name) ?? "an unnamed member"} at ${at}${bits} (${shape(typeOf(child, information), information, depth)})`;
    });
}

/** What matters of a member's type: its kind and extent, not where a pointer leads. */
function shape(entry: DebugEntry | undefined, information: DebugInformation, depth: number): string {
  if (entry === undefined) return "void";
  if (wrappers.has(entry.tag)) return shape(typeOf(entry, information), information, depth);
  if (entry.tag === tag.pointerType) return "pointer";
  if (entry.tag === tag.arrayType) {
    const counts = entry.children
      .filter((child) => child.tag === tag.subrangeType)
      .map((child) => number(child, attribute.count) ?? (number(child, attribute.upperBound) ?? -1) + 1);
    return `${counts.join(" by ")} of ${shape(typeOf(entry, information), information, depth)}`;
  }
  if (composite.has(entry.tag)) {
    const size = `${number(entry, attribute.byteSize) ?? 0} bytes`;
    return depth >= maxDepth ? size : `${size}: ${membersOf(entry, information, depth + 1).join("; ")}`;
  }
  return entry.tag === tag.baseType || entry.tag === tag.enumerationType
    ? `${number(entry, attribute.byteSize) ?? 0} bytes`
    : "pointer";
}

/** Structs whose objects may outlive a call, by name. */
function lastingTypes(information: DebugInformation): Set<string> {
  const names = namesOf(information);
  const local = new Set<string>();
  const lasting = new Set<string>();
  const heldBy = new Map<string, Set<string>>();
  for (const entry of information.byOffset.values()) {
    const target = reached(typeOf(entry, information), information);
    const name = target && names.get(target.entry);
    if (name === undefined || target === undefined) continue;
    if (entry.tag === tag.variable) {
      const inFunction = within(entry, tag.subprogram) && text(entry, attribute.location) !== "fixed";
      if (!inFunction) lasting.add(name);
      else if (!target.byPointer) local.add(name);
    } else if (entry.tag === tag.subprogram) lasting.add(name);
    else if (entry.tag === tag.member && entry.parent !== undefined) {
      const holder = names.get(entry.parent) ?? "";
      heldBy.set(name, (heldBy.get(name) ?? new Set()).add(holder));
    }
  }
  for (const name of names.values()) if (!local.has(name)) lasting.add(name);
  for (let progress = true; progress; ) {
    progress = false;
    for (const [name, holders] of heldBy)
      if (!lasting.has(name) && [...holders].some((holder) => holder === "" || lasting.has(holder))) {
        lasting.add(name);
        progress = true;
      }
  }
  return lasting;
}

function within(entry: DebugEntry, wanted: number): boolean {
  for (let parent = entry.parent; parent !== undefined; parent = parent.parent) if (parent.tag === wanted) return true;
  return false;
}

/** The struct behind names, arrays and pointers. */
function reached(
  entry: DebugEntry | undefined,
  information: DebugInformation,
): { entry: DebugEntry; byPointer: boolean } | undefined {
  let byPointer = false;
  let current = entry;
  for (let depth = 0; current !== undefined && depth < maxDepth; depth++) {
    if (composite.has(current.tag)) return { entry: current, byPointer };
    if (current.tag === tag.pointerType) byPointer = true;
    current = typeOf(current, information);
  }
  return undefined;
}
