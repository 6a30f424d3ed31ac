/** Static objects with destructors that a fix adds: made when they are first used, ended before the hotpatch goes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { apply, revert, stateOf } from "../../engine/linux/support/patching.ts";
import { Target } from "../../engine/linux/support/target.ts";
import { programOf } from "./support/program.ts";
import { buildProject } from "./support/project.ts";

const text = `#include <cstdio>
int ends;
struct Noted { int value; Noted(int given) : value(given) {} ~Noted() { ends += value; } };
struct Said { ~Said() { printf("ends %d\\n", ends); fflush(stdout); } };
__attribute__((noinline)) int work(int x) {
  static Said first;
  static Noted old(1);
  return x + old.value;
}
int main() {
  char line[20];
  puts("ready"); fflush(stdout);
  while (fgets(line, sizeof line, stdin)) {
    if (line[0] == 'q') return 0;
    printf("%d %d\\n", work(1), ends); fflush(stdout);
  }
}
`;

for (const compiler of ["g++", "clang++"] as const) {
  test(`a static object that a fix adds ends with the hotpatch, and others with the process (${compiler})`, async (context) => {
    const fixed = text.replace("return x + old", "static Noted fresh(100); return x + fresh.value + old");
    const built = await buildProject({ files: { "main.cc": text }, fixed: { "main.cc": fixed }, compiler });
    const target = await Target.start(context, programOf(built));
    assert.equal(await target.ask("a"), "2 0");
    const before = stateOf(target.pid);
    for (const ends of [0, 100]) {
      await apply(target.pid, built.hotpatch);
      assert.equal(await target.ask("a"), `102 ${ends}`);
      await revert(target.pid, built.hotpatch);
      assert.equal(await target.ask("a"), `2 ${ends + 100}`);
    }
    assert.deepEqual(stateOf(target.pid), before);
    assert.equal(await target.ask("q"), "ends 201");
    assert.equal(await target.ended, "0");
  });
}
