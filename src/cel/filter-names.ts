/**
 * What an expression may ask for: the facts of the catalog, the device itself, its tags, and in a search its groups.
 *
 * A fact `os.id` is the field `id` of `os`; the family `binary.BUILDID` is the map `binary`.
 */
import { type FactType, singleFacts } from "../api/fact-catalog.ts";

/** `group`: what decides of membership must not depend on membership, nor on what changes by itself. */
export type FilterUse = "group" | "search";

export const celTypes: Readonly<Record<FactType, string>> = {
  text: "string",
  whole: "int",
  flag: "bool",
  list: "list<string>",
  map: "map<string, string>",
};

/** CEL's types by name; a folder is a name with names below it. */
export type Names = ReadonlyMap<string, string | ReadonlyMap<string, string>>;

const timestamp = "google.protobuf.Timestamp";
const ofGroups = { name: "string", id: "string", enrolledAt: timestamp };
const ofSearches = { ...ofGroups, state: "string", lastSeenAt: timestamp };

export function namesFor(use: FilterUse): Names {
  const names = new Map<string, string | Map<string, string>>();
  for (const { name, type } of singleFacts.values()) {
    const [folder = "", field] = name.split(".");
    if (field === undefined) names.set(folder, celTypes[type]);
    else {
      const fields = names.get(folder);
      if (fields instanceof Map) fields.set(field, celTypes[type]);
      else names.set(folder, new Map([[field, celTypes[type]]]));
    }
  }
  names.set("binary", "map<string, list<string>>");
  names.set("tags", "list<string>");
  names.set("device", new Map(Object.entries(use === "group" ? ofGroups : ofSearches)));
  if (use === "search") names.set("groups", "list<string>");
  return names;
}

/** Every name as an expression writes it, those of folders as well. */
export function allNames(names: Names): string[] {
  return [...names].flatMap(([name, type]) =>
    typeof type === "string" ? [name] : [name, ...[...type.keys()].map((field) => `${name}.${field}`)],
  );
}

/** The names that are most like a wrong one, best first; at most three. */
export function likeliest(wrong: string, known: readonly string[]): string[] {
  const most = Math.max(1, Math.floor(wrong.length / 3));
  return known
    .map((name) => ({ name, distance: distance(wrong, name) }))
    .filter((row) => row.distance <= most)
    .toSorted((a, b) => a.distance - b.distance || (a.name < b.name ? -1 : 1))
    .slice(0, 3)
    .map(({ name }) => name);
}

/** Levenshtein's, over names of some dozen letters. */
function distance(left: string, right: string): number {
  let row = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let i = 1; i <= left.length; i++) {
    const next = [i];
    for (let j = 1; j <= right.length; j++) {
      const change = (row[j - 1] ?? 0) + (left[i - 1] === right[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[right.length] ?? 0;
}
