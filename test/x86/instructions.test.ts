/** Boundaries, targets and operands are those that objdump prints. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { findSection, parseElf, sectionBytes } from "../../src/elf/elf-file.ts";
import { decode, type Instruction, paddingBytes, startsWithEndbr64 } from "../../src/x86/instructions.ts";
import { scanJumps } from "../../src/x86/jump-targets.ts";
import { missing } from "../elf/support/programs.ts";

interface Printed {
  readonly address: number;
  readonly target: number | undefined;
  readonly text: string;
}

/** Instructions of .text as objdump has them, bytes that it cannot decode included. */
function objdump(path: string): Printed[] {
  const answer = spawnSync("objdump", ["-d", "-j", ".text", "--no-show-raw-insn", "-w", path], {
    encoding: "latin1",
    maxBuffer: 1 << 30,
  });
  return answer.stdout.split("\n").flatMap((line) => {
    const found = /^ *([0-9a-f]+):\t(.*)$/.exec(line);
    if (found === null) return [];
    const [, address = "", text = ""] = found;
    const target =
      /^(?:bnd |notrack )?(?:call|j[a-z]+|loop[a-z]*)(?:,p[nt])? +([0-9a-f]+) </.exec(text)?.[1] ??
      /# ([0-9a-f]+)/.exec(text)?.[1];
    return [
      {
        address: Number.parseInt(address, 16),
        target: target === undefined ? undefined : Number.parseInt(target, 16),
        text,
      },
    ];
  });
}

function target(instruction: Instruction): number | undefined {
  return instruction.branch?.target ?? instruction.ripRelative?.address;
}

describe("instructions", () => {
  test("as objdump has them", { skip: missing("objdump"), timeout: 300_000 }, () => {
    for (const path of ["/bin/ls", "/bin/tar", "/usr/lib/x86_64-linux-gnu/libz.so.1"]) {
      const elf = parseElf(readFileSync(path));
      const text = findSection(elf, ".text");
      assert.ok(text);
      const found = new Map(decode(sectionBytes(elf, text), text.address).map((one) => [one.address, one]));
      const printed = objdump(path);
      assert.ok(printed.length > 1000);
      for (const { address, target: expected, text: shown } of printed) {
        const instruction = found.get(address);
        assert.ok(instruction, `${path} has "${shown}" at ${address.toString(16)}`);
        assert.equal(target(instruction), expected, `"${shown}" at ${address.toString(16)} of ${path}`);
        assert.equal(instruction.flow === "return", /^(repz |bnd )?ret/.test(shown), shown);
        assert.equal(instruction.kind === "endbr64", shown.startsWith("endbr64"), shown);
      }
      assert.equal(found.size, printed.length);
    }
  });

  test("fields stand where they are in the bytes", () => {
    const code = Uint8Array.of(0xc7, 0x05, 1, 0, 0, 0, 9, 0, 0, 0, 0x0f, 0x84, 4, 0, 0, 0, 0xeb, 0xfe);
    const [store, jump, short] = decode(code, 0x1000);
    assert.deepEqual(store?.ripRelative, { address: 0x100b, field: { offset: 2, sizeBytes: 4 } });
    assert.deepEqual(store?.immediates, [{ offset: 6, sizeBytes: 4 }]);
    assert.deepEqual(jump?.branch, { target: 0x1014, field: { offset: 2, sizeBytes: 4 } });
    assert.deepEqual(short?.branch, { target: 0x1010, field: { offset: 1, sizeBytes: 1 } });
    assert.deepEqual([jump?.flow, short?.flow], ["conditional-jump", "jump"]);
  });

  test("decoding ends before what is no instruction, and before one that is cut off", () => {
    assert.equal(decode(Uint8Array.of(0x90, 0x06, 0x90), 0).length, 1);
    assert.equal(decode(Uint8Array.of(0x90, 0xe8, 0, 0), 0).length, 1);
  });

  test("padding is nops and int3 alone", () => {
    const code = Uint8Array.of(0xc3, 0x66, 0x90, 0x0f, 0x1f, 0x44, 0, 0, 0xcc, 0x55);
    assert.equal(paddingBytes(code, 1, 0), 8);
    assert.equal(paddingBytes(code, 0, 0), 0);
    assert.equal(startsWithEndbr64(Uint8Array.of(0xf3, 0x0f, 0x1e, 0xfa)), true);
    assert.equal(startsWithEndbr64(code), false);
  });

  test("branches into the first bytes are found", () => {
    // 0: nop; 1: nop; 2: nop ×3; 5: jmp 1; 7: jmp 0; 9: jmp *%rax
    const code = Uint8Array.of(0x90, 0x90, 0x90, 0x90, 0x90, 0xeb, 0xfa, 0xeb, 0xf7, 0xff, 0xe0);
    const scan = scanJumps(code, 0x1000, { start: 0x1000, end: 0x1005 });
    assert.deepEqual(
      scan.intoRange.map(({ address }) => address),
      [0x1005],
    );
    assert.deepEqual(
      scan.toStart.map(({ address }) => address),
      [0x1007],
    );
    assert.deepEqual(
      scan.indirectJumps.map(({ address }) => address),
      [0x1009],
    );
    assert.equal(scan.complete, true);
    assert.equal(scanJumps(code.subarray(0, 10), 0x1000, { start: 0x1000, end: 0x1005 }).complete, false);
  });
});
