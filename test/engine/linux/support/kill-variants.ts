/** Targets of the kill-test: one thread, many threads in all kinds of waits, and code of two binaries in one hotpatch. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import type { Hotpatch } from "../../../../src/hotpatch/hotpatch.ts";
import { buildNativeHotpatch } from "./native-hotpatch.ts";
import { buildSelfChecking, type SelfChecking } from "./self-checking.ts";
import { compile, temporaryFolder } from "./target.ts";

const source = readFileSync(new URL("./self-checking.c", import.meta.url), "utf8");
const halves =
  "static int added = 2; int first_half(int x) { return x + added; } int second_half(int x) { return x + added; }";
const both =
  "int first_half(int x); int second_half(int x); int both(int x) { int a = first_half(x), b = second_half(x); return a * 1000 + b; }";

function buildAlone(context: TestContext): SelfChecking {
  const folder = temporaryFolder(context);
  const program = compile(folder, "alone", source, ["-DALONE"]);
  const functions = ["first_half", "second_half", "both"];
  return {
    folder,
    program,
    hotpatch: buildNativeHotpatch({ folder, binary: program, source: `${halves} ${both}`, functions }),
  };
}

function buildTwoBinaries(context: TestContext): SelfChecking {
  const folder = temporaryFolder(context);
  // The last function of a library has no padding behind it, and needs the room of a jump itself.
  const plain = (name: string) => `int ${name}(int x) { __asm__ volatile("nop; nop" ::: "memory"); return x + 1; }`;
  const library = compile(folder, "libhalves.so", `${plain("first_half")} ${plain("second_half")}`, [
    "-shared",
    "-fPIC",
  ]);
  const program = compile(folder, "parted", source, ["-DHALVES_ELSEWHERE", library, `-Wl,-rpath,${folder}`]);
  const inProgram = buildNativeHotpatch({ folder, binary: program, source: both, functions: ["both"] });
  const inLibrary = buildNativeHotpatch({
    folder,
    binary: library,
    source: halves,
    functions: ["first_half", "second_half"],
    id: "halves",
    type: "library",
  });
  return { folder, program: join(program), hotpatch: joined(inProgram, inLibrary) };
}

/** One hotpatch for the binaries of both. */
function joined(one: Hotpatch, other: Hotpatch): Hotpatch {
  const [first, second] = [one.manifest, other.manifest];
  if (first.elf === undefined || second.elf === undefined) throw new Error("both are for native programs");
  return {
    manifest: {
      ...first,
      elf: { ...first.elf, binaries: [...first.elf.binaries, ...second.elf.binaries] },
      payloads: [...first.payloads, ...second.payloads],
    },
    payloads: new Map([...one.payloads, ...other.payloads]),
  };
}

export interface KillVariant {
  readonly name: string;
  build(context: TestContext): SelfChecking;
}

export const killVariants: readonly KillVariant[] = [
  { name: "one thread", build: buildAlone },
  { name: "many threads", build: (context) => buildSelfChecking(context) },
  { name: "hooks and resolvers", build: (context) => buildSelfChecking(context, { withHooks: true }) },
  { name: "two binaries", build: buildTwoBinaries },
];
