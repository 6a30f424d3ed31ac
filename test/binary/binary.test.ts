/** The cursor and the struct tables: values, limits, and layouts as gcc sees them. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { RebootlessError } from "../../src/base/errors.ts";
import { Cursor, stringAt } from "../../src/binary/cursor.ts";
import { readStruct, type StructTable, writeStruct } from "../../src/binary/struct.ts";
import * as structs from "../../src/elf/structs.ts";
import { missing, Workshop } from "../elf/support/programs.ts";
import { fc } from "../support/properties.ts";

function code(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof RebootlessError) return error.code;
    throw error;
  }
  return "none";
}

const cursor = (...bytes: readonly number[]) => new Cursor(Uint8Array.from(bytes), "some bytes");

/** LEB128 as DWARF 5 appendix C writes it. */
function leb128(value: bigint, signed: boolean): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>= 7n) {
    const low = Number(rest & 0x7fn);
    const after = rest >> 7n;
    const done = signed ? (after === 0n && low < 0x40) || (after === -1n && low >= 0x40) : after === 0n;
    bytes.push(done ? low : low | 0x80);
    if (done) return bytes;
  }
}

describe("cursor", () => {
  test("reads little-endian values", () => {
    const one = cursor(1, 2, 3, 4, 5, 6, 7, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x68, 0x69, 0);
    assert.equal(one.u64(), 0x07060504030201);
    assert.equal(one.i64(), -1);
    assert.equal(one.cstring(), "hi");
    assert.equal(one.atEnd, true);
    assert.equal(one.seek(8).raw64(), 2n ** 64n - 1n);
    assert.deepEqual([one.seek(8).u16(), one.i16(), one.i32()], [0xffff, -1, -1]);
  });

  test("refuses what is not there or too large", () => {
    assert.equal(
      code(() => cursor(1, 2, 3).u32()),
      "binary/out-of-bounds",
    );
    assert.equal(
      code(() => cursor(1).take(2)),
      "binary/out-of-bounds",
    );
    assert.equal(
      code(() => cursor(1).take(-1)),
      "binary/out-of-bounds",
    );
    assert.equal(
      code(() => cursor(1).take(Number.NaN)),
      "binary/out-of-bounds",
    );
    assert.equal(
      code(() => cursor(1).seek(2)),
      "binary/out-of-bounds",
    );
    assert.equal(
      code(() => cursor(1).seek(0.5)),
      "binary/out-of-bounds",
    );
    assert.equal(
      code(() => new Cursor(new Uint8Array(4), "x", 3, 2)),
      "binary/out-of-bounds",
    );
    assert.equal(
      code(() => new Cursor(new Uint8Array(4), "x", 0, 5)),
      "binary/out-of-bounds",
    );
    assert.equal(
      code(() => cursor(0, 0, 0, 0, 0, 0, 0x20, 0).u64()),
      "binary/number",
    );
    assert.equal(
      code(() => cursor(...Array(11).fill(0x80), 1).uleb128()),
      "binary/number",
    );
    assert.equal(
      code(() => cursor(0x80).uleb128()),
      "binary/out-of-bounds",
    );
    assert.equal(
      code(() => cursor(0x68, 0x69).cstring()),
      "binary/string",
    );
    assert.equal(
      code(() => stringAt(Uint8Array.of(0x68), 0, "x")),
      "binary/string",
    );
    assert.equal(
      code(() => stringAt(Uint8Array.of(0), -1, "x")),
      "binary/string",
    );
  });

  test("a part of larger bytes is bounded by itself", () => {
    const part = new Uint8Array(64).fill(7).subarray(8, 12);
    assert.equal(new Cursor(part, "a part").u32(), 0x07070707);
    assert.equal(
      code(() => new Cursor(part, "a part").u64()),
      "binary/out-of-bounds",
    );
  });

  test("LEB128 is what was written, with padding as well", () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), (value) => {
        assert.equal(cursor(...leb128(BigInt(value), true)).sleb128(), value);
        const bytes = leb128(BigInt(Math.abs(value)), false);
        assert.equal(cursor(...bytes).uleb128(), Math.abs(value));
        const padded = [...bytes.slice(0, -1), bytes.at(-1)! | 0x80, ...Array(9 - bytes.length).fill(0x80), 0];
        assert.equal(cursor(...padded).uleb128(), Math.abs(value));
      }),
    );
  });
});

const tables: readonly StructTable[] = Object.values(structs);

describe("structs", () => {
  test("what was read is written back byte for byte", () => {
    fc.assert(
      fc.property(fc.constantFrom(...tables), fc.uint8Array({ minLength: 64, maxLength: 64 }), (table, bytes) => {
        // The high bytes of 64-bit fields are zero in all that a number can hold.
        for (const [type, at] of Object.values(table.fields)) if (type === "u64") bytes.fill(0, at + 6, at + 8);
        const copy = Uint8Array.from(bytes);
        for (const [type, at] of Object.values(table.fields))
          copy.fill(0xee, at, at + Number(type.replace(/\D+/, "")) / 8);
        writeStruct(copy, 0, table, readStruct(bytes, 0, table));
        assert.deepEqual(copy, bytes);
      }),
    );
  });

  test("a value that does not fit is refused", () => {
    const table = { name: "pair", sizeBytes: 8, fields: { small: ["u8", 0], large: ["i32", 4] } } as const;
    const bytes = new Uint8Array(8);
    assert.equal(
      code(() => writeStruct(bytes, 0, table, { small: 256, large: 0 })),
      "binary/number",
    );
    assert.equal(
      code(() => writeStruct(bytes, 0, table, { small: -1, large: 0 })),
      "binary/number",
    );
    assert.equal(
      code(() => writeStruct(bytes, 0, table, { small: 0.5, large: 0 })),
      "binary/number",
    );
    assert.equal(
      code(() => writeStruct(bytes, 1, table, { small: 0, large: 0 })),
      "binary/out-of-bounds",
    );
    assert.equal(
      code(() => readStruct(bytes, 1, table)),
      "binary/out-of-bounds",
    );
    writeStruct(bytes, 0, table, { small: 255, large: -2 });
    assert.deepEqual(readStruct(bytes, 0, table), { small: 255, large: -2 });
  });

  describe("of ELF", { skip: missing("gcc") }, () => {
    const workshop = new Workshop();
    after(() => workshop.remove());
    test("have the layout that gcc gives them", () => {
      const lines = tables.flatMap(({ name, fields }) => [
        `printf("${name} %zu\\n", sizeof(${name}));`,
        ...Object.keys(fields).map((field) => {
          const member = field === "d_val" ? "d_un.d_val" : field;
          return `printf("${name}.${field} %zu %zu\\n", offsetof(${name}, ${member}), sizeof((${name}){0}.${member}));`;
        }),
      ]);
      const source = join(workshop.folder, "layout.c");
      writeFileSync(
        source,
        `#include <elf.h>\n#include <stddef.h>\n#include <stdio.h>\nint main(void) {\n${lines.join("\n")}\n}\n`,
      );
      const program = join(workshop.folder, "layout");
      execFileSync("gcc", ["-o", program, source], { timeout: 60_000 });
      const expected = tables.flatMap(({ name, sizeBytes, fields }) => [
        `${name} ${sizeBytes}`,
        ...Object.entries(fields).map(
          ([field, [type, at]]) => `${name}.${field} ${at} ${Number(type.replace(/\D+/, "")) / 8}`,
        ),
      ]);
      assert.deepEqual(execFileSync(program, { encoding: "utf8" }).trim().split("\n"), expected);
    });
  });
});
