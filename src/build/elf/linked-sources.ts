/** Which sources a binary was linked from, by the record of the build: through objects and static libraries. */
import { existsSync, readFileSync } from "node:fs";
import { basename, extname } from "node:path";
import type { BinaryImage } from "./binary-image.ts";
import type { CompileUnit, Link } from "./compile-command.ts";

export interface BuildRecord {
  readonly units: readonly CompileUnit[];
  readonly links: readonly Link[];
}

/** Absolute paths of sources. */
export interface LinkedSources {
  readonly all: ReadonlySet<string>;
  /** Not by a static library, of which a linker takes what it needs. */
  readonly asObjects: ReadonlySet<string>;
}

/** Undefined where the build linked nothing of any of these names. */
export function linkedSources(names: ReadonlySet<string>, { units, links }: BuildRecord): LinkedSources | undefined {
  const own = links.filter(({ output }) => names.has(basename(output)));
  if (own.length === 0) return undefined;
  const objects = new Set<string>();
  const members = new Set<string>();
  const inputsOf = Map.groupBy(links, ({ output }) => output);
  const queue = own.flatMap(({ inputs }) => inputs);
  for (let input = queue.shift(); input !== undefined; input = queue.shift()) {
    if (extname(input) === ".a") for (const member of archiveMembers(input)) members.add(member);
    else if (!objects.has(input)) {
      objects.add(input);
      // Objects that were joined into one before (ld -r).
      if (extname(input) === ".o") queue.push(...(inputsOf.get(input) ?? []).flatMap(({ inputs }) => inputs));
    }
  }
  const outputs = new Set(own.map(({ output }) => output));
  const direct = units.filter(
    ({ object, linked }) =>
      (object !== undefined && objects.has(object)) || (linked !== undefined && outputs.has(linked)),
  );
  const byLibrary = units.filter(({ object }) => object !== undefined && members.has(basename(object)));
  const asObjects = new Set(direct.map(({ source }) => source));
  return { asObjects, all: new Set([...asObjects, ...byLibrary.map(({ source }) => source)]) };
}

/** Those of the binary that has this path and calls itself by these names. */
export function sourcesOfBinary(
  { name, soname }: Pick<BinaryImage, "name" | "soname">,
  path: string,
  record: BuildRecord,
): LinkedSources | undefined {
  return linkedSources(new Set([basename(path), name, ...(soname === undefined ? [] : [soname])]), record);
}

/**
 * Names of an archive's members (ar(5)): headers of 60 bytes, each followed by its content on an even boundary.
 * A thin archive has headers alone, but for its tables of symbols and of long names.
 */
export function archiveMembers(file: string): string[] {
  if (!existsSync(file)) return [];
  const bytes = readFileSync(file);
  const magic = bytes.toString("latin1", 0, 8);
  if (magic !== "!<arch>\n" && magic !== "!<thin>\n") return [];
  const names: string[] = [];
  let longNames = "";
  for (let at = 8; at + 60 <= bytes.length; ) {
    const name = bytes.toString("latin1", at, at + 16).trimEnd();
    const size = Number(bytes.toString("latin1", at + 48, at + 58).trim());
    if (!Number.isSafeInteger(size) || size < 0) break;
    const isTable = name === "/" || name === "//" || name === "/SYM64/";
    if (name === "//") longNames = bytes.toString("latin1", at + 60, at + 60 + size);
    else if (!isTable) names.push(memberName(name, longNames));
    at += 60 + (magic === "!<thin>\n" && !isTable ? 0 : size + (size % 2));
  }
  return names;
}

/** Long names stand in a table of their own, each ended by a slash and a line feed. */
function memberName(name: string, longNames: string): string {
  const [, offset] = /^\/(\d+)$/.exec(name) ?? [];
  if (offset === undefined) return name.replace(/\/$/, "");
  const rest = longNames.slice(Number(offset));
  return basename(rest.slice(0, rest.search(/\/?\n/)));
}
