/** Targets in other namespaces, in a chroot, of another user, with files that are gone, and with processes that share their memory. */
import assert from "node:assert/strict";
import { chmodSync, readFileSync, renameSync, rmSync } from "node:fs";
import { basename, dirname } from "node:path";
import { type TestContext, test } from "node:test";
import { loadedImages } from "../../../src/engine/linux/loaded-image.ts";
import { ProcessMemory } from "../../../src/engine/linux/process-memory.ts";
import { readProcess } from "../../../src/process/process.ts";
import { buildNativeHotpatch } from "./support/native-hotpatch.ts";
import { apply, engineFor, referenceOf, refusalOf, revert, stateOf } from "./support/patching.ts";
import { compile, Target, temporaryFolder } from "./support/target.ts";

const answering = `#include <stdio.h>
volatile int one = 1;
__attribute__((noinline)) int answer(int x) { return x + one; }
int main() { char l[100]; puts("ready"); fflush(stdout); while (fgets(l, 100, stdin)) { printf("%d\\n", answer(1)); fflush(stdout); } }
`;

function build(context: TestContext, source = answering, flags: readonly string[] = []) {
  const folder = temporaryFolder(context);
  chmodSync(folder, 0o755);
  const program = compile(folder, "answering", source, flags);
  const fix = { folder, binary: program, functions: ["answer"], source: "int answer(int x) { return x + 2; }" };
  return { folder, program, hotpatch: buildNativeHotpatch(fix) };
}

/** The process itself, or where a helper had to fork the one that it started. */
function programOf(pid: number, name: string): number {
  if (readProcess(pid)?.comm === name) return pid;
  return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim());
}

const asRoot = process.geteuid?.() === 0 ? {} : { skip: "needs root" };

for (const [how, flags, words] of [
  ["in user and mount namespaces of its own", [], ["unshare", "--user", "--map-root-user", "--mount"]],
  ["in a PID namespace of its own", [], ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]],
  ["of another user", [], ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]],
  ["in a chroot", ["-static"], ["chroot"]],
] as const) {
  test(`a target ${how}`, asRoot, async (context) => {
    const { program, hotpatch } = build(context, answering, flags);
    const [helper, ...options] = words as readonly [string, ...string[]];
    const given = helper === "chroot" ? [dirname(program), `/${basename(program)}`] : [...options, program];
    const target = await Target.start(context, helper, given);
    const pid = programOf(target.pid, "answering");
    const before = stateOf(pid);
    await apply(pid, hotpatch, 10_000);
    assert.equal(await target.ask("?"), "3");
    const verdict = await engineFor().verify(referenceOf(pid), hotpatch);
    assert.equal(verdict.state, "in-place", JSON.stringify(verdict.findings));
    await revert(pid, hotpatch, 10_000);
    assert.equal(await target.ask("?"), "2");
    assert.deepEqual(stateOf(pid), before);
  });
}

for (const how of ["deleted", "replaced"] as const) {
  test(`a target whose file was ${how}`, async (context) => {
    const { folder, program, hotpatch } = build(context);
    const target = await Target.start(context, program);
    if (how === "deleted") rmSync(program);
    else renameSync(compile(folder, "other", answering.replace("x + one", "x * one")), program);
    await apply(target.pid, hotpatch, 10_000);
    assert.equal(await target.ask("?"), "3");
    const { state, findings } = await engineFor().verify(referenceOf(target.pid), hotpatch);
    assert.equal(state, "in-place", JSON.stringify(findings));
    await revert(target.pid, hotpatch, 10_000);
    assert.equal(await target.ask("?"), "2");
  });
}

const sharing = `#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
volatile int one = 1;
__attribute__((noinline)) int answer(int x) { return x + one; }
static int other(void *unused) { for (;;) { answer(1); usleep(1000); } }
int main() {
  char l[100]; int child = clone(other, (char *)malloc(65536) + 65536, CLONE_VM | SIGCHLD, NULL);
  puts("ready"); fflush(stdout);
  while (fgets(l, 100, stdin)) { if (l[0] == 'e' && child > 0) { kill(child, SIGKILL); waitpid(child, NULL, 0); child = 0; } printf("%d\\n", answer(1)); fflush(stdout); }
  if (child > 0) kill(child, SIGKILL);
}
`;

test("a process that shares its memory without being a thread is found and named; once it has ended, the hotpatch goes in", async (context) => {
  const { hotpatch, program } = build(context, sharing);
  const target = await Target.start(context, program);
  const sharer = Number(readFileSync(`/proc/${target.pid}/task/${target.pid}/children`, "utf8").trim());
  context.after(() => {
    try {
      process.kill(sharer, "SIGKILL");
    } catch {
      // It has ended in the course of the test.
    }
  });
  const before = stateOf(target.pid);
  const refusal = await refusalOf(() => apply(target.pid, hotpatch, 100));
  assert.equal(refusal.code, "target/shared-memory");
  assert.match(refusal.message, new RegExp(`Process ${sharer} runs in the memory of process ${target.pid}`));
  assert.equal(stateOf(target.pid).text, before.text);
  assert.equal(await target.ask("end"), "2");
  await apply(target.pid, hotpatch, 10_000);
  assert.equal(await target.ask("?"), "3");
});

test("a child under vfork: its parent's other threads go on, and the hotpatch goes in when it has executed its program", async (context) => {
  const source = `#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
volatile int one = 1;
__attribute__((noinline)) int answer(int x) { return x + one; }
static void *spawning(void *unused) { for (;;) { pid_t child = vfork(); if (child == 0) { usleep(20000); _exit(0); } waitpid(child, NULL, 0); usleep(20000); } return unused; }
int main() { pthread_t t; pthread_create(&t, 0, spawning, 0); char l[100]; puts("ready"); fflush(stdout);
  while (fgets(l, 100, stdin)) { printf("%d\\n", answer(1)); fflush(stdout); } }
`;
  const { hotpatch, program } = build(context, source);
  const target = await Target.start(context, program);
  for (let round = 0; round < 3; round++) {
    await apply(target.pid, hotpatch, 20_000);
    assert.equal(await target.ask("?"), "3");
    await revert(target.pid, hotpatch, 20_000);
    assert.equal(await target.ask("?"), "2");
  }
});

test("a library that is unloaded while we look at the process is no reason to refuse it", async (context) => {
  const folder = temporaryFolder(context);
  const library = compile(folder, "passing.so", "int passing(int x) { return x; }", ["-shared", "-fPIC"]);
  const program = compile(
    folder,
    "unloading",
    `#include <dlfcn.h>
#include <stdio.h>
int main(int count, char **words) { void *library = dlopen(words[1], RTLD_NOW); char l[100]; puts("ready"); fflush(stdout); while (fgets(l, 100, stdin)) { dlclose(library); puts("closed"); fflush(stdout); } }
`,
  );
  const target = await Target.start(context, program, [library]);
  const memory = new ProcessMemory(target.pid);
  context.after(() => memory.close());
  const images = loadedImages(memory, memory.maps());
  const passing = images.find(({ path }) => path === library);
  assert.ok(passing);
  assert.equal(await target.ask("close"), "closed");
  assert.equal(passing.dynamic, undefined);
  // Its file still tells how its frames are unwound, and nothing is on the stack that it could be asked about.
  assert.doesNotThrow(() => passing.unwindTable);
  for (const image of images.filter((one) => one !== passing && one.path.startsWith("/")))
    assert.ok(image.dynamic, image.path);
});
