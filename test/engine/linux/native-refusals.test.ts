/** What is refused, by name, with the target unharmed. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { startProgram } from "./support/answering.ts";
import { buildNativeHotpatch } from "./support/native-hotpatch.ts";
import { apply, engineFor, referenceOf, refusalOf, stateOf } from "./support/patching.ts";
import { compile, Target, temporaryFolder } from "./support/target.ts";

const looping = `#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>
atomic_int rounds;
__attribute__((noinline)) int deep(int n) { __asm__ volatile("" ::: "memory"); if (n == 0) { usleep(1000); return 0; } return deep(n - 1) + 1; }
__attribute__((noinline)) void main_loop(void) { for (;;) { deep(50); atomic_fetch_add(&rounds, 1); } }
static void *work(void *unused) { main_loop(); return unused; }
int main() { pthread_t t; pthread_create(&t, 0, work, 0); char l[100]; puts("ready"); fflush(stdout);
  while (fgets(l, 100, stdin)) { printf("%d\\n", rounds); fflush(stdout); } }
`;

test("a function that is always on a stack: refused with thread, function and stack, and the process runs on meanwhile", async (context) => {
  const { hotpatch, target } = await startProgram(context, {
    name: "looping",
    source: looping,
    functions: ["main_loop"],
    fix: "void main_loop(void) { for (;;); }",
    flags: ["-fno-optimize-sibling-calls"],
  });
  const before = stateOf(target.pid);
  const from = Number(await target.ask("rounds"));
  const refusal = await refusalOf(() => apply(target.pid, hotpatch, 500));
  assert.equal(refusal.code, "plan/active-function");
  assert.match(refusal.message, /Thread \d+ of process \d+ was in main_loop .*looping\+0x/);
  assert.ok(Number(await target.ask("rounds")) > from);
  assert.deepEqual(stateOf(target.pid), before);
});

test("recursion: quiescent between the calls, which retrying finds", async (context) => {
  const folder = temporaryFolder(context);
  const program = compile(folder, "looping", looping.replace("deep(50);", "deep(3); usleep(20000);"), [
    "-fno-optimize-sibling-calls",
  ]);
  const hotpatch = buildNativeHotpatch({
    folder,
    binary: program,
    functions: ["deep"],
    source: "int deep(int n) { return n; }",
  });
  const target = await Target.start(context, program);
  assert.equal((await apply(target.pid, hotpatch, 20_000)).state, "applied");
});

test("another build, other bytes, and a function without room are refused by name", async (context) => {
  const folder = temporaryFolder(context);
  const text = (body: string) => `#include <stdio.h>
__attribute__((noinline)) int answer(int x) { ${body} }
__asm__(".text\\n.globl tiny\\n.type tiny,@function\\ntiny: mov %edi,%eax\\nret\\n.size tiny,.-tiny\\n.globl next\\n.type next,@function\\nnext: ret\\n.size next,.-next\\n");
int tiny(int); void next(void);
int main() { char l[100]; puts("ready"); fflush(stdout); while (fgets(l, 100, stdin)) { next(); printf("%d\\n", answer(tiny(1))); fflush(stdout); } }
`;
  const program = compile(folder, "one", text("return x + 1;"));
  const other = compile(folder, "other", text("return x * 3;"));
  const source = "int answer(int x) { return x + 2; } int tiny(int x) { return x; }";
  const target = await Target.start(context, program);
  const forOther = buildNativeHotpatch({ folder, binary: other, functions: ["answer"], source });
  assert.equal((await refusalOf(() => apply(target.pid, forOther))).code, "target/package-absent");
  const forTiny = buildNativeHotpatch({ folder, binary: program, functions: ["tiny"], source });
  const tooShort = await refusalOf(() => apply(target.pid, forTiny));
  assert.equal(tooShort.code, "target/entry-too-short");
  assert.match(tooShort.message, /tiny/);
  const wrong = buildNativeHotpatch({ folder, binary: program, functions: ["answer"], source });
  const found = wrong.manifest.elf?.binaries[0]?.functions[0];
  assert.ok(found !== undefined);
  Object.assign(found, { sha256: "0".repeat(64) });
  assert.equal((await refusalOf(() => apply(target.pid, wrong))).code, "target/function-differs");
  assert.equal(await target.ask("alive"), "2");
});

test("a seccomp filter that forbids mmap: a reason, and the target lives", async (context) => {
  const { hotpatch, target } = await startProgram(context, {
    name: "confined",
    source: `#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
volatile int one = 1;
__attribute__((noinline)) int answer(int x) { return x + one; }
int main() {
  char l[100]; fgets(l, 0, stdin); setvbuf(stdin, NULL, _IONBF, 0); setvbuf(stdout, NULL, _IOLBF, 0); puts("ready");
  struct sock_filter code[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  struct sock_fprog all = {4, code};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &all) != 0) return 1;
  while (fgets(l, 100, stdin)) printf("%d\\n", answer(1));
}
`,
  });
  assert.equal(await target.ask("confined"), "2");
  assert.match(readFileSync(`/proc/${target.pid}/status`, "utf8"), /^Seccomp:\s+2/m);
  const refusal = await refusalOf(() => apply(target.pid, hotpatch));
  assert.equal(refusal.code, "target/seccomp");
  assert.equal(await target.ask("alive"), "2");
});

test("a process that has executed another program since it was looked at is left alone, and lives", async (context) => {
  const { hotpatch, target } = await startProgram(context, {
    name: "anew",
    source: `#include <stdio.h>
#include <unistd.h>
#include <string.h>
static int calls;
__attribute__((noinline)) int answer(int x) { calls++; __asm__ volatile("" ::: "memory"); return x + 1; }
int main(int count, char **words) {
  char l[100]; setvbuf(stdin, NULL, _IONBF, 0); puts("ready"); fflush(stdout);
  while (fgets(l, 100, stdin)) { if (strcmp(l, "anew\\n") == 0) execv("/proc/self/exe", words); printf("%d\\n", answer(1)); fflush(stdout); }
}
`,
  });
  const engine = engineFor();
  for (let round = 0; round < 5; round++) {
    const plan = engine.plan(await engine.probe(referenceOf(target.pid), hotpatch), hotpatch, { maxPauseMs: 250 });
    assert.equal(await target.ask("anew"), "ready");
    const refusal = await refusalOf(() => engine.apply(plan, hotpatch));
    assert.equal(refusal.code, "target/gone");
    assert.equal(await target.ask("old"), "2");
  }
});
