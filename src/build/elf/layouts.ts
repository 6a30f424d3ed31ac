/**
 * Layouts of structs and classes, and numbers of enums, before and after the fix.
 *
 * Objects that exist in the running process have the old layout, so code that expects the new one would read and write beside them.
 * A type is harmless only where its objects live no longer than a call: then no thread may be inside a function that holds one.
 */
import type { Refusal } from "../../base/refusal.ts";
import { attribute, type DebugInformation, readDebugInformation, tag } from "./debug-entries.ts";
import { functionsThatHold, lastingTypes } from "./lasting-types.ts";
import { type ObjectFile, type ObjectSection, referredSection } from "./object-file.ts";
import {
  composite,
  enumerations,
  type Layout,
  layouts,
  qualifiedName,
  shape,
  textOf,
  typeNames,
  typeOf,
} from "./type-shapes.ts";

export interface LayoutSource {
  /** The path of the source. */
  readonly name: string;
  readonly before: ObjectFile;
  readonly after: ObjectFile;
}

export interface LayoutAnswer {
  readonly refusals: readonly Refusal[];
  /** By source: functions that hold an object of a changed type while they run. At the switch, no thread may be inside. */
  readonly watched: ReadonlyMap<string, ReadonlySet<string>>;
}

interface Change {
  readonly type: string;
  readonly what: string;
}

/** `sources` are all of a binary that the fix touches; `shortLived` are types that the author vouches for. */
export function compareLayouts(sources: readonly LayoutSource[], shortLived: readonly string[]): LayoutAnswer {
  const read = sources.map(({ name, before, after }) => {
    const old = readDebugInformation(before.elf);
    const fixed = readDebugInformation(after.elf);
    const changes = [...layoutChanges(old, fixed), ...enumChanges(old, fixed), ...tableChanges(before, after)];
    return { name, old, changes, variables: variableRefusals(old, fixed, name) };
  });
  const types = new Set(read.flatMap(({ changes }) => changes.map(({ type }) => type)));
  const lasting = types.size === 0 ? types : lastingTypes(read.map(({ old }) => old));
  const refusals = new Map<string, Refusal>();
  for (const { name, changes } of read)
    for (const { type, what } of changes) {
      if (refusals.has(type) || shortLived.includes(type) || !lasting.has(type)) continue;
      refusals.set(type, {
        code: "build/changed-layout",
        message: `${what} in ${name}. Objects of ${type} that exist in a running process stay as they were. Where they live no longer than a call, say so with --short-lived ${quoted(type)}; otherwise restart.`,
        details: { type, source: name },
      });
    }
  return {
    refusals: [...refusals.values(), ...read.flatMap(({ variables }) => variables)],
    watched: new Map(types.size === 0 ? [] : read.map(({ name, old }) => [name, functionsThatHold(types, old)])),
  };
}

function quoted(type: string): string {
  return /^[\w:]+$/.test(type) ? type : `'${type}'`;
}

function layoutChanges(before: DebugInformation, after: DebugInformation): Change[] {
  const olds = layouts(before);
  return [...layouts(after)].flatMap(([type, layout]) => {
    const previous = olds.get(type);
    const difference = previous && layoutDifference(previous, layout);
    return difference === undefined ? [] : [{ type, what: `The layout of ${type} changes (${difference})` }];
  });
}

function layoutDifference(before: Layout, after: Layout): string | undefined {
  if (before.size !== after.size) return `its size goes from ${before.size} to ${after.size} bytes`;
  const index = after.members.findIndex((member, place) => member !== before.members[place]);
  if (index < 0 && before.members.length === after.members.length) return undefined;
  const place = index < 0 ? after.members.length : index;
  return `${before.members[place] ?? "nothing"} becomes ${after.members[place] ?? "nothing"}`;
}

/** A name that gets another number: what the process has stored means something else from then on. Names that are added harm nobody. */
function enumChanges(before: DebugInformation, after: DebugInformation): Change[] {
  const olds = enumerations(before);
  return [...enumerations(after)].flatMap(([type, values]) => {
    for (const [name, value] of values) {
      const previous = olds.get(type)?.get(name);
      if (previous !== undefined && previous !== value)
        return [{ type, what: `In the enum ${type}, ${name} goes from ${previous} to ${value}` }];
    }
    return [];
  });
}

/** Tables of virtual functions (Itanium C++ ABI §2.5): objects that exist point to the old one. */
function tableChanges(before: ObjectFile, after: ObjectFile): Change[] {
  const olds = virtualTables(before);
  return [...virtualTables(after)].flatMap(([type, slots]) => {
    const previous = olds.get(type);
    if (previous === undefined) return [];
    const index = slots.findIndex((slot, place) => slot !== previous[place]);
    if (index < 0 && slots.length === previous.length) return [];
    const place = index < 0 ? slots.length : index;
    return [
      {
        type,
        what: `The virtual functions of ${type} change (${previous[place] ?? "nothing"} becomes ${slots[place] ?? "nothing"})`,
      },
    ];
  });
}

/** The names in each table, by the class's name. */
function virtualTables(object: ObjectFile): Map<string, readonly string[]> {
  const found = new Map<string, readonly string[]>();
  for (const section of object.sections) {
    const table = section.symbols.find(({ name }) => name.startsWith("_ZTV"));
    if (table !== undefined) found.set(className(table.name), slotsOf(object, section));
  }
  return found;
}

function slotsOf(object: ObjectFile, section: ObjectSection): string[] {
  return section.references.map((reference) => {
    if (reference.symbol.name !== "") return reference.symbol.name;
    const target = referredSection(object, reference);
    return target?.symbols.find(({ value }) => value === reference.addend)?.name ?? target?.name ?? "";
  });
}

/** `_ZTV3Foo` and `_ZTVN2ns3FooE`; other manglings, such as those of templates, stay as they are. */
function className(table: string): string {
  const body = /^_ZTVN(.*)E$/.exec(table)?.[1] ?? table.slice("_ZTV".length);
  const names: string[] = [];
  let rest = body;
  while (rest !== "") {
    const [head = "", length = ""] = /^(\d+)/.exec(rest) ?? [];
    const name = rest.slice(head.length, head.length + Number(length));
    if (head === "" || name.length !== Number(length)) return table;
    names.push(name);
    rest = rest.slice(head.length + name.length);
  }
  return names.join("::");
}

/** Variables that last and whose type has no name by which it could be compared. */
function variableRefusals(before: DebugInformation, after: DebugInformation, source: string): Refusal[] {
  const olds = unnamedVariables(before);
  return [...unnamedVariables(after)].flatMap(([variable, layout]) => {
    const previous = olds.get(variable);
    if (previous === undefined || previous === layout) return [];
    return [
      {
        code: "build/changed-layout" as const,
        message: `The layout of the variable ${variable} changes in ${source}: ${previous} becomes ${layout}. The one in a running process stays as it was. Leave it as it is, or restart.`,
        details: { variable, source },
      },
    ];
  });
}

function unnamedVariables(information: DebugInformation): Map<string, string> {
  const names = typeNames(information);
  const found = new Map<string, string>();
  for (const entry of information.byOffset.values()) {
    if (entry.tag !== tag.variable || textOf(entry, attribute.location) !== "fixed") continue;
    let type = typeOf(entry, information);
    while (type?.tag === tag.arrayType || type?.tag === tag.constType || type?.tag === tag.volatileType)
      type = typeOf(type, information);
    const name = qualifiedName(entry);
    if (type === undefined || name === undefined || !composite.has(type.tag) || names.has(type)) continue;
    found.set(name, shape(typeOf(entry, information), information));
  }
  return found;
}
