/** Where the jump of a function stands whose entry crosses a page. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { entryPlace } from "../../../src/engine/linux/entry-place.ts";

const page = 0x1000;
const body = (hex: string): Buffer => Buffer.from(hex.replaceAll(" ", ""), "hex");

test("an entry within a page is where the jump stands, whatever is there", () => {
  assert.deepEqual(entryPlace(body("85 ff 74 10 c3 90"), page - 5, 5), { offset: 0, undo: Buffer.alloc(0) });
  assert.deepEqual(entryPlace(body("85 ff 74 10 c3 90"), page, 5), { offset: 0, undo: Buffer.alloc(0) });
});

for (const [what, address, code, offset, undo] of [
  ["a push", page - 1, "53 89 fb 31 c0 c3 90", 1, "5b"],
  ["pushes of old and new registers", page - 3, "41 57 53 31 c0 31 d2 c3", 3, "5b 41 5f"],
  ["moves into what was pushed", page - 3, "53 89 fb 31 c0 31 d2 c3", 3, "5b"],
  ["the frame pointer", page - 4, "55 48 89 e5 31 c0 31 d2 c3", 4, "5d"],
  ["room on the stack", page - 4, "48 83 ec 18 31 c0 31 d2 c3", 4, "48 8d a4 24 18 00 00 00"],
  [
    "an instruction that itself crosses the page",
    page - 2,
    "48 81 ec 00 01 00 00 31 c0 c3 90 90",
    7,
    "48 8d a4 24 00 01 00 00",
  ],
] as const)
  test(`behind ${what}`, () => {
    const place = entryPlace(body(code), address, 5);
    assert.equal(place?.offset, offset);
    assert.equal(place?.undo.toString("hex"), undo.replaceAll(" ", ""));
  });

for (const [what, code] of [
  ["writes an argument's register", "89 f7 31 c0 31 d2 c3"],
  ["compares, whose flags the next instruction asks", "85 ff 74 10 31 c0 c3"],
  ["moves into a register that was not pushed", "53 89 fd 31 c0 31 d2 c3"],
  ["pushes the stack pointer", "54 31 c0 31 d2 31 f6 c3"],
] as const)
  test(`not behind what ${what}`, () => assert.equal(entryPlace(body(code), page - 3, 5), undefined));
