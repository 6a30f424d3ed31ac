/** Images that are written are what was described, for our own reader, for readelf and for gdb. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { RebootlessError } from "../../src/base/errors.ts";
import { sectionFlag, sectionType, symbolBinding, symbolType } from "../../src/elf/constants.ts";
import { fileUnwindTable } from "../../src/elf/eh-frame/unwind-information.ts";
import { findSection, parseElf } from "../../src/elf/elf-file.ts";
import { staticSymbols } from "../../src/elf/symbols.ts";
import { type SectionDescription, type SymbolDescription, writeElf } from "../../src/elf/write-elf.ts";
import { missing } from "./support/programs.ts";
import { readelf } from "./support/readelf.ts";

const textAt = 0x7f12_3450_0000;
const frameAt = textAt + 0x1000;

/** A CIE, and an FDE for 32 bytes of code at `textAt` with the CFA at rsp + 24 from its fourth byte on. */
function frameBytes(): Uint8Array {
  const cie = [0x14, 0, 0, 0, 0, 0, 0, 0, 1, 0x7a, 0x52, 0, 1, 0x78, 0x10, 1, 0x1b, 0x0c, 7, 8, 0x90, 1, 0, 0];
  const fde = [0x14, 0, 0, 0, 0x1c, 0, 0, 0, 0, 0, 0, 0, 0x20, 0, 0, 0, 0, 0x44, 0x0e, 24, 0, 0, 0, 0];
  const bytes = Buffer.from([...cie, ...fde, 0, 0, 0, 0]);
  bytes.writeInt32LE(textAt - (frameAt + 32), 32);
  return bytes;
}

const code = sectionFlag.alloc | sectionFlag.execute;
const sections: readonly SectionDescription[] = [
  { name: ".text", type: sectionType.nobits, flags: code, address: textAt, content: { sizeBytes: 64 }, align: 16 },
  {
    name: ".eh_frame",
    type: sectionType.progbits,
    flags: sectionFlag.alloc,
    address: frameAt,
    content: frameBytes(),
    align: 8,
  },
];

const functions = { size: 32, type: symbolType.function, section: ".text" };
const symbols: readonly SymbolDescription[] = [
  { ...functions, name: "patched", address: textAt, binding: symbolBinding.global },
  { ...functions, name: "helper", address: textAt + 32, binding: symbolBinding.local },
  { name: "flag", address: 77, size: 0, type: symbolType.noType, binding: symbolBinding.global, section: undefined },
];

describe("an image for debuggers", () => {
  const folder = mkdtempSync(join(tmpdir(), "rebootless-image-"));
  after(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, "image");
  const bytes = writeElf(sections, symbols);
  writeFileSync(path, bytes);

  test("is read back as it was described, and is the same each time", () => {
    const elf = parseElf(bytes);
    assert.deepEqual(
      elf.sections.map(({ name }) => name),
      ["", ".text", ".eh_frame", ".symtab", ".strtab", ".shstrtab"],
    );
    assert.equal(findSection(elf, ".text")?.address, textAt);
    const found = staticSymbols(elf).map(({ name, value, size, section }) => [name, value, size, section]);
    assert.deepEqual(found, [
      ["", 0, 0, 0],
      ["helper", textAt + 32, 32, 1],
      ["patched", textAt, 32, 1],
      ["flag", 77, 0, 0xfff1],
    ]);
    const row = fileUnwindTable(elf)?.row(textAt + 4);
    assert.deepEqual([row?.cfaRegister, row?.cfaOffset], [7, 24]);
    assert.deepEqual(writeElf(sections, symbols), bytes);
  });

  test("has nothing that readelf warns of", { skip: missing("readelf") }, () => {
    const lines = readelf(path, "-a", "--lint", "--debug-dump=frames-interp").join("\n");
    assert.doesNotMatch(lines, /warning|error/i);
    assert.match(lines, /FUNC +GLOBAL DEFAULT +1 patched/);
    assert.match(lines, /7f1234500004 rsp\+24 +c-8/);
  });

  test("lets gdb name the functions", { skip: missing("gdb"), timeout: 60_000 }, () => {
    const where = `info symbol 0x${(textAt + 40).toString(16)}`;
    const said = execFileSync("gdb", ["--batch", "-nx", "-ex", `file ${path}`, "-ex", where], { encoding: "utf8" });
    assert.match(said, /helper \+ 8 in section \.text/);
  });

  test("refuses a symbol in a section that is not there", () => {
    const lost = { ...functions, name: "lost", address: 0, binding: symbolBinding.local, section: ".data" };
    assert.throws(
      () => writeElf(sections, [lost]),
      (error) => error instanceof RebootlessError && error.code === "elf/damaged",
    );
  });
});
