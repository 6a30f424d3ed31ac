/** The self-checking program, its hotpatch, and what it says of itself. */
import { readFileSync } from "node:fs";
import type { TestContext } from "node:test";
import type { Hotpatch } from "../../../../src/hotpatch/hotpatch.ts";
import { buildNativeHotpatch } from "./native-hotpatch.ts";
import { compile, Target, temporaryFolder } from "./target.ts";

export const oldPair = 2002;
export const newPair = 3003;

export interface SelfReport {
  readonly pair: number;
  readonly rounds: number;
  readonly faults: number;
  readonly mixtures: number;
  readonly ticks: number;
  readonly first: string;
}

const fixed = `
static int added = 2;
int first_half(int x) { return x + added; }
int second_half(int x) { return x + added; }
int both(int x) { int a = first_half(x), b = second_half(x); return a * 1000 + b; }
`;

/** Hooks that allocate, wait, compute, and trash every register that a callee may trash; the resolvers of time and memset are asked besides. */
const hooks = `
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
static char *kept;
static void trash(void) {
  struct timespec once = {0, 200000};
  volatile double sum = time(0);
  for (int i = 0; i < 1000; i++) sum = sum * 1.0000001 + i;
  __asm__ volatile("fninit; fld1; fld1; pcmpeqd %%xmm0, %%xmm0; pcmpeqd %%xmm1, %%xmm1; pcmpeqd %%xmm7, %%xmm7; pcmpeqd %%xmm15, %%xmm15; fstp %%st; fstp %%st" ::: "xmm0", "xmm1", "xmm7", "xmm15");
  nanosleep(&once, 0);
}
int before_apply(void) { trash(); return 0; }
int after_apply(void) { trash(); kept = malloc(100000); if (!kept) return 1; memset(kept, 1, 100000); return 0; }
int before_revert(void) { trash(); return 0; }
int after_revert(void) { trash(); free(kept); kept = 0; return 0; }
`;

export interface SelfChecking {
  readonly program: string;
  readonly hotpatch: Hotpatch;
  readonly folder: string;
}

export function buildSelfChecking(context: TestContext, { withHooks = false } = {}): SelfChecking {
  const folder = temporaryFolder(context);
  const source = readFileSync(new URL("./self-checking.c", import.meta.url), "utf8");
  // With an unwinder in the process, which has to be told of new code.
  const libraries = withHooks ? ["-Wl,--no-as-needed", "-lgcc_s"] : [];
  const program = compile(folder, "self-checking", source, libraries);
  const functions = ["first_half", "second_half", "both"];
  const hotpatch = buildNativeHotpatch({
    folder,
    binary: program,
    source: withHooks ? fixed + hooks : fixed,
    functions,
    flags: withHooks ? ["-fno-builtin"] : [],
    ...(withHooks
      ? {
          hooks: {
            beforeApply: "before_apply",
            afterApply: "after_apply",
            beforeRevert: "before_revert",
            afterRevert: "after_revert",
          },
        }
      : {}),
  });
  return { folder, program, hotpatch };
}

export async function startSelfChecking(
  context: TestContext,
  { program }: SelfChecking,
  words: readonly string[] = [],
) {
  return await Target.start(context, program, words);
}

export async function reportOf(target: Target): Promise<SelfReport> {
  return JSON.parse(await target.ask("report")) as SelfReport;
}
