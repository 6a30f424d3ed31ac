/** A fix that adds thread-local variables: each thread has its own, threads that run as well as threads that begin later. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test } from "node:test";
import { RefusalError } from "../../../src/base/refusal.ts";
import { buildElfHotpatch } from "../../../src/build/elf/elf-hotpatch.ts";
import { apply, revert, stateOf } from "../../engine/linux/support/patching.ts";
import { run, Target } from "../../engine/linux/support/target.ts";
import { programOf } from "./support/program.ts";
import { buildProject, type Files, hasProgram, newFolder, readelfComplaints, writeFiles } from "./support/project.ts";

const main = `#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
long sort_numbers(int *values, size_t count);
enum { workers = 4 };
static pthread_barrier_t begin, end;
static pthread_t threads[workers];
static long answers[workers];
static volatile int leaving;
static long storm_answers[2];
static int storms;
static long once(void) {
  int values[16];
  for (int i = 0; i < 16; i++) values[i] = i * 7 % 16;
  long answer = sort_numbers(values, 16);
  for (int i = 0; i < 16; i++) if (values[i] != i) abort();
  return answer;
}
static void *work(void *given) {
  for (long own = (long)given;;) {
    pthread_barrier_wait(&begin);
    if (leaving) return NULL;
    for (long i = 0; i <= own; i++) answers[own] = once();
    pthread_barrier_wait(&end);
  }
}
static void *single(void *answer) { *(long *)answer = once(); return NULL; }
static void *storm(void *given) {
  for (;;) { pthread_t one; pthread_create(&one, NULL, single, given), pthread_join(one, NULL); }
}
static void start(void) { for (long i = 0; i < workers; i++) pthread_create(&threads[i], NULL, work, (void *)i); }
int main(void) {
  char line[100];
  long answer = 0;
  pthread_t other;
  pthread_barrier_init(&begin, NULL, workers + 1);
  pthread_barrier_init(&end, NULL, workers + 1);
  start();
  puts("ready");
  fflush(stdout);
  while (fgets(line, sizeof line, stdin) != NULL) {
    if (line[0] == 'w') {
      pthread_barrier_wait(&begin), pthread_barrier_wait(&end);
      for (int i = 0; i < workers; i++) printf("%ld%c", answers[i], i < workers - 1 ? ' ' : '\\n');
    } else if (line[0] == 'l') {
      leaving = 1;
      pthread_barrier_wait(&begin);
      for (int i = 0; i < workers; i++) pthread_join(threads[i], NULL);
      leaving = 0;
      start();
      puts("left");
    } else if (line[0] == 's') {
      for (storms = 0; storms < 2; storms++)
        pthread_create(&other, NULL, storm, &storm_answers[storms]);
      puts("storm");
    } else if (line[0] == 'n') {
      pthread_create(&other, NULL, single, &answer), pthread_join(other, NULL);
      printf("%ld\\n", answer);
    } else if (line[0] == 'f') {
      if (fork() == 0) { printf("%ld\\n", once()); fflush(stdout); _exit(0); }
      wait(NULL);
    } else printf("%ld\\n", once());
    fflush(stdout);
  }
}
`;
const sort = `#include <stdlib.h>
static int compare(const void *one, const void *other) { return *(const int *)one - *(const int *)other; }
long sort_numbers(int *values, size_t count) { qsort(values, count, sizeof *values, compare); return 0; }
`;
/** One variable with an initial value, one of zeros with an alignment, and a static one in a function. */
const fixedSort = `#include <stdlib.h>
struct state { const char *name; long calls; };
static __thread struct state state = {"state", 1000000};
static _Thread_local _Alignas(64) char zeros[100];
static int compare(const void *one, const void *other) {
  state.calls++;
  return *(const int *)one - *(const int *)other;
}
static int turns(void) { static __thread int turn = 7; return turn++; }
long sort_numbers(int *values, size_t count) {
  if (state.name[0] != 's' || zeros[99] + 7 != turns() || (size_t)zeros % 64 != 0) abort();
  zeros[99]++;
  qsort(values, count, sizeof *values, compare);
  return state.calls;
}
`;
const files = { "main.c": main, "sort.c": sort };
const initial = 1_000_000;

async function counted(target: Target): Promise<void> {
  const calls = Number(await target.ask("new")) - initial;
  assert.ok(calls > 0 && calls < 100, `${calls} calls`);
  assert.equal(await target.ask("new"), String(initial + calls));
  for (const round of [1, 2]) {
    const expected = [1, 2, 3, 4].map((own) => initial + calls * own * round);
    assert.equal(await target.ask("workers"), expected.join(" "));
  }
  assert.equal(await target.ask("main"), String(initial + calls));
  assert.equal(await target.ask("fork"), String(initial + 2 * calls));
  assert.equal(await target.ask("main"), String(initial + 2 * calls));
}

