/** Thread-local variables that exist, in every model of access (ELF Handling For Thread-Local Storage), in linked and in loaded libraries. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { buildNativeHotpatch } from "./support/native-hotpatch.ts";
import { apply, refusalOf, revert } from "./support/patching.ts";
import { compile, run, Target, temporaryFolder } from "./support/target.ts";

const library = `__thread int depth = 5;
static __thread int hidden = 70;
int answer(int x) { return x + depth++ + hidden++; }
`;
const fixed = `extern __thread int depth;
extern __thread int hidden __attribute__((visibility("hidden")));
int answer(int x) { depth += 1000; hidden += 100; return x + depth + hidden; }
`;
const linked = `#include <pthread.h>
#include <stdio.h>
int answer(int);
static void *other(void *got) { *(int *)got = answer(0); return 0; }
int main() { char l[100]; pthread_t t; int got; puts("ready"); fflush(stdout);
  while (fgets(l, 100, stdin)) { pthread_create(&t, 0, other, &got); pthread_join(t, 0); printf("%d %d\\n", answer(0), got); fflush(stdout); } }
`;
const loading = linked
  .replace("int answer(int);", "#include <dlfcn.h>\nstatic int (*answer)(int);")
  .replace('puts("ready")', 'answer = (int (*)(int))dlsym(dlopen(LIBRARY, RTLD_NOW), "answer"); puts("ready")');

for (const [how, isLoaded, old, fresh] of [
  ["general and local dynamic", false, [], []],
  ["general and local dynamic, in a library that dlopen has loaded", true, [], []],
  ["by descriptors", false, ["-mtls-dialect=gnu2"], ["-mtls-dialect=gnu2"]],
  ["initial exec", false, ["-ftls-model=initial-exec"], ["-ftls-model=initial-exec"]],
  ["dynamic, in a library that is initial exec itself", false, ["-ftls-model=initial-exec"], []],
  ["dynamic, in a library that uses descriptors itself", true, ["-mtls-dialect=gnu2"], []],
] as const) {
  test(`thread-local variables: ${how}`, async (context) => {
    const folder = temporaryFolder(context);
    const file = join(folder, "library.c");
    const shared = join(folder, "liblibrary.so");
    writeFileSync(file, library);
    run("gcc", ["-O2", "-fPIC", "-shared", "-Wl,--build-id", ...old, "-o", shared, file]);
    const flags = isLoaded ? [`-DLIBRARY="${shared}"`, "-ldl"] : [shared, `-Wl,-rpath,${folder}`];
    const program = compile(folder, "program", isLoaded ? loading : linked, flags);
    const hotpatch = buildNativeHotpatch({
      folder,
      binary: shared,
      source: fixed,
      functions: ["answer"],
      flags: ["-fPIC", ...fresh],
      type: "library",
    });
    const target = await Target.start(context, program);
    assert.equal(await target.ask("old"), "75 75");
    await apply(target.pid, hotpatch);
    assert.equal(await target.ask("new"), "1177 1175");
    await revert(target.pid, hotpatch);
    assert.equal(await target.ask("old"), "1177 75");
  });
}

test("a new thread-local variable is refused by name", async (context) => {
  const folder = temporaryFolder(context);
  const program = compile(folder, "program", `${library}${linked.replace("int answer(int);", "")}`);
  const source = "__thread int added = 3; int answer(int x) { return x + added++; }";
  const hotpatch = buildNativeHotpatch({ folder, binary: program, source, functions: ["answer"] });
  const target = await Target.start(context, program);
  const refusal = await refusalOf(() => apply(target.pid, hotpatch));
  assert.equal(refusal.code, "target/relocation");
  assert.match(refusal.message, /added/);
});
