/** Walks over the stacks of a real process give the return addresses that gdb gives. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { dynamicRelocations, dynamicSymbols, readDynamic } from "../../src/elf/dynamic.ts";
import { MemorySnapshot } from "../../src/elf/eh-frame/memory.ts";
import { type Backtrace, backtrace, innermostFrame, register } from "../../src/elf/eh-frame/unwind-step.ts";
import type { UnwindSpace } from "../../src/elf/eh-frame/unwind-table.ts";
import { parseElf } from "../../src/elf/elf-file.ts";
import { fileImage } from "../../src/elf/image.ts";
import { buildId, imageNotes } from "../../src/elf/notes.ts";
import { lookUpSymbol } from "../../src/elf/symbol-lookup.ts";
import { have, missing, Workshop } from "./support/programs.ts";
import { type SeenThread, StoppedProcess } from "./support/stopped-process.ts";

function registersOf(seen: SeenThread): Float64Array {
  return Float64Array.from(seen.registers, (digits) => {
    const value = BigInt(digits);
    return value < 2n ** 53n ? Number(value) : Number.NaN;
  });
}

function walk(target: StoppedProcess, space: UnwindSpace, seen: SeenThread): Backtrace {
  const registers = registersOf(seen);
  const stack = registers[register.rsp]!;
  // The way of a patcher: the top of the stack in one reading, single words for what is beyond.
  const snapshot = new MemorySnapshot(target.read(stack, 512), stack, target.memory);
  return backtrace(innermostFrame(registers), snapshot, space);
}

const builds: readonly (readonly [name: string, compiler: string, flags: readonly string[]])[] = [
  ["gcc, optimised", "gcc", ["-O2"]],
  ["gcc, not optimised, non-PIE", "gcc", ["-O0", "-no-pie"]],
  ["gcc, protected control flow", "gcc", ["-Os", "-fcf-protection=full", "-Wl,-z,ibtplt", "-Wl,-z,lazy"]],
  ["gcc, static", "gcc", ["-O2", "-static"]],
  ["clang", "clang", ["-O2"]],
];

// A second compiler is welcome, and its absence nothing to tell of.
for (const [name, compiler, flags] of builds.filter(([, compiler]) => compiler === "gcc" || have(compiler))) {
  describe(`stacks of a program by ${name}`, { skip: missing(compiler, "gdb"), timeout: 120_000 }, () => {
    const workshop = new Workshop();
    let target: StoppedProcess;
    let space: UnwindSpace;
    before(async () => {
      if (!have(compiler) || !have("gdb")) return;
      target = await StoppedProcess.start(
        workshop.compile(compiler, "stacks", ["stacks.c"], [...flags, "-pthread", "-w"]),
      );
      space = target.space();
    });
    after(async () => {
      await target?.end();
      workshop.remove();
    });

    test("every thread, down to its first frame", () => {
      assert.equal(target.seen.length, 8);
      for (const seen of target.seen) {
        const { addresses, ended } = walk(target, space, seen);
        assert.deepEqual([...addresses], [...seen.addresses], `thread ${seen.thread}`);
        assert.equal(ended, "end", `thread ${seen.thread}`);
      }
    });

    // A static program has no library.
    const libraries = flags.includes("-static") ? [] : ["/usr/lib/x86_64-linux-gnu/libc.so.6"];
    for (const library of libraries)
      test("the dynamic section in memory leads to what that of the file does", () => {
        const inFile = readDynamic(fileImage(parseElf(readFileSync(library))));
        const inMemory = readDynamic(target.image(library));
        assert.ok(inFile && inMemory);
        assert.deepEqual(dynamicSymbols(inMemory), dynamicSymbols(inFile));
        assert.deepEqual(inMemory.versions.byIndex, inFile.versions.byIndex);
        assert.deepEqual(dynamicRelocations(inMemory), dynamicRelocations(inFile));
        const reference = { name: "memcpy", version: "GLIBC_2.14" };
        assert.deepEqual(lookUpSymbol(inMemory, reference), lookUpSymbol(inFile, reference));
        assert.equal(buildId(imageNotes(inMemory.image)), buildId(imageNotes(inFile.image)));
      });

    test("at each instruction of a call through the PLT", async () => {
      const places = new Set<number>();
      for (let step = 0; step < 40; step += 1) {
        const seen = await target.step();
        const { addresses, ended } = walk(target, space, seen);
        assert.deepEqual([...addresses], [...seen.addresses], `step ${step}`);
        assert.equal(ended, "end");
        places.add(seen.addresses[0] ?? 0);
      }
      assert.ok(places.size > 4, `${places.size} places`);
    });
  });
}
