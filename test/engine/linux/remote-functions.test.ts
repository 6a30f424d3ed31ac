/** Functions called in real processes: resolvers of IFUNC symbols, and what a hook may do. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { buildNativeHotpatch } from "./support/native-hotpatch.ts";
import { apply, refusalOf, revert, stateOf } from "./support/patching.ts";
import { buildSelfChecking, newPair, oldPair, reportOf, startSelfChecking } from "./support/self-checking.ts";
import { compile, Target, temporaryFolder } from "./support/target.ts";

const answering = `#include <stdio.h>
int calls, greeting = 5;
__attribute__((noinline)) int answer(int x) { calls++; __asm__ volatile("" ::: "memory"); return x + 1; }
int main() { char l[100]; puts("ready"); fflush(stdout); while (fgets(l, 100, stdin)) { int got = answer(1); printf("%d %d %d\\n", got, calls, greeting); fflush(stdout); } }
`;

test("functions that are chosen at run time (IFUNC) and that nothing has used yet are chosen as the linker would", async (context) => {
  const folder = temporaryFolder(context);
  const program = compile(folder, "answering", answering);
  const source = `#include <string.h>
#include <time.h>
int answer(int x) { char text[32]; memset(text, 'a', 31); text[31] = 0; return time(0) > 1700000000 ? (int)strcspn(text, "b") + (strrchr(text, 'z') == 0) : x; }`;
  const hotpatch = buildNativeHotpatch({
    folder,
    binary: program,
    functions: ["answer"],
    source,
    flags: ["-fno-builtin"],
  });
  const target = await Target.start(context, program);
  const before = stateOf(target.pid);
  await apply(target.pid, hotpatch);
  assert.equal(await target.ask("new"), "32 0 5");
  await revert(target.pid, hotpatch);
  assert.equal(await target.ask("old"), "2 1 5");
  assert.deepEqual(stateOf(target.pid), before);
});

test("hooks run at their moments, in the process, with what the program has", async (context) => {
  const folder = temporaryFolder(context);
  const program = compile(folder, "answering", answering);
  const source = `#include <stdlib.h>
#include <string.h>
extern int greeting; static char *kept;
int answer(int x) { return x + 100; }
int before(void) { greeting += 10; return 0; }
int after(void) { kept = malloc(1000); if (!kept) return 1; memset(kept, 1, 1000); greeting += 100; return 0; }
int undo(void) { greeting -= 10; return 0; }
int done(void) { free(kept); greeting -= 100; return 0; }`;
  const hooks = { beforeApply: "before", afterApply: "after", beforeRevert: "undo", afterRevert: "done" };
  const hotpatch = buildNativeHotpatch({ folder, binary: program, functions: ["answer"], source, hooks });
  const target = await Target.start(context, program);
  const before = stateOf(target.pid);
  for (let round = 0; round < 5; round++) {
    await apply(target.pid, hotpatch);
    assert.match(await target.ask("new"), /^101 \d+ 115$/);
    await revert(target.pid, hotpatch);
    assert.match(await target.ask("old"), /^2 \d+ 5$/);
  }
  assert.deepEqual(stateOf(target.pid), before);
});

for (const [how, body, message] of [
  ["answers an error", "return 7;", /answered 7/],
  ["dereferences nothing", "*(volatile int *)0 = 1; return 0;", /SIGSEGV/],
  ["never ends", 'for (;;) __asm__ volatile(""); return 0;', /did not end within/],
  ["gives up", "abort();", /SIGABRT/],
  ["waits for ever", "return pause();", /did not end within/],
] as const) {
  test(`a hook before the switch that ${how} refuses the apply: nothing has changed, and the process works on`, async (context) => {
    const folder = temporaryFolder(context);
    const program = compile(folder, "answering", answering);
    const source = `#include <stdlib.h>
#include <unistd.h>
int answer(int x) { return x + 100; } int before(void) { ${body} }`;
    const hooks = { beforeApply: "before" };
    const hotpatch = buildNativeHotpatch({ folder, binary: program, functions: ["answer"], source, hooks });
    const target = await Target.start(context, program);
    const before = stateOf(target.pid);
    const refusal = await refusalOf(() => apply(target.pid, hotpatch));
    assert.equal(refusal.code, "target/hook-failed");
    assert.match(refusal.message, message);
    assert.equal(await target.ask("old"), "2 1 5");
    assert.deepEqual(stateOf(target.pid), before);
  });
}

test("a hook after the switch that answers an error takes the change back", async (context) => {
  const folder = temporaryFolder(context);
  const program = compile(folder, "answering", answering);
  const source = "int answer(int x) { return x + 100; } int after(void) { return 1; }";
  const hooks = { afterApply: "after" };
  const hotpatch = buildNativeHotpatch({ folder, binary: program, functions: ["answer"], source, hooks });
  const target = await Target.start(context, program);
  const before = stateOf(target.pid);
  assert.equal((await refusalOf(() => apply(target.pid, hotpatch))).code, "target/hook-failed");
  assert.equal(await target.ask("old"), "2 1 5");
  assert.deepEqual(stateOf(target.pid), before);
});

test("30 rounds with hooks that trash, allocate and wait, in threads in all kinds of waits, under a timer: no EINTR, no wrong sum, nothing left", async (context) => {
  const built = buildSelfChecking(context, { withHooks: true });
  const target = await startSelfChecking(context, built, ["timer"]);
  const before = stateOf(target.pid);
  for (let round = 0; round < 30; round++) {
    await apply(target.pid, built.hotpatch, 30_000);
    if (round % 10 === 0) assert.equal((await reportOf(target)).pair, newPair);
    await revert(target.pid, built.hotpatch, 30_000);
  }
  const last = await reportOf(target);
  assert.deepEqual(
    { pair: last.pair, faults: last.faults, mixtures: last.mixtures, first: last.first },
    { pair: oldPair, faults: 0, mixtures: 0, first: "" },
  );
  assert.equal(stateOf(target.pid).text, before.text);
});