for (const { compiler, flags, isLibrary = false } of [
  { compiler: "gcc", flags: "-O0 -pthread" },
  { compiler: "gcc", flags: "-O2 -pthread" },
  { compiler: "gcc", flags: "-O2 -pthread -fno-pie -no-pie -fcf-protection=none" },
  { compiler: "gcc", flags: "-O2 -pthread -fPIC", isLibrary: true },
  { compiler: "gcc", flags: "-O3 -pthread -fPIC -fno-plt -mtls-dialect=gnu2", isLibrary: true },
  { compiler: "clang", flags: "-O0 -pthread -Wl,--build-id" },
  { compiler: "clang", flags: "-O2 -pthread -fPIC -Wl,--build-id", isLibrary: true },
]) {
  const skip = hasProgram(compiler) ? false : `${compiler} is not installed`;
  const what = `${compiler} ${flags}${isLibrary ? ", a library" : ""}`;
  test(`each thread has its own, and an end after the revert is an ordinary one: ${what}`, {
    skip,
  }, async (context) => {
    const built = await buildProject({
      files: isLibrary ? { "sort.c": sort } : files,
      fixed: { "sort.c": fixedSort },
      compiler,
      flags,
      ...(isLibrary ? { output: "lib.so" } : {}),
    });
    assert.equal(readelfComplaints(built), "");
    const names = built.report.binaries[0]?.newVariables.map(({ name }) => name) ?? [];
    for (const name of ["state", "zeros", /^(turn\.\d|turns\.turn)$/])
      assert.ok(
        names.some((one) => (typeof name === "string" ? one.replace(/\.\d$/, "") === name : name.test(one))),
        names.join(" "),
      );
    const target = await Target.start(context, programOf(built, isLibrary ? { "main.c": main } : undefined));
    assert.equal(await target.ask("new"), "0");
    const { text } = stateOf(target.pid);
    for (let round = 0; round < 2; round++) {
      await apply(target.pid, built.hotpatch);
      await counted(target);
      assert.equal(await target.ask("leave"), "left");
      assert.match(await target.ask("workers"), /^10000\d\d( 1000\d{3}){3}$/);
      await revert(target.pid, built.hotpatch);
      assert.equal(stateOf(target.pid).text, text);
      assert.equal(await target.ask("workers"), "0 0 0 0");
      assert.equal(await target.ask("leave"), "left");
    }
  });
}

test("threads that begin and end all the time, while the hotpatch comes and goes, call nothing that is gone", async (context) => {
  const built = await buildProject({ files, fixed: { "sort.c": fixedSort }, flags: "-O2 -pthread" });
  const target = await Target.start(context, programOf(built));
  assert.equal(await target.ask("storm"), "storm");
  for (let round = 0; round < 15; round++) {
    await apply(target.pid, built.hotpatch, 20_000);
    assert.match(await target.ask("main"), /^10000\d\d$/);
    await revert(target.pid, built.hotpatch, 20_000);
    assert.equal(await target.ask("main"), "0");
  }
  assert.equal(target.ending, undefined);
});

const answering = `#include <pthread.h>
#include <stdio.h>
int answer(void);
#ifdef __cplusplus
int measured(void) { static int times; if (times > 1000) throw times; return 40 + times++; }
#endif
static void *work(void *given) { *(int *)given = answer(); return NULL; }
int main(void) {
  char line[100];
  int other = 0;
  pthread_t thread;
  puts("ready"), fflush(stdout);
  while (fgets(line, sizeof line, stdin) != NULL) {
    pthread_create(&thread, NULL, work, &other), pthread_join(thread, NULL);
    printf("%d %d\\n", answer(), other), fflush(stdout);
  }
}
`;

interface Answers {
  readonly files: Files;
  readonly fixed: Files;
  readonly flags: string;
  readonly compiler?: string;
  readonly old: string;
  readonly fresh: readonly string[];
}

const mixed = {
  files: {
    "main.c": answering,
    "foreign.c": "__thread int foreign = 300;\n",
    "answer.c": `extern __thread int foreign;
static __thread volatile int own = 5;
int answer(void) { return foreign + own; }
`,
  },
  fixed: {
    "answer.c": `extern __thread int foreign;
static __thread volatile int own = 5;
static __thread int added = 1000;
static int more(void) { added += 1000; return added; }
int answer(void) { own += 10; foreign += 100; return more() + foreign + own; }
`,
  },
};

const summing = (result: string) => `#include "shared.h"
int answer(void) { int sum = 0; for (int i = 0; i < 3; i++) sum += step(); return ${result}; }
`;

