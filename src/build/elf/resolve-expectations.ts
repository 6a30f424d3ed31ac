/**
 * Where in the process everything lies that the patch refers to.
 *
 * In this order: what the match of the source's own object says; what the match of another object says; the binary's dynamic and static symbols; another object of the build that defines it, to be matched now; a library that the binary needs.
 */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Refusal } from "../../base/refusal.ts";
import { sectionIndex, symbolType } from "../../elf/constants.ts";
import { dynamicSymbols, readDynamic } from "../../elf/dynamic.ts";
import { parseElf } from "../../elf/elf-file.ts";
import { fileImage } from "../../elf/image.ts";
import { symbolVersion, versionIndexMask } from "../../elf/versions.ts";
import type { ElfSymbol as ManifestSymbol } from "../../hotpatch/elf-manifest.ts";
import type { BinaryImage } from "./binary-image.ts";
import type { ObjectMatch } from "./match-object.ts";
import { isGlobal, leadingSymbol, type ObjectSection } from "./object-file.ts";
import type { Expectation } from "./patch-object.ts";
import type { Resolution } from "./resolution.ts";

/** The two ways in which a source's old object was looked for. */
export interface SourceMatch {
  /** As the build compiled it. */
  readonly plain: ObjectMatch;
  /** With a section for each function: finds functions of objects that the build compiled so, or whose order changed. */
  readonly sections: ObjectMatch;
}

export interface ResolveInput {
  readonly binary: BinaryImage;
  readonly binaryPath: string;
  /** By the name of the source. */
  readonly matches: ReadonlyMap<string, SourceMatch>;
  /** Matches the object of the build that defines a global symbol. */
  findElsewhere(name: string): Promise<ObjectMatch | undefined>;
}

export interface Resolved {
  readonly symbols: readonly ManifestSymbol[];
  readonly refusals: readonly Refusal[];
}

export async function resolveExpectations(
  expectations: readonly Expectation[],
  input: ResolveInput,
): Promise<Resolved> {
  const symbols: ManifestSymbol[] = [];
  const refusals: Refusal[] = [];
  for (const expectation of expectations) {
    const found = await resolveOne(expectation, input);
    if (found !== undefined) symbols.push(found);
    else refusals.push(unresolved(expectation, input));
  }
  return { symbols: symbols.sort((one, other) => (one.name < other.name ? -1 : 1)), refusals };
}

function unresolved({ symbolName, source, defined }: Expectation, { binary, matches }: ResolveInput): Refusal {
  const match = matches.get(source.name);
  const why =
    defined === undefined
      ? "no object of the build that stands in the binary defines it, and no library that the binary needs does"
      : (match?.plain.whyNot(symbolName) ?? "its object was not found");
  return {
    code: "build/unresolved-symbol",
    message: `${symbolName}, which the fixed code of ${source.name} needs, has no address in ${binary.name}: ${why}.`,
    details: { symbol: symbolName, source: source.name },
  };
}

async function resolveOne(expectation: Expectation, input: ResolveInput): Promise<ManifestSymbol | undefined> {
  const { name, symbolName, source, defined, weak, thread } = expectation;
  const match = input.matches.get(source.name);
  const own = match && (defined === undefined ? byName(match, symbolName) : ofSection(match, defined));
  if (own !== undefined) return manifestSymbol(name, own, weak);
  if (defined !== undefined && !isGlobalSection(defined)) return undefined;
  for (const other of input.matches.values()) {
    const found = byName(other, symbolName);
    if (found !== undefined) return manifestSymbol(name, found, weak);
  }
  const ofStatic = source.reachesStatics === true ? ofStatics(symbolName, input) : undefined;
  if (ofStatic !== undefined) return manifestSymbol(name, ofStatic, weak);
  return (
    ofBinary(name, symbolName, input.binary, thread) ??
    (await elsewhere(expectation, input)) ??
    ofLibraries(name, symbolName, input) ??
    (weak ? { kind: "import", name, ...(name === symbolName ? {} : { symbol: symbolName }), weak: true } : undefined)
  );
}

/** What is static in the one source of all touched ones that has it. */
function ofStatics(name: string, { matches }: ResolveInput): Resolution | undefined {
  const found = new Map<string, Resolution>();
  for (const { plain } of matches.values()) {
    for (const symbol of plain.object.symbols) {
      if (symbol.name !== name || isGlobal(symbol) || symbol.section === sectionIndex.undefined) continue;
      const resolution = plain.resolve(symbol);
      if (resolution !== undefined) found.set(JSON.stringify(resolution), resolution);
    }
  }
  return found.size === 1 ? [...found.values()][0] : undefined;
}

function isGlobalSection(section: ObjectSection): boolean {
  return section.symbols.some(isGlobal);
}

/** Where a section of the old, sectioned object lies: by its symbol in the plain object, or directly. */
export function ofSection(match: SourceMatch, section: ObjectSection): Resolution | undefined {
  const leading = leadingSymbol(section);
  if (leading !== undefined) {
    const plain = match.plain.object.symbols.find(
      (symbol) =>
        symbol.name === leading.name && symbol.section !== sectionIndex.undefined && symbol.type !== symbolType.file,
    );
    const found = plain && match.plain.resolve(plain);
    if (found !== undefined) return found;
    const direct = match.sections.resolve(leading);
    if (direct !== undefined) return direct;
  }
  const base = match.sections.baseOf(section);
  return base === undefined ? undefined : { kind: "address", address: base + (leading?.value ?? 0) };
}

