/** Programs that answer lines, with a hotpatch for one of their functions: what most tests of the engine begin with. */
import type { TestContext } from "node:test";
import type { Hotpatch } from "../../../../src/hotpatch/hotpatch.ts";
import { buildNativeHotpatch } from "./native-hotpatch.ts";
import { compile, Target, temporaryFolder } from "./target.ts";

/** Answers each line with what `answer(1)` gives and how often it was called. */
export const answering = `#include <stdio.h>
int calls;
__attribute__((noinline)) int answer(int x) { calls++; __asm__ volatile("" ::: "memory"); return x + 1; }
int main() { char l[100]; puts("ready"); fflush(stdout); while (fgets(l, 100, stdin)) { int got = answer(1); printf("%d %d\\n", got, calls); fflush(stdout); } }
`;

export interface PatchedProgram {
  readonly name: string;
  readonly source: string;
  readonly functions?: readonly string[];
  /** C source of the new functions; `answer` adds 2 unless told. */
  readonly fix?: string;
  /** For the program, and for its hotpatch where they are not the same. */
  readonly flags?: readonly string[];
  readonly fixFlags?: readonly string[];
}

export interface StartedProgram {
  readonly folder: string;
  readonly program: string;
  readonly hotpatch: Hotpatch;
  readonly target: Target;
}

/** Compiled, started, and its hotpatch built; nothing is applied. */
export async function startProgram(context: TestContext, wanted: PatchedProgram): Promise<StartedProgram> {
  const { name, source, functions = ["answer"], fix = "int answer(int x) { return x + 2; }", flags = [] } = wanted;
  const folder = temporaryFolder(context);
  const program = compile(folder, name, source, flags);
  const hotpatch = buildNativeHotpatch({
    folder,
    binary: program,
    functions,
    source: fix,
    flags: wanted.fixFlags ?? [],
  });
  return { folder, program, hotpatch, target: await Target.start(context, program) };
}
