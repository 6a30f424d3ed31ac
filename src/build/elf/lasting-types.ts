/** Which types have objects that may outlive a call, and which functions hold objects of a type while they run. */
import { attribute, type DebugEntry, type DebugInformation, tag } from "./debug-entries.ts";
import { composite, numberOf, qualifiedName, reachedType, textOf, typeNames, typeOf } from "./type-shapes.ts";

/**
 * Names of types whose objects may outlive a call, by all sources of a program that know them.
 *
 * All but those that are local variables somewhere, while nothing that lasts holds them or points to them, no function gives them back, and no parameter asks for a pointer to one.
 */
export function lastingTypes(sources: readonly DebugInformation[]): Set<string> {
  const known: Known = { names: new Set(), local: new Set(), lasting: new Set(), heldBy: new Map() };
  for (const information of sources) look(information, known);
  const { names, local, lasting, heldBy } = known;
  for (const name of names) if (!local.has(name)) lasting.add(name);
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

interface Known {
  readonly names: Set<string>;
  readonly local: Set<string>;
  readonly lasting: Set<string>;
  readonly heldBy: Map<string, Set<string>>;
}

function look(information: DebugInformation, known: Known): void {
  const names = typeNames(information);
  for (const name of names.values()) known.names.add(name);
  for (const entry of information.byOffset.values()) {
    const target = reachedType(typeOf(entry, information), information);
    const name = target && names.get(target.entry);
    if (name === undefined || target === undefined) continue;
    const isObject = composite.has(target.entry.tag);
    if (entry.tag === tag.variable) {
      if (!isLocal(entry)) known.lasting.add(name);
      else if (target.pointers === 0) known.local.add(name);
    } else if (entry.tag === tag.subprogram) {
      // A number that is given back is no object.
      if (isObject) known.lasting.add(name);
    } else if (entry.tag === tag.formalParameter) {
      if (target.pointers > 1) known.lasting.add(name);
      else if (target.pointers === 0 && !isObject) known.local.add(name);
    } else if (entry.tag === tag.member || entry.tag === tag.inheritance) {
      const holder = (entry.parent && names.get(entry.parent)) ?? "";
      known.heldBy.set(name, (known.heldBy.get(name) ?? new Set()).add(holder));
    }
  }
}

/** Linkage names of functions that have a variable of one of these types on their stack, whole or in another one, inlined functions included. */
export function functionsThatHold(types: ReadonlySet<string>, information: DebugInformation): Set<string> {
  const names = typeNames(information);
  const found = new Set<string>();
  for (const entry of information.byOffset.values()) {
    if (entry.tag !== tag.variable && entry.tag !== tag.formalParameter) continue;
    const target = reachedType(typeOf(original(entry, information), information), information);
    if (target === undefined || target.pointers > 0 || !holds(target.entry, types, { names, information })) continue;
    const owner = enclosing(entry, tag.subprogram);
    const name = owner && linkageName(owner, information);
    if (name !== undefined) found.add(name);
  }
  return found;
}

interface Types {
  readonly names: ReadonlyMap<DebugEntry, string>;
  readonly information: DebugInformation;
}

function holds(entry: DebugEntry, types: ReadonlySet<string>, known: Types, depth = 0): boolean {
  if (types.has(known.names.get(entry) ?? "")) return true;
  if (depth > 16) return false;
  return entry.children.some((child) => {
    if (child.tag !== tag.member && child.tag !== tag.inheritance) return false;
    const target = reachedType(typeOf(child, known.information), known.information);
    return target !== undefined && target.pointers === 0 && holds(target.entry, types, known, depth + 1);
  });
}

/** An inlined function's variables, and a function that was compiled out of line, refer to where they are described (DWARF 5 §3.3.8). */
function original(entry: DebugEntry, information: DebugInformation): DebugEntry {
  const place = numberOf(entry, attribute.abstractOrigin) ?? numberOf(entry, attribute.specification);
  const found = place === undefined ? undefined : information.byOffset.get(place);
  return found === undefined || found === entry ? entry : original(found, information);
}

function linkageName(owner: DebugEntry, information: DebugInformation): string | undefined {
  for (let entry = owner, depth = 0; depth < 4; depth++) {
    const name = textOf(entry, attribute.linkageName);
    if (name !== undefined) return name;
    const place = numberOf(entry, attribute.abstractOrigin) ?? numberOf(entry, attribute.specification);
    const next = place === undefined ? undefined : information.byOffset.get(place);
    if (next === undefined) return qualifiedName(entry);
    entry = next;
  }
  return undefined;
}

function isLocal(entry: DebugEntry): boolean {
  return enclosing(entry, tag.subprogram) !== undefined && textOf(entry, attribute.location) !== "fixed";
}

function enclosing(entry: DebugEntry, wanted: number): DebugEntry | undefined {
  for (let { parent } = entry; parent !== undefined; parent = parent.parent) if (parent.tag === wanted) return parent;
  return undefined;
}