/** How many bytes a function of the old, sectioned object takes where it was found, without the padding behind it. */
export function linkedSize({ plain, sections }: SourceMatch, section: ObjectSection): number {
  const leading = leadingSymbol(section);
  const own = plain.object.symbols.find(
    (symbol) =>
      symbol.name === leading?.name && symbol.section !== sectionIndex.undefined && symbol.type !== symbolType.file,
  );
  // The assembler shortens jumps to neighbours: the object that the build made has the size that was linked.
  const inPlain = own && plain.resolve(own) !== undefined ? own.size : 0;
  return inPlain || sections.sizeOf(section) || leading?.size || section.header.size;
}

function byName(match: SourceMatch, name: string): Resolution | undefined {
  for (const one of [match.plain, match.sections]) {
    const symbol = one.object.symbols.find(
      (candidate) => candidate.name.replace(/@.*$/, "") === name && isGlobal(candidate),
    );
    const found = symbol && one.resolve(symbol);
    if (found !== undefined) return found;
  }
  return undefined;
}

function manifestSymbol(name: string, resolution: Resolution, weak: boolean): ManifestSymbol {
  if (resolution.kind === "address") return { kind: "address", name, address: resolution.address };
  if (resolution.kind === "tls") return { kind: "tls", name, offset: resolution.offset };
  const { symbol } = resolution;
  return {
    kind: "import",
    name,
    ...(symbol.name === name ? {} : { symbol: symbol.name }),
    ...(symbol.version === undefined ? {} : { version: symbol.version }),
    ...(weak || symbol.weak ? { weak: true as const } : {}),
  };
}

function ofBinary(name: string, symbolName: string, binary: BinaryImage, thread: boolean): ManifestSymbol | undefined {
  const imported = binary.imports.get(symbolName);
  if (imported !== undefined) return manifestSymbol(name, { kind: "import", symbol: imported }, imported.weak);
  const exported = binary.exports.get(symbolName);
  if (exported !== undefined)
    return exported.type === symbolType.tls
      ? { kind: "tls", name, offset: exported.value }
      : { kind: "address", name, address: exported.value };
  if (thread) return undefined;
  const places = [...binary.localNames].filter(([, names]) => names.includes(symbolName));
  return places.length === 1 && places[0] !== undefined ? { kind: "address", name, address: places[0][0] } : undefined;
}

async function elsewhere(expectation: Expectation, input: ResolveInput): Promise<ManifestSymbol | undefined> {
  const { name, symbolName, weak } = expectation;
  const match = await input.findElsewhere(symbolName);
  const symbol = match?.object.symbols.find(
    (candidate) => candidate.name === symbolName && candidate.section !== sectionIndex.undefined,
  );
  const found = symbol && match?.resolve(symbol);
  return found === undefined ? undefined : manifestSymbol(name, found, weak);
}

const systemFolders = [
  "/lib/x86_64-linux-gnu",
  "/usr/lib/x86_64-linux-gnu",
  "/lib64",
  "/usr/lib64",
  "/lib",
  "/usr/lib",
  "/usr/local/lib",
];

/** A function that the binary did not import before: the default version of the first needed library that defines it, in breadth-first order as the dynamic linker searches. */
function ofLibraries(name: string, symbolName: string, input: ResolveInput): ManifestSymbol | undefined {
  const { binary, binaryPath } = input;
  const queue = [...binary.needed];
  const seen = new Set<string>();
  for (let soname = queue.shift(); soname !== undefined; soname = queue.shift()) {
    if (seen.has(soname)) continue;
    seen.add(soname);
    const wanted = soname;
    const file = [...runpaths(binary, binaryPath), dirname(binaryPath), ...systemFolders]
      .map((folder) => join(folder, wanted))
      .find((path) => existsSync(path));
    const dynamic = file === undefined ? undefined : readDynamic(fileImage(parseElf(readFileSync(file))));
    if (dynamic === undefined) continue;
    for (const symbol of dynamicSymbols(dynamic)) {
      if (symbol.name !== symbolName || symbol.section === sectionIndex.undefined) continue;
      const raw = symbolVersion(dynamic.versions, symbol.index) ?? 0;
      // The high bit hides a version from new references.
      if ((raw & ~versionIndexMask) !== 0) continue;
      const version = dynamic.versions.byIndex.get(raw & versionIndexMask)?.name;
      return {
        kind: "import",
        name,
        ...(name === symbolName ? {} : { symbol: symbolName }),
        ...(version === undefined ? {} : { version }),
        library: soname,
      };
    }
    queue.push(...dynamic.needed);
  }
  return undefined;
}

function runpaths({ runpath }: BinaryImage, binaryPath: string): string[] {
  return runpath.map((folder) => folder.replace(/\$\{?ORIGIN\}?/g, dirname(binaryPath)));
}
