/** Rows of call frame information are those that readelf works out, and the search table finds the same functions. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, describe, test } from "node:test";
import { FrameReader } from "../../src/elf/eh-frame/frame-entries.ts";
import { type FrameRow, frameRows, registerNames, ruleKind } from "../../src/elf/eh-frame/frame-rows.ts";
import { fileUnwindTable, imageUnwindTable } from "../../src/elf/eh-frame/unwind-information.ts";
import { findSection, parseElf } from "../../src/elf/elf-file.ts";
import { fileImage } from "../../src/elf/image.ts";
import { sectionContent } from "../../src/elf/section-contents.ts";
import { machineFiles } from "./support/files.ts";
import { compileAll, missing, Workshop } from "./support/programs.ts";
import { type FrameTable, frameTables } from "./support/readelf.ts";

/** readelf calls the return address so. */
const names: readonly string[] = registerNames.map((name) => (name === "rip" ? "ra" : name));

function cell(row: FrameRow, register: number): string {
  const index = row.registers.indexOf(register);
  const value = row.values[index] ?? 0;
  const signed = `${value < 0 ? "" : "+"}${value}`;
  switch (row.kinds[index]) {
    case ruleKind.sameValue:
      return "s";
    case ruleKind.offset:
      return `c${signed}`;
    case ruleKind.valueOffset:
      return `v${signed}`;
    case ruleKind.register:
      return names[value] ?? "?";
    case ruleKind.expression:
      return "exp";
    case ruleKind.valueExpression:
      return "vexp";
    default:
      return "u";
  }
}

function cells(row: FrameRow, columns: readonly string[]): string[] {
  const cfa =
    row.cfaExpression === undefined
      ? `${names[row.cfaRegister]}${row.cfaOffset < 0 ? "" : "+"}${row.cfaOffset}`
      : "exp";
  return [cfa, ...columns.map((column) => cell(row, names.indexOf(column)))];
}

/** Rows that readelf prints beyond the function's end, and those of no length, hold nowhere. */
function sameRows(rows: readonly FrameRow[], table: FrameTable, what: string): void {
  for (const [index, row] of rows.entries()) {
    const printed = table.rows.get(row.start);
    if (printed === undefined) assert.fail(`${what}: there is no row at ${row.start.toString(16)}`);
    assert.deepEqual(cells(row, table.columns), printed, `${what}, row ${index}`);
  }
  assert.equal(rows.length, table.rows.size, `${what}: rows`);
}

function check(path: string): number {
  const elf = parseElf(readFileSync(path));
  const section = findSection(elf, ".eh_frame");
  if (section === undefined) return 0;
  const expected = frameTables(path);
  const fdes = [...new FrameReader({ bytes: sectionContent(elf, section), address: section.address }).fdes()];
  let compared = 0;
  assert.equal(fdes.length, expected.length, `functions of ${path}`);
  for (const [index, fde] of fdes.entries()) {
    const table = expected[index]!;
    // readelf prints the places of a relocatable file as they are before relocation, and so do the entries.
    if (elf.type !== "relocatable") assert.deepEqual([fde.start, fde.end], [table.start, table.end], path);
    if (table.columns.length === 0 || elf.type === "relocatable") continue;
    sameRows(frameRows(fde), table, `${path} at ${fde.start.toString(16)}`);
    compared += 1;
  }
  return compared;
}

/** Every function that the whole section has is found through .eh_frame_hdr, with the same row. */
function checkSearchTable(path: string): number {
  const elf = parseElf(readFileSync(path));
  const whole = fileUnwindTable(elf);
  const searched = imageUnwindTable(fileImage(elf));
  const section = findSection(elf, ".eh_frame");
  if (whole === undefined || searched === undefined || section === undefined) return 0;
  const fdes = [...new FrameReader({ bytes: sectionContent(elf, section), address: section.address }).fdes()];
  for (const { start, end } of fdes) {
    for (const address of [start, end - 1, end]) {
      assert.equal(searched.fde(address)?.start, whole.fde(address)?.start, `${path} at ${address.toString(16)}`);
      assert.deepEqual(searched.row(address), whole.row(address));
    }
  }
  return fdes.length;
}

describe("call frame information", { skip: missing("readelf"), timeout: 600_000 }, () => {
  test("of files of the machine", () => {
    const files = [
      ...machineFiles("/usr/bin", 40, 1_000_000),
      ...machineFiles("/usr/lib/x86_64-linux-gnu", 40, 1_000_000),
      "/usr/lib/x86_64-linux-gnu/libc.so.6",
      "/lib64/ld-linux-x86-64.so.2",
    ];
    let functions = 0;
    for (const path of files) functions += check(path);
    assert.ok(functions > 10_000, `${functions} functions`);
  });

  test("the search table leads to the same rows", () => {
    assert.ok(checkSearchTable("/usr/lib/x86_64-linux-gnu/libc.so.6") > 1000);
    for (const path of machineFiles("/usr/bin", 20, 300_000)) checkSearchTable(path);
  });

  describe("of what compilers make", { skip: missing("gcc", "g++") }, () => {
    const workshop = new Workshop();
    after(() => workshop.remove());
    test("rows and search tables", () => {
      for (const path of compileAll(workshop)) {
        check(path);
        checkSearchTable(path);
      }
    });
  });
});
