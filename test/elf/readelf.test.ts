/** Headers, symbols, relocations, dynamic entries and versions are those that readelf prints, over files of the machine and of both compilers. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, describe, test } from "node:test";
import { dynamicTag, sectionIndex } from "../../src/elf/constants.ts";
import { type DynamicObject, dynamicRelocations, dynamicSymbols, readDynamic } from "../../src/elf/dynamic.ts";
import { type ElfFile, parseElf } from "../../src/elf/elf-file.ts";
import { fileImage } from "../../src/elf/image.ts";
import { buildId, controlFlowProtection, elfNotes } from "../../src/elf/notes.ts";
import { relocationTypes } from "../../src/elf/relocations.ts";
import { relocationSections } from "../../src/elf/section-contents.ts";
import { type ElfSymbol, sectionSymbols } from "../../src/elf/symbols.ts";
import { symbolVersion, versionHidden, versionIndexMask } from "../../src/elf/versions.ts";
import { machineFiles } from "./support/files.ts";
import { compileAll, missing, Workshop } from "./support/programs.ts";
import { dynamicRows, readelf, relocationRows, sectionRows, segmentRows, symbolRows } from "./support/readelf.ts";

const types: Record<number, string> = {
  0: "NOTYPE",
  1: "OBJECT",
  2: "FUNC",
  3: "SECTION",
  4: "FILE",
  5: "COMMON",
  6: "TLS",
  10: "IFUNC",
};
const bindings: Record<number, string> = { 0: "LOCAL", 1: "GLOBAL", 2: "WEAK", 10: "UNIQUE" };
const visibilities = ["DEFAULT", "INTERNAL", "HIDDEN", "PROTECTED"];
const special = new Map<number, string>([
  [0, "UND"],
  [sectionIndex.absolute, "ABS"],
  [sectionIndex.common, "COM"],
]);

/** Like deepEqual, but the message has the first difference alone: tables have thousands of rows. */
function sameRows(found: readonly unknown[], expected: readonly unknown[], what: string): void {
  const [left, right] = [found.map((row) => JSON.stringify(row)), expected.map((row) => JSON.stringify(row))];
  const at = left.findIndex((row, index) => row !== right[index]);
  if (at >= 0 || left.length !== right.length) {
    assert.fail(`${what}: ${left.length} and ${right.length} rows; row ${at} is ${left[at]} rather than ${right[at]}`);
  }
}

function checkHeaders(path: string, elf: ElfFile): void {
  const sections = elf.sections.map((section) => [
    section.index,
    section.name,
    section.address,
    section.offset,
    section.size,
    section.entrySize,
    section.link,
    section.info,
    section.align,
  ]);
  // The null section's line has an empty name and type.
  sameRows(
    sections.slice(1),
    sectionRows(path).filter(([index]) => index !== 0),
    `sections of ${path}`,
  );
  const segments = elf.segments.map(({ offset, address, fileSize, memorySize, flags, align }) => [
    offset,
    address,
    fileSize,
    memorySize,
    `${flags & 4 ? "R" : " "}${flags & 2 ? "W" : " "}${flags & 1 ? "E" : " "}`,
    align,
  ]);
  sameRows(segments, segmentRows(path), `segments of ${path}`);
}

function versionSuffix(object: DynamicObject | undefined, symbol: ElfSymbol): string {
  const raw = object && symbolVersion(object.versions, symbol.index);
  if (object === undefined || raw === undefined) return "";
  const version = object.versions.byIndex.get(raw & versionIndexMask);
  // readelf leaves the version out where the symbol stands for the version itself.
  if (version === undefined || version.name === symbol.name) return "";
  // A needed version of a defined symbol is that of a copy (R_X86_64_COPY), and no default.
  const needed = object.versions.needs.some(({ index }) => index === (raw & versionIndexMask));
  const plain = symbol.section === 0 || needed || (raw & versionHidden) !== 0;
  return `${plain ? "@" : "@@"}${version.name}`;
}

function symbolRow(elf: ElfFile, symbol: ElfSymbol, suffix: string): (string | number)[] {
  const name = symbol.type === 3 && symbol.name === "" ? (elf.sections[symbol.section]?.name ?? "") : symbol.name;
  return [
    symbol.index,
    symbol.value,
    symbol.size,
    types[symbol.type] ?? "?",
    bindings[symbol.binding] ?? "?",
    visibilities[symbol.visibility] ?? "?",
    special.get(symbol.section) ?? `${symbol.section}`,
    `${name}${suffix}`,
  ];
}

