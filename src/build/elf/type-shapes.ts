/** Types as debug information tells of them: their names, and what of them matters to objects that exist. */
import { attribute, type DebugEntry, type DebugInformation, tag } from "./debug-entries.ts";

export interface Layout {
  readonly name: string;
  readonly size: number;
  readonly members: readonly string[];
}

export const composite: ReadonlySet<number> = new Set([tag.structureType, tag.classType, tag.unionType]);
const scopes: ReadonlySet<number> = new Set([...composite, tag.namespace]);
const wrappers: ReadonlySet<number> = new Set([tag.typedef, tag.constType, tag.volatileType]);
const maxDepth = 16;

export function textOf(entry: DebugEntry | undefined, name: number): string | undefined {
  const value = entry?.attributes.get(name);
  return typeof value === "string" ? value : undefined;
}

export function numberOf(entry: DebugEntry | undefined, name: number): number | undefined {
  const value = entry?.attributes.get(name);
  return typeof value === "number" ? value : undefined;
}

export function typeOf(entry: DebugEntry, information: DebugInformation): DebugEntry | undefined {
  const place = numberOf(entry, attribute.type);
  return place === undefined ? undefined : information.byOffset.get(place);
}

/** With the namespaces and classes around it, as C++ writes it. */
export function qualifiedName(entry: DebugEntry): string | undefined {
  const own = textOf(entry, attribute.name);
  if (own === undefined) return undefined;
  const names = [own];
  for (let { parent } = entry; parent !== undefined; parent = parent.parent)
    if (scopes.has(parent.tag)) names.unshift(textOf(parent, attribute.name) ?? "(anonymous)");
  return names.join("::");
}

/** The name of a struct, class, union or enum: its tag, or that of the typedef around one without. */
export function typeNames(information: DebugInformation): Map<DebugEntry, string> {
  const names = new Map<DebugEntry, string>();
  for (const entry of information.byOffset.values()) {
    const own = qualifiedName(entry);
    if (own === undefined) continue;
    if (composite.has(entry.tag) || entry.tag === tag.enumerationType) names.set(entry, own);
    const target = entry.tag === tag.typedef ? typeOf(entry, information) : undefined;
    const unnamed = target !== undefined && textOf(target, attribute.name) === undefined;
    if (unnamed && (composite.has(target.tag) || target.tag === tag.enumerationType)) names.set(target, own);
  }
  return names;
}

/** Structs, classes and unions by name; those that are only declared are left out. */
export function layouts(information: DebugInformation): Map<string, Layout> {
  const found = new Map<string, Layout>();
  for (const [entry, name] of typeNames(information)) {
    const size = numberOf(entry, attribute.byteSize);
    if (!composite.has(entry.tag) || size === undefined || entry.attributes.has(attribute.declaration)) continue;
    found.set(name, { name, size, members: membersOf(entry, information, 0) });
  }
  return found;
}

/** The numbers of each enum's names. */
export function enumerations(information: DebugInformation): Map<string, ReadonlyMap<string, number | string>> {
  const found = new Map<string, ReadonlyMap<string, number | string>>();
  for (const [entry, name] of typeNames(information)) {
    if (entry.tag !== tag.enumerationType || entry.attributes.has(attribute.declaration)) continue;
    const values = entry.children.flatMap((child) => {
      const value = numberOf(child, attribute.constValue) ?? textOf(child, attribute.constValue);
      return child.tag === tag.enumerator && value !== undefined
        ? [[textOf(child, attribute.name) ?? "", value] as const]
        : [];
    });
    found.set(name, new Map(values));
  }
  return found;
}

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
      const at = numberOf(child, attribute.dataMemberLocation) ?? 0;
      const bits = child.attributes.has(attribute.bitSize)
        ? `, bits ${numberOf(child, attribute.dataBitOffset) ?? 0} to +${numberOf(child, attribute.bitSize)}`
        : "";
      return `${textOf(child, attribute.name) ?? "an unnamed member"} at ${at}${bits} (${shape(typeOf(child, information), information, depth)})`;
    });
}

/** What matters of a type: its kind and extent, not where a pointer leads, nor whether a number has a sign. */
export function shape(entry: DebugEntry | undefined, information: DebugInformation, depth = 0): string {
  if (entry === undefined) return "void";
  if (wrappers.has(entry.tag)) return shape(typeOf(entry, information), information, depth);
  if (entry.tag === tag.arrayType) {
    const counts = entry.children
      .filter((child) => child.tag === tag.subrangeType)
      .map((child) => numberOf(child, attribute.count) ?? (numberOf(child, attribute.upperBound) ?? -1) + 1);
    return `${counts.join(" by ")} of ${shape(typeOf(entry, information), information, depth)}`;
  }
  const bytes = `${numberOf(entry, attribute.byteSize) ?? 0} bytes`;
  if (composite.has(entry.tag))
    return depth >= maxDepth ? bytes : `${bytes}: ${membersOf(entry, information, depth + 1).join("; ")}`;
  if (entry.tag === tag.enumerationType) return bytes;
  if (entry.tag !== tag.baseType) return "pointer";
  // DW_ATE_float and its relatives (DWARF 5 §7.8, table 7.11).
  return [3, 4, 9, 10, 15].includes(numberOf(entry, attribute.encoding) ?? 0) ? `${bytes} of floating point` : bytes;
}

/** The struct, class, union or enum behind names, arrays and pointers, and over how many pointers. */
export function reachedType(
  entry: DebugEntry | undefined,
  information: DebugInformation,
): { entry: DebugEntry; pointers: number } | undefined {
  let pointers = 0;
  let current = entry;
  for (let depth = 0; current !== undefined && depth < maxDepth; depth++) {
    if (composite.has(current.tag) || current.tag === tag.enumerationType) return { entry: current, pointers };
    if (current.tag === tag.pointerType || current.tag === tag.referenceType) pointers++;
    current = typeOf(current, information);
  }
  return undefined;
}
