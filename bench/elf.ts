/** `npm run bench:elf`: how long reading the C library takes, and how many frames a second are unwound; the median of several rounds. */
import { readFileSync } from "node:fs";
import { median } from "../sample/latency.ts";
import { dynamicRelocations, dynamicSymbols, readDynamic } from "../src/elf/dynamic.ts";
import type { Memory } from "../src/elf/eh-frame/memory.ts";
import { fileUnwindTable } from "../src/elf/eh-frame/unwind-information.ts";
import { type Frame, innermostFrame, register, unwindStep } from "../src/elf/eh-frame/unwind-step.ts";
import { UnwindSpace } from "../src/elf/eh-frame/unwind-table.ts";
import { type ElfFile, parseElf } from "../src/elf/elf-file.ts";
import { fileImage } from "../src/elf/image.ts";

const library = "/usr/lib/x86_64-linux-gnu/libc.so.6";
const rounds = 15;
const stackAt = 0x7ffe_0000_0000;
const stackWords = 4096;

function timed(run: () => void): number {
  const started = performance.now();
  run();
  return performance.now() - started;
}

function parse(): ElfFile {
  const elf = parseElf(readFileSync(library));
  const object = readDynamic(fileImage(elf));
  if (object !== undefined) {
    dynamicSymbols(object);
    dynamicRelocations(object);
  }
  return elf;
}

/** A stack on which every word is an address inside a function of the library, so that walks go through many different frames. */
function syntheticStack(elf: ElfFile): { readonly memory: Memory; readonly addresses: readonly number[] } {
  const object = readDynamic(fileImage(elf));
  const functions =
    object === undefined ? [] : dynamicSymbols(object).filter(({ type, size }) => type === 2 && size > 32);
  const addresses = functions.map(({ value, size }) => value + Math.floor(size / 2));
  const words = Float64Array.from({ length: stackWords }, (_, index) => addresses[(index * 7) % addresses.length] ?? 0);
  return { memory: { readWord: (address) => words[(address - stackAt) / 8] ?? Number.NaN }, addresses };
}

function frameAt(address: number): Frame {
  const registers = new Float64Array(17).fill(stackAt);
  registers[register.rbp] = stackAt + 64;
  registers[register.rip] = address;
  return innermostFrame(registers);
}

const parseMs = median(Array.from({ length: rounds }, () => timed(parse)));
const elf = parse();
const table = fileUnwindTable(elf);
if (table === undefined) throw new Error(`${library} has no unwind information`);
const tableMs = median(Array.from({ length: rounds }, () => timed(() => fileUnwindTable(elf))));
const space = new UnwindSpace([{ start: 0, end: 2 ** 40, bias: 0, table }]);
const { memory, addresses } = syntheticStack(elf);

let steps = 0;
function walkAll(): void {
  for (const address of addresses) {
    const frame = frameAt(address);
    while (unwindStep(frame, memory, space) === "caller") steps += 1;
  }
}

const rates = Array.from({ length: rounds }, () => {
  steps = 0;
  const ms = timed(walkAll);
  return steps / (ms / 1000);
});

process.stdout.write(`parse ${library}        ${parseMs.toFixed(1)} ms
its unwind table of ${table.size} functions  ${tableMs.toFixed(1)} ms
unwind steps a second                 ${Math.round(median(rates)).toLocaleString("en")} (${steps} a round)
`);
