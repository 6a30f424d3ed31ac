/** A hotpatch that takes the place of an older one: in one step, whatever is killed, and back to the original code. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { hotpatchesIn } from "../../../src/engine/linux/native-processes.ts";
import { runDying, storeHotpatch } from "./support/killing.ts";
import { buildNativeHotpatch } from "./support/native-hotpatch.ts";
import { apply, engineFor, referenceOf, refusalOf, revert, stateOf } from "./support/patching.ts";
import { compile, Target, temporaryFolder } from "./support/target.ts";

/** Answers what its functions say now, and how often a thread has seen a combination that no version has. */
const program = `#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>
#define PART(name) __attribute__((noinline)) int name(void) { __asm__ volatile("" ::: "memory"); return 1; }
PART(first) PART(second) PART(third)
static atomic_long mixtures, rounds;
__attribute__((noinline)) int all(void) { int a = first(), b = second(), c = third(); return a * 100 + b * 10 + c; }
static void *busy(void *unused) {
  for (;; atomic_fetch_add(&rounds, 1)) { int now = all(); if (now != 111 && now != 221 && now != 313) atomic_fetch_add(&mixtures, 1); usleep(50); }
  return unused;
}
int main() {
  pthread_t thread;
  for (int i = 0; i < 2; i++) pthread_create(&thread, 0, busy, 0);
  char l[100]; puts("ready"); fflush(stdout);
  while (fgets(l, 100, stdin)) { printf("%d %ld\\n", all(), atomic_load(&mixtures)); fflush(stdout); }
}
`;
const both = "int first(void); int second(void); int third(void);\n";
const sum = "int all(void) { int a = first(), b = second(), c = third(); return a * 100 + b * 10 + c; }";

async function start(context: TestContext) {
  const folder = temporaryFolder(context);
  const binary = compile(folder, "versions", program);
  const older = buildNativeHotpatch({
    folder,
    binary,
    id: "elf-older",
    functions: ["first", "second", "all"],
    source: `${both}int first(void) { return 2; } int second(void) { return 2; } ${sum}`,
  });
  const newer = buildNativeHotpatch({
    folder,
    binary,
    id: "elf-newer",
    supersedes: ["elf-older"],
    functions: ["first", "third", "all"],
    source: `${both}int first(void) { return 3; } int third(void) { return 3; } ${sum}`,
  });
  return { folder, older, newer, target: await Target.start(context, binary) };
}

function idsIn(pid: number) {
  return hotpatchesIn(pid).map(({ id, state }) => `${id} ${state}`);
}

test("a newer hotpatch takes over in one step, gives back what it does not change, and leaves nothing of the older one", async (context) => {
  const { older, newer, target } = await start(context);
  const before = stateOf(target.pid);
  await apply(target.pid, older, 20_000);
  assert.equal(await target.ask("?"), "221 0");
  const outcome = await apply(target.pid, newer, 20_000);
  assert.deepEqual(outcome.superseded, ["elf-older"]);
  assert.equal(await target.ask("?"), "313 0");
  assert.deepEqual(idsIn(target.pid), ["elf-newer applied"]);
  const verdict = await engineFor().verify(referenceOf(target.pid), newer);
  assert.equal(verdict.state, "in-place", JSON.stringify(verdict.findings));
  assert.equal((await engineFor().verify(referenceOf(target.pid), older)).state, "absent");
  assert.equal((await apply(target.pid, newer, 20_000)).state, "unchanged");
  assert.equal((await refusalOf(() => apply(target.pid, older, 20_000))).code, "target/conflicting-hotpatch");
  await revert(target.pid, newer, 20_000);
  assert.equal(await target.ask("?"), "111 0");
  assert.deepEqual(stateOf(target.pid), before);
});

test("a newer hotpatch that does not supersede is refused with the names, and independent ones go in any order", async (context) => {
  const { folder, older, newer, target } = await start(context);
  const before = stateOf(target.pid);
  const stranger = { ...newer, manifest: { ...newer.manifest, supersedes: [] } };
  await apply(target.pid, older, 20_000);
  const refusal = await refusalOf(() => apply(target.pid, stranger, 20_000));
  assert.equal(refusal.code, "target/conflicting-hotpatch");
  assert.match(refusal.message, /elf-older, which changes first as well/);
  assert.equal(await target.ask("?"), "221 0");
  const binary = `${folder}/versions`;
  const other = buildNativeHotpatch({
    folder,
    binary,
    id: "elf-other",
    functions: ["third"],
    source: "int third(void) { return 1; }",
  });
  await apply(target.pid, other, 20_000);
  await revert(target.pid, older, 20_000);
  assert.deepEqual(idsIn(target.pid), ["elf-other applied"]);
  await revert(target.pid, other, 20_000);
  assert.equal(await target.ask("?"), "111 0");
  assert.deepEqual(stateOf(target.pid), before);
});

const samples = 8;

test("the patcher may be killed at any call of the takeover: all older or all newer, and the next run completes it", async (context) => {
  const { folder, older, newer, target } = await start(context);
  const before = stateOf(target.pid);
  const file = storeHotpatch(folder, newer);
  await apply(target.pid, older, 20_000);
  const calls = await runDying(target.pid, "apply", file, 0);
  assert.ok(calls !== undefined && calls > 20, `${calls} calls`);
  await revert(target.pid, newer, 20_000);
  let killed = 0;
  for (let index = 0; index < samples; index++) {
    const at = Math.max(1, calls - Math.floor((index * calls) / samples));
    await apply(target.pid, older, 20_000);
    if ((await runDying(target.pid, "apply", file, at)) === undefined) killed++;
    assert.match(await target.ask("?"), /^(221|313) 0$/, `killed before call ${at}`);
    // Each way out in turn: on to the newer one, or back to the original code.
    if (index % 2 === 0) {
      await apply(target.pid, newer, 20_000);
      assert.equal(await target.ask("?"), "313 0", `killed before call ${at}, applied again`);
      assert.deepEqual(idsIn(target.pid), ["elf-newer applied"], `killed before call ${at}`);
    }
    for (const hotpatch of [newer, older])
      if (hotpatchesIn(target.pid).some(({ id }) => id === hotpatch.manifest.id))
        await revert(target.pid, hotpatch, 20_000);
    assert.equal(await target.ask("?"), "111 0", `killed before call ${at}, reverted`);
    assert.equal(stateOf(target.pid).text, before.text);
  }
  assert.ok(killed >= samples / 2, `${killed} of ${samples} were killed`);
});