const beside: readonly (Answers & { readonly what: string })[] = [
  ...["-O0 -pthread", "-O2 -pthread", "-O2 -pthread -no-pie -fno-pie"].map((flags) => ({
    what: `in functions that use existing ones as well, ${flags}`,
    ...mixed,
    flags,
    old: "305 305",
    fresh: ["2415 2415", "3525 2415"],
  })),
  {
    what: "defined in one source and used in another",
    files: {
      "main.c": answering,
      "shared.h": "int step(void);\n",
      "one.c": '#include "shared.h"\nint step(void) { return 1; }\n',
      "two.c": summing("sum * 7 + 1"),
    },
    fixed: {
      "shared.h": "int step(void);\nextern __thread int steps;\n",
      "one.c": '#include "shared.h"\n__thread int steps = 20;\nint step(void) { return steps++; }\n',
      "two.c": summing("sum * 1000 + steps"),
    },
    flags: "-O2 -pthread",
    old: "22 22",
    fresh: ["63023 63023", "72026 63023"],
  },
  {
    what: "of C++, in a function, with an initialiser that runs in each thread",
    files: { "main.cc": answering, "answer.cc": "int answer() { return 3; }\n" },
    fixed: {
      "answer.cc":
        "int measured();\nint answer() { static thread_local int first = measured(); return 100 * first++; }\n",
    },
    flags: "-O2 -pthread",
    compiler: "g++",
    old: "3 3",
    // The other thread asks first.
    fresh: ["4100 4000", "4200 4200"],
  },
];
for (const { what, files, fixed, flags, compiler, old, fresh } of beside)
  test(`new variables ${what}`, async (context) => {
    const built = await buildProject({ files, fixed, flags, ...(compiler === undefined ? {} : { compiler }) });
    const target = await Target.start(context, programOf(built));
    assert.equal(await target.ask("?"), old);
    await apply(target.pid, built.hotpatch);
    for (const answer of fresh) assert.equal(await target.ask("?"), answer);
    await revert(target.pid, built.hotpatch);
    assert.match(await target.ask("?"), old === "305 305" ? /^525 305$/ : new RegExp(`^${old}$`));
  });

test("two binaries that change at once have a runtime each, and both give back what they hold", async (context) => {
  const folder = newFolder();
  const [source, to] = [join(folder, "source"), join(folder, "fixed")];
  const makefile = `app: main.o answer.o liblib.so
	gcc -pthread -o $@ main.o answer.o -L. -llib '-Wl,-rpath,$$ORIGIN'
liblib.so: step.o
	gcc -shared -o $@ $<
%.o: %.c
	gcc -O2 -fPIC -pthread -c -o $@ $<
`;
  const step = (what: string) => `#include <unistd.h>\nstatic volatile int calls;\n${what}`;
  const files = {
    Makefile: makefile,
    "main.c": answering,
    "answer.c": "int step(void);\nint answer(void) { return 10 * step() + 1; }\n",
    "step.c": step("int step(void) { calls += getpid() > 0; return 1; }\n"),
  };
  for (const place of [source, to]) writeFiles(place, files);
  writeFiles(to, {
    "answer.c": "int step(void);\nstatic __thread int own = 4;\nint answer(void) { return 10 * step() + own++; }\n",
    "step.c": step("static __thread int steps = 20;\nint step(void) { calls += getpid() > 0; return steps++; }\n"),
  });
  run("make", ["-s", "-C", source]);
  const { hotpatch } = await buildElfHotpatch(
    { source, fix: { to }, command: ["make"], binaries: [], shortLived: [] },
    { cwd: folder, env: process.env, advisories: [], sequence: 1, afterApply: [], progress: () => {} },
  );
  const { release = [] } = hotpatch.manifest.elf?.hooks ?? {};
  assert.deepEqual(release.map(({ binary }) => binary).sort(), ["app", "liblib.so"]);
  const target = await Target.start(context, join(source, "app"));
  for (let round = 0; round < 2; round++) {
    assert.equal(await target.ask("?"), "11 11");
    await apply(target.pid, hotpatch);
    assert.equal(await target.ask("?"), "204 204");
    assert.equal(await target.ask("?"), "215 204");
    await revert(target.pid, hotpatch);
  }
});

describe("what cannot be had is refused with the reason", () => {
  const plusplus = { "main.cc": answering, "answer.cc": "int answer() { return 3; }\n" };
  for (const { what, files, fixed, compiler, reason } of [
    {
      what: "an initialiser outside of a function",
      files: plusplus,
      fixed: {
        "answer.cc": "int measured();\nthread_local int first = measured();\nint answer() { return first++; }\n",
      },
      compiler: "g++",
      reason: /__tls_guard in answer\.cc.*initialiser that has to run needs a place inside a function/,
    },
    {
      what: "a destructor",
      files: plusplus,
      fixed: {
        "answer.cc":
          "struct Kept { int value; ~Kept(); };\nKept::~Kept() { value = 0; }\nint answer() { static thread_local Kept kept{7}; return kept.value++; }\n",
      },
      compiler: "g++",
      reason: /_Z6answerv has thread-local objects with a destructor/,
    },
    { what: "clang, beside existing ones", ...mixed, compiler: "clang", reason: /clang compiles for new and existing/ },
  ]) {
    const skip = hasProgram(compiler) ? false : `${compiler} is not installed`;
    test(what, { skip }, async () => {
      await assert.rejects(buildProject({ files, fixed, compiler, flags: "-O2 -pthread -Wl,--build-id" }), (error) => {
        assert.ok(error instanceof RefusalError);
        const refusal = error.refusals.find(({ code }) => code === "build/new-thread-variable");
        assert.match(refusal?.message ?? "", reason);
        return true;
      });
    });
  }
});
