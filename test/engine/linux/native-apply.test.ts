/** Apply, verify and revert in real processes that check themselves. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { hotpatchesIn } from "../../../src/engine/linux/native-processes.ts";
import { answering, startProgram } from "./support/answering.ts";
import { buildNativeHotpatch } from "./support/native-hotpatch.ts";
import { apply, engineFor, referenceOf, refusalOf, revert, stateOf } from "./support/patching.ts";
import { buildSelfChecking, newPair, oldPair, reportOf, startSelfChecking } from "./support/self-checking.ts";
import { compile, Target, temporaryFolder } from "./support/target.ts";

test("new data, strings, library functions and variables of the program work in the new code; revert restores every byte", async (context) => {
  const folder = temporaryFolder(context);
  const program = compile(folder, "answering", answering);
  const source = `#include <stdio.h>
#include <string.h>
extern int calls;
static int mine = 40;
int answer(int x) { char text[64]; calls += 100; mine++; snprintf(text, sizeof text, "%d", mine); return x + (int)strlen(text) * 100 + mine; }
`;
  const hotpatch = buildNativeHotpatch({ folder, binary: program, functions: ["answer"], source });
  const target = await Target.start(context, program);
  assert.equal(await target.ask("old"), "2 1");
  const before = stateOf(target.pid);
  assert.equal((await apply(target.pid, hotpatch)).state, "applied");
  assert.equal(await target.ask("new"), "242 101");
  assert.equal(await target.ask("new"), "243 201");
  const verdict = await engineFor().verify(referenceOf(target.pid), hotpatch);
  assert.equal(verdict.state, "in-place", JSON.stringify(verdict.findings));
  assert.deepEqual(
    hotpatchesIn(target.pid).map(({ id, state, functions }) => ({ id, state, functions })),
    [{ id: "elf-test", state: "applied", functions: ["answer"] }],
  );
  assert.equal((await apply(target.pid, hotpatch)).state, "unchanged");
  await revert(target.pid, hotpatch);
  assert.equal(await target.ask("old"), "2 202");
  assert.deepEqual(stateOf(target.pid), before);
  assert.equal((await refusalOf(() => revert(target.pid, hotpatch))).code, "target/not-applied");
});

for (const [how, flags] of [
  ["not position-independent", ["-no-pie", "-fno-pie"]],
  ["static", ["-static"]],
  ["with endbr64", ["-fcf-protection=full"]],
  ["without optimisation", ["-O0"]],
] as const) {
  test(`a program that is ${how}`, async (context) => {
    const folder = temporaryFolder(context);
    const program = compile(folder, "answering", answering, flags);
    const source = "extern int calls; int answer(int x) { calls += 10; return x + 7; }";
    const own = flags.filter((flag) => flag !== "-no-pie" && flag !== "-static");
    const hotpatch = buildNativeHotpatch({ folder, binary: program, functions: ["answer"], source, flags: own });
    const target = await Target.start(context, program);
    const before = stateOf(target.pid);
    await apply(target.pid, hotpatch);
    assert.equal(await target.ask("new"), "8 10");
    await revert(target.pid, hotpatch);
    assert.equal(await target.ask("old"), "2 11");
    assert.deepEqual(stateOf(target.pid), before);
  });
}

test("thread-local variables that exist are the same ones in the new code", async (context) => {
  const folder = temporaryFolder(context);
  const program = compile(
    folder,
    "local",
    answering.replace("int calls;", "__thread int depth = 5; __thread int calls;"),
  );
  const source =
    "extern __thread int depth; extern __thread int calls; int answer(int x) { calls += depth; return x + depth++; }";
  const hotpatch = buildNativeHotpatch({ folder, binary: program, functions: ["answer"], source });
  const target = await Target.start(context, program);
  await apply(target.pid, hotpatch);
  assert.equal(await target.ask("new"), "6 5");
  assert.equal(await target.ask("new"), "7 11");
});

test("100 rounds in a process whose threads are in all kinds of waits, under a timer: no EINTR, no mixture, nothing left", async (context) => {
  const built = buildSelfChecking(context);
  const target = await startSelfChecking(context, built, ["timer"]);
  const before = stateOf(target.pid);
  const first = await reportOf(target);
  for (let round = 0; round < 100; round++) {
    await apply(target.pid, built.hotpatch, 30_000);
    if (round % 20 === 0) assert.equal((await reportOf(target)).pair, newPair);
    await revert(target.pid, built.hotpatch, 30_000);
  }
  const last = await reportOf(target);
  assert.deepEqual(
    { pair: last.pair, faults: last.faults, mixtures: last.mixtures, first: last.first },
    { pair: oldPair, faults: 0, mixtures: 0, first: "" },
  );
  assert.ok(last.rounds > first.rounds && last.ticks > first.ticks);
  const after = stateOf(target.pid);
  assert.equal(after.text, before.text);
  assert.deepEqual(after.map, before.map);
});

const sleepers = `#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>
atomic_int rounds;
__attribute__((noinline)) int answer(int x) { __asm__ volatile("" ::: "memory"); return x + 1; }
static void *work(void *unused) { for (;;) { answer(1); atomic_fetch_add(&rounds, 1); usleep(500); } return unused; }
int main() { pthread_t t; for (int i = 0; i < 64; i++) pthread_create(&t, 0, work, 0); char l[100]; puts("ready"); fflush(stdout);
  while (fgets(l, 100, stdin)) { printf("%d\\n", answer(1)); fflush(stdout); } }
`;

test("64 threads", async (context) => {
  const { hotpatch, target } = await startProgram(context, { name: "sleepers", source: sleepers });
  assert.equal((await apply(target.pid, hotpatch, 30_000)).threads, 65);
  assert.equal(await target.ask("new"), "3");
  await revert(target.pid, hotpatch, 30_000);
  assert.equal(await target.ask("old"), "2");
});

test("a process that forks all the time: children are old or new as a whole, and know of the hotpatch", async (context) => {
  const { hotpatch, target } = await startProgram(context, {
    name: "forking",
    source: `#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
static volatile int wrong, children;
__attribute__((noinline)) int answer(int x) { __asm__ volatile("" ::: "memory"); return x + 1; }
static void *fork_always(void *unused) { for (;;) { pid_t child = fork(); if (child == 0) { int got = answer(1); _exit(got == 2 || got == 3 ? 0 : 1); }
  int status; if (child > 0 && waitpid(child, &status, 0) == child) { children++; if (status != 0) wrong++; } } return unused; }
int main() { pthread_t t; pthread_create(&t, 0, fork_always, 0); char l[100]; puts("ready"); fflush(stdout);
  while (fgets(l, 100, stdin)) { printf("%d %d %d\\n", answer(1), wrong, children > 0); fflush(stdout); } }
`,
  });
  for (let round = 0; round < 5; round++) {
    await apply(target.pid, hotpatch, 10_000);
    assert.equal(await target.ask("new"), "3 0 1");
    await revert(target.pid, hotpatch, 10_000);
    assert.equal(await target.ask("old"), "2 0 1");
  }
});

test("a process that was stopped stays stopped, and runs the new code when it goes on", async (context) => {
  const { hotpatch, target } = await startProgram(context, { name: "answering", source: answering });
  process.kill(target.pid, "SIGSTOP");
  const state = () => /^State:\s+(\S)/m.exec(readFileSync(`/proc/${target.pid}/status`, "utf8"))?.[1];
  const stopped = async () => {
    while (state() !== "T") await new Promise(setImmediate);
  };
  await stopped();
  await apply(target.pid, hotpatch);
  // On its way from the tracer's stop back into its own it counts as running for a moment; one that waits for input never gets there.
  await stopped();
  process.kill(target.pid, "SIGCONT");
  assert.match(await target.ask("new"), /^3 /);
});

test("a debugger that is attached is named, and the process is left alone", async (context) => {
  const { hotpatch, target } = await startProgram(context, { name: "answering", source: answering });
  const debug = spawn("strace", ["-p", String(target.pid), "-o", "/dev/null"], { stdio: "ignore" });
  context.after(() => debug.kill("SIGKILL"));
  const tracer = () => /^TracerPid:\s+(\d+)/m.exec(readFileSync(`/proc/${target.pid}/status`, "utf8"))?.[1];
  while (tracer() === "0") await new Promise(setImmediate);
  const refusal = await refusalOf(() => apply(target.pid, hotpatch));
  assert.equal(refusal.code, "target/debugger-attached");
  assert.match(refusal.message, /strace/);
});
