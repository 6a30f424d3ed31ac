/** Exceptions and walks of the stack through new code, in real C++ programs. */
import assert from "node:assert/strict";
import { copyFileSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { buildNativeHotpatch } from "./support/native-hotpatch.ts";
import { apply, refusalOf, revert, stateOf } from "./support/patching.ts";
import { run, Target, temporaryFolder } from "./support/target.ts";

const throwing = `#include <execinfo.h>
#include <pthread.h>
#include <stdexcept>
#include <string>
#include <stdio.h>
#include <string.h>
int destroyed, deep;
struct Counted { ~Counted(); };
__attribute__((noinline)) Counted::~Counted() { destroyed++; }
extern "C" __attribute__((noinline)) int thrower(int x) { if (x > 5000) throw 5; if (x > 1000) throw std::runtime_error("old"); return x; }
extern "C" __attribute__((noinline)) int catcher(int x) { int got = thrower(x); __asm__ volatile("" ::: "memory"); return got; }
extern "C" __attribute__((noinline)) int depth(void) { void *stack[50]; int count = backtrace(stack, 50); deep = count; return count; }
extern "C" __attribute__((noinline)) int walker(int x) { int got = depth(); __asm__ volatile("" ::: "memory"); return got + 0 * x; }
static std::string attempt(int x) {
  try { Counted counted; return "got " + std::to_string(catcher(x)); } catch (const std::exception &error) { return std::string("caught ") + error.what(); }
}
static void *in_thread(void *x) { static std::string text; text = attempt(*(int *)x); return &text; }
int main() {
  char line[100]; puts("ready"); fflush(stdout);
  while (fgets(line, sizeof line, stdin)) {
    int x = 0; sscanf(line, "%d", &x); void *answer; pthread_t thread;
    pthread_create(&thread, 0, in_thread, &x); pthread_join(thread, &answer);
    std::string own = attempt(x);
    printf("%s, %s, %d destroyed, %d deep\\n", own.c_str(), ((std::string *)answer)->c_str(), destroyed, walker(1)); fflush(stdout);
  }
}
`;

const fixed = `#include <stdexcept>
#ifdef KNOWN
typedef int number_type;
#else
typedef long number_type;
#endif
extern int destroyed; struct Counted { ~Counted(); };
extern "C" int thrower(int x); extern "C" int depth(void);
int thrower(int x) { Counted counted; if (x > 10) throw std::runtime_error("new"); return x; }
static __attribute__((noinline)) int helper(int x) { Counted counted; if (x == 7) throw (number_type)7; return thrower(x); }
extern "C" int catcher(int x) { try { return helper(x); } catch (number_type number) { return (int)number * 100; } }
extern "C" int walker(int x) { int got = depth(); __asm__ volatile("" ::: "memory"); return got + 0 * x; }
`;

function compileThrowing(folder: string, flags: readonly string[], compiler = "g++"): string {
  const file = join(folder, "throwing.cc");
  const output = join(folder, "throwing");
  writeFileSync(file, throwing);
  run(compiler, ["-O2", "-g", "-Wl,--build-id", "-o", output, file, "-pthread", ...flags]);
  return output;
}

for (const [how, flags, compiler] of [
  ["", [], "g++"],
  ["that is not position-independent", ["-no-pie", "-fno-pie"], "g++"],
  ["of clang", [], "clang++"],
  ["with its unwinder linked in, and a symbol table", ["-static-libgcc", "-static-libstdc++"], "g++"],
  ["that is static", ["-static"], "g++"],
  ["that is static and position-independent", ["-static-pie", "-fPIE"], "g++"],
] as const) {
  test(`exceptions pass between old and new code, and walks of the stack go through it, in a program ${how}`, async (context) => {
    const folder = temporaryFolder(context);
    const program = compileThrowing(folder, flags, compiler);
    const own: string[] = flags.filter((flag) => flag === "-fno-pie");
    // A type that is thrown in new code alone comes from the C++ library, which a static program has only what it uses of.
    if (flags.some((flag) => flag.startsWith("-static"))) own.push("-DKNOWN");
    const hotpatch = buildNativeHotpatch({
      folder,
      binary: program,
      source: fixed,
      functions: ["thrower", "catcher", "walker"],
      compiler,
      flags: own,
    });
    const target = await Target.start(context, program);
    const old = await target.ask("2000");
    assert.match(old, /^caught old, caught old, 2 destroyed/);
    const depth = /(\d+) deep/.exec(old)?.[1];
    const before = stateOf(target.pid);
    for (let round = 0; round < 3; round++) {
      await apply(target.pid, hotpatch);
      assert.match(await target.ask("3"), /^got 3, got 3/);
      assert.match(await target.ask("7"), /^got 700, got 700/);
      const thrown = await target.ask("20");
      assert.match(thrown, /^caught new, caught new/);
      assert.equal(/(\d+) deep/.exec(thrown)?.[1], depth, thrown);
      await revert(target.pid, hotpatch);
      assert.match(await target.ask("20"), /^got 20, got 20/);
      assert.match(await target.ask("2000"), /^caught old, caught old/);
    }
    assert.equal(stateOf(target.pid).text, before.text);
  });
}

test("a stripped program with its unwinder linked in: functions through which exceptions may pass are refused by name", async (context) => {
  const folder = temporaryFolder(context);
  const program = compileThrowing(folder, ["-static-libgcc", "-static-libstdc++"]);
  const hotpatch = buildNativeHotpatch({
    folder,
    binary: program,
    source: fixed,
    functions: ["thrower", "catcher", "walker"],
    compiler: "g++",
    flags: ["-DKNOWN"],
  });
  const stripped = join(folder, "stripped");
  run("strip", ["-o", stripped, program]);
  const target = await Target.start(context, stripped);
  const refusal = await refusalOf(() => apply(target.pid, hotpatch));
  assert.equal(refusal.code, "target/unwinder");
  assert.match(refusal.message, /catcher/);
  assert.match(await target.ask("20"), /^got 20/);
});

test("gdb names new functions and walks through them, by the files of debug-info", async (context) => {
  const folder = temporaryFolder(context);
  const file = join(folder, "waiting.c");
  const program = join(folder, "waiting");
  writeFileSync(
    file,
    `#include <stdio.h>
#include <unistd.h>
int ends[2];
__attribute__((noinline)) int wait_here(int x) { char byte; return read(ends[0], &byte, 1) + x; }
__attribute__((noinline)) int middle(int x) { int got = wait_here(x); __asm__ volatile("" ::: "memory"); return got; }
__attribute__((noinline)) int outer(int x) { int got = middle(x); __asm__ volatile("" ::: "memory"); return got; }
int main() { if (pipe(ends)) return 1; char l[100]; puts("ready"); fflush(stdout); while (fgets(l, 100, stdin)) { puts("in"); fflush(stdout); outer(1); } }
`,
  );
  run("gcc", ["-O2", "-Wl,--build-id", "-o", program, file]);
  const source = `int wait_here(int x);
static __attribute__((noinline)) int helper(int x) { int got = wait_here(x); __asm__ volatile("" ::: "memory"); return got; }
int middle(int x) { int got = helper(x + 1); __asm__ volatile("" ::: "memory"); return got; }`;
  const hotpatch = buildNativeHotpatch({ folder, binary: program, source, functions: ["middle"] });
  const target = await Target.start(context, program);
  await apply(target.pid, hotpatch);
  assert.equal(await target.ask("go"), "in");
  const inRead = () => /^0 /.test(readFileSync(`/proc/${target.pid}/syscall`, "utf8"));
  while (!inRead()) await new Promise(setImmediate);
  const printed = run("node_modules/.bin/node", [
    "bin/rebootless.mjs",
    "debug-info",
    "--pid",
    String(target.pid),
    "-o",
    folder,
  ]);
  assert.match(printed, /^add-symbol-file .*elf-test-waiting\.elf$/m);
  const gdb = run("gdb", [
    "-q",
    "-batch",
    "-nx",
    "-p",
    String(target.pid),
    "-x",
    join(folder, `${target.pid}.gdb`),
    "-ex",
    "bt",
  ]);
  const frames = [...gdb.matchAll(/^#\d+ .*?(?:in )?(\w+) \(/gm)].map(([, name]) => name);
  assert.deepEqual(frames.slice(-5), ["wait_here", "helper", "middle", "outer", "main"], gdb);
  assert.match(readFileSync(join(folder, `perf-${target.pid}.map`), "utf8"), /^[0-9a-f]+ [0-9a-f]+ helper$/m);
});

test("perf names new functions and walks through them, by the map of debug-info", async (context) => {
  const folder = temporaryFolder(context);
  const data = join(folder, "perf.data");
  const frames = ["-fno-omit-frame-pointer", "-fno-optimize-sibling-calls"];
  const barrier = `__asm__ volatile("" ::: "memory")`;
  const file = join(folder, "busy.c");
  const program = join(folder, "busy");
  writeFileSync(
    file,
    `#include <stdio.h>
#include <unistd.h>
volatile unsigned long turns;
__attribute__((noinline)) void turn(void) { turns++; ${barrier}; }
__attribute__((noinline)) void work(void) { turn(); ${barrier}; }
__attribute__((noinline)) void rounds(void) { for (int i = 0; i < 100; i++) { for (int j = 0; j < 100; j++) turns++; work(); } }
int main() { puts("ready"); fflush(stdout); alarm(60); for (;;) rounds(); }
`,
  );
  run("gcc", ["-O2", "-Wl,--build-id", ...frames, "-o", program, file]);
  // Functions that call nothing have no frame, whatever the compiler is told.
  const source = `extern volatile unsigned long turns;
void turn(void);
static __attribute__((noinline)) void longer(void) { for (int i = 0; i < 100; i++) { for (int j = 0; j < 100; j++) turns++; turn(); } }
void work(void) { longer(); ${barrier}; }`;
  const hotpatch = buildNativeHotpatch({ folder, binary: program, source, functions: ["work"], flags: frames });
  const target = await Target.start(context, program);
  await apply(target.pid, hotpatch);
  const pid = String(target.pid);
  run("node_modules/.bin/node", ["bin/rebootless.mjs", "debug-info", "--pid", pid, "-o", folder]);
  const map = `/tmp/perf-${pid}.map`;
  copyFileSync(join(folder, `perf-${pid}.map`), map);
  context.after(() => rmSync(map, { force: true }));
  run("perf", ["record", "-q", "-e", "cpu-clock:u", "-g", "-p", pid, "-o", data, "--", "sleep", "1"]);
  const stacks = run("perf", ["script", "-i", data, "-F", "ip,sym"]).split("\n\n");
  const walked = stacks.map((stack) =>
    stack
      .trim()
      .split("\n")
      .map((line) => line.trim().split(/\s+/)[1]),
  );
  const inside = walked.find(([name]) => name === "longer");
  assert.deepEqual(inside?.slice(0, 4), ["longer", "work", "rounds", "main"], stacks.slice(0, 3).join("\n\n"));
});
