/** Contents of sections of special kinds, beside what binutils makes of them. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { deflateSync, zstdCompressSync } from "node:zlib";
import { RebootlessError } from "../../src/base/errors.ts";
import { writeStruct } from "../../src/binary/struct.ts";
import { sectionFlag, sectionType } from "../../src/elf/constants.ts";
import { findSection, parseElf, sectionBytes } from "../../src/elf/elf-file.ts";
import { linkedSymbolSection, mergeEntries, sectionContent, sectionGroups } from "../../src/elf/section-contents.ts";
import { compressionTable } from "../../src/elf/structs.ts";
import { sectionSymbols } from "../../src/elf/symbols.ts";
import { writeElf } from "../../src/elf/write-elf.ts";
import { missing, Workshop } from "./support/programs.ts";
import { readelf } from "./support/readelf.ts";

function compressed(type: number, content: Uint8Array, packed: Uint8Array) {
  const bytes = new Uint8Array(compressionTable.sizeBytes + packed.length);
  writeStruct(bytes, 0, compressionTable, { ch_type: type, ch_size: content.length, ch_addralign: 1 });
  bytes.set(packed, compressionTable.sizeBytes);
  const flags = sectionFlag.compressed;
  return parseElf(
    writeElf([{ name: ".z", type: sectionType.progbits, flags, address: 0, content: bytes, align: 1 }], []),
  );
}

describe("contents of sections", { skip: missing("gcc", "g++", "readelf", "objcopy"), timeout: 120_000 }, () => {
  const workshop = new Workshop();
  after(() => workshop.remove());

  test("compressed debug information is what objcopy unpacks", () => {
    const packed = workshop.compile("gcc", "packed.o", ["kinds.c"], ["-c", "-g", "-gz=zlib"]);
    const unpacked = join(workshop.folder, "unpacked.o");
    execFileSync("objcopy", ["--decompress-debug-sections", packed, unpacked]);
    const [elf, other] = [parseElf(readFileSync(packed)), parseElf(readFileSync(unpacked))];
    const sections = elf.sections.filter(({ flags }) => (flags & sectionFlag.compressed) !== 0);
    assert.ok(sections.length > 0);
    for (const section of sections) {
      const plain = findSection(other, section.name);
      assert.ok(plain);
      assert.deepEqual(
        Buffer.from(sectionContent(elf, section)),
        Buffer.from(sectionBytes(other, plain)),
        section.name,
      );
    }
  });

  test("COMDAT groups have the signatures and members that readelf lists", () => {
    const path = workshop.compile("g++", "groups.o", ["throws.cc"], ["-c", "-O1", "-ffunction-sections"]);
    const elf = parseElf(readFileSync(path));
    const found = sectionGroups(elf).map(({ section, comdat, signatureSymbol, members }) => {
      const signature = sectionSymbols(elf, linkedSymbolSection(elf, section))[signatureSymbol];
      assert.equal(comdat, true);
      return `${signature?.name}: ${members.map((index) => elf.sections[index]?.name).join(" ")}`;
    });
    const expected: string[] = [];
    for (const line of readelf(path, "-g")) {
      const signature = /^COMDAT group section .* \[(.*)\] contains/.exec(line)?.[1];
      if (signature !== undefined) expected.push(`${signature}:`);
      const member = /^ {3}\[ *\d+\] +(\S+)$/.exec(line)?.[1];
      if (member !== undefined) expected.push(`${expected.pop()} ${member}`);
    }
    assert.ok(expected.length > 3);
    assert.deepEqual(found, expected);
  });

  test("merged strings are the literals of the source", () => {
    const elf = parseElf(readFileSync(workshop.compile("gcc", "strings.o", ["kinds.c"], ["-c", "-O2"])));
    const texts = elf.sections
      .filter(({ name }) => name.startsWith(".rodata.str"))
      .flatMap((section) => {
        const content = Buffer.from(sectionContent(elf, section));
        return mergeEntries(content, section).map(({ offset, sizeBytes }) =>
          content.toString("latin1", offset, offset + sizeBytes),
        );
      });
    for (const word of ["one\0", "two\0", "three\0", "zero\0", "%d\n\0"]) assert.ok(texts.includes(word), word);
  });
});

describe("compressed sections", () => {
  const content = Buffer.alloc(100_000, "the same again ");

  test("of both kinds are unpacked", () => {
    for (const elf of [
      compressed(1, content, deflateSync(content)),
      compressed(2, content, zstdCompressSync(content)),
    ]) {
      assert.deepEqual(Buffer.from(sectionContent(elf, findSection(elf, ".z")!)), content);
    }
  });

  test("that lie about their size, or are none, are refused", () => {
    const short = content.subarray(0, 50_000);
    const damaged = [
      compressed(1, short, deflateSync(content)),
      compressed(1, content, deflateSync(short)),
      compressed(2, short, zstdCompressSync(content)),
      compressed(1, content, Buffer.from("no such stream")),
      compressed(7, content, deflateSync(content)),
    ];
    const refused = (error: unknown) => error instanceof RebootlessError && error.code === "elf/damaged";
    for (const elf of damaged) assert.throws(() => sectionContent(elf, findSection(elf, ".z")!), refused);
    const whole = compressed(1, content, deflateSync(content));
    assert.throws(() => sectionContent(whole, findSection(whole, ".z")!, 1000), refused);
  });
});