function checkSymbols(path: string, elf: ElfFile, object: DynamicObject | undefined): void {
  for (const [name, expected] of symbolRows(path)) {
    const section = elf.sections.find((candidate) => candidate.name === name);
    assert.ok(section, `${path} has ${name}`);
    const dynamic = name === ".dynsym" ? object : undefined;
    const found = sectionSymbols(elf, section).map((symbol) => symbolRow(elf, symbol, versionSuffix(dynamic, symbol)));
    // Names in .symtab carry the version in their own bytes, and those of other kinds of characters are printed in another way.
    sameRows(found, expected, `${name} of ${path}`);
    if (dynamic === undefined) continue;
    const covered = dynamicSymbols(dynamic).map((symbol) => symbolRow(elf, symbol, versionSuffix(dynamic, symbol)));
    sameRows(covered, expected.slice(0, covered.length), `the dynamic segment's symbols of ${path}`);
  }
}

function checkRelocations(path: string, elf: ElfFile, object: DynamicObject | undefined): number {
  const expected = relocationRows(path);
  const found = relocationSections(elf).flatMap(({ relocations }) =>
    relocations.map(({ offset, type, symbol, addend }) => [
      offset,
      relocationTypes.get(type)?.name ?? "?",
      symbol,
      addend,
    ]),
  );
  sameRows(found, expected.rela, `relocations of ${path}`);
  if (object === undefined) return found.length;
  const { rela, plt, relative } = dynamicRelocations(object);
  sameRows(relative, expected.relative, `relative relocations of ${path}`);
  const named = [...rela, ...plt].map(({ offset, type }) => `${offset} ${relocationTypes.get(type)?.name}`);
  sameRows(
    named,
    found.map(([offset, type]) => `${offset} ${type}`),
    `dynamic relocations of ${path}`,
  );
  return found.length;
}

function checkDynamic(path: string, object: DynamicObject | undefined): void {
  const rows = dynamicRows(path).filter(({ tag }) => tag !== 0);
  sameRows(
    object?.entries.map(({ tag }) => tag) ?? [],
    rows.map(({ tag }) => tag),
    `dynamic tags of ${path}`,
  );
  const texts = (tag: number) =>
    rows.filter((row) => row.tag === tag).map(({ text }) => /\[(.*)\]/.exec(text)?.[1] ?? text);
  const number = (tag: number) => texts(tag).map(Number)[0];
  assert.deepEqual(object?.needed ?? [], texts(dynamicTag.needed));
  assert.equal(object?.soname, texts(dynamicTag.soname)[0]);
  assert.equal(object?.rpath, texts(dynamicTag.rpath)[0]);
  assert.equal(object?.runpath, texts(dynamicTag.runpath)[0]);
  assert.equal(object?.init, number(dynamicTag.init));
  assert.equal(object?.fini, number(dynamicTag.fini));
  assert.equal(object?.initArray?.address, number(dynamicTag.initArray));
}

function checkNotes(path: string, elf: ElfFile): void {
  const lines = readelf(path, "-n").join("\n");
  const notes = elfNotes(elf);
  assert.equal(buildId(notes), /Build ID: ([0-9a-f]+)/.exec(lines)?.[1], `build-id of ${path}`);
  const protection = controlFlowProtection(notes);
  const features = /x86 feature: ([^\n]*)/.exec(lines)?.[1] ?? "";
  assert.deepEqual(protection, { ibt: features.includes("IBT"), shadowStack: features.includes("SHSTK") }, path);
}

function check(path: string): { relocations: number; versions: number } {
  const elf = parseElf(readFileSync(path));
  const object = readDynamic(fileImage(elf));
  checkHeaders(path, elf);
  checkSymbols(path, elf, object);
  checkDynamic(path, object);
  checkNotes(path, elf);
  return { relocations: checkRelocations(path, elf, object), versions: object?.versions.byIndex.size ?? 0 };
}

describe("as readelf prints it", { skip: missing("readelf"), timeout: 600_000 }, () => {
  for (const folder of ["/usr/bin", "/usr/lib/x86_64-linux-gnu"]) {
    test(`files of ${folder}`, () => {
      const files = machineFiles(folder, 75, 3_000_000);
      const counts = files.map(check);
      assert.ok(counts.length > 30, `${counts.length} files`);
      assert.ok(counts.some(({ relocations }) => relocations > 100));
      assert.ok(counts.some(({ versions }) => versions > 3));
    });
  }

  describe("of all kinds that compilers make", { skip: missing("gcc", "g++") }, () => {
    const workshop = new Workshop();
    after(() => workshop.remove());
    test("headers, symbols, relocations, dynamic entries, versions, notes", () => {
      for (const path of compileAll(workshop)) check(path);
    });
  });
});
