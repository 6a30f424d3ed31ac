/** Thread-local variables that threads have already. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { apply, revert } from "../../engine/linux/support/patching.ts";
import { Target } from "../../engine/linux/support/target.ts";
import { programOf } from "./support/program.ts";
import { buildProject, hasProgram, replaced } from "./support/project.ts";

describe("static thread-local variables that are reached together (local dynamic)", () => {
  const text = `#include <stdio.h>
static __thread int count, sum; __thread int shared = 3;
__attribute__((noinline)) int step(int x) { count += x; sum += count; shared += count; return shared * 1000 + sum; }
`;
  const user = `#include <stdio.h>
int step(int x);
int main(void) {
  char line[20];
  puts("ready"), fflush(stdout);
  while (fgets(line, sizeof line, stdin) != NULL) printf("%d\\n", step(1)), fflush(stdout);
}
`;
  const fixed = { "lib.c": text.replace("count += x;", "count += x; if (count > 2) sum = 100;") };
  for (const { flags, isLibrary, skip = false } of [
    { flags: "-O2 -fPIC", isLibrary: false },
    { flags: "-O2 -fPIC", isLibrary: true },
    { flags: "-O2 -fPIC -fno-plt", isLibrary: false },
    { flags: "-O2 -fPIC -fno-plt", isLibrary: true },
    { flags: "-O2 -fPIC -fuse-ld=gold -Wl,--build-id", isLibrary: true, skip: !hasProgram("ld.gold") },
  ])
    test(`${flags}${isLibrary ? ", a library" : ""}: a thread goes on with what it has`, { skip }, async (context) => {
      const built = await buildProject({
        files: { "lib.c": text, ...(isLibrary ? {} : { "main.c": user }) },
        fixed,
        flags,
        ...(isLibrary ? { output: "lib.so" } : {}),
      });
      assert.deepEqual(replaced(built), ["step"]);
      const target = await Target.start(context, programOf(built, isLibrary ? { "main.c": user } : undefined));
      assert.equal(await target.ask("step"), "4001");
      await apply(target.pid, built.hotpatch);
      assert.equal(await target.ask("step"), "6003");
      assert.equal(await target.ask("step"), "9103");
      await revert(target.pid, built.hotpatch);
      assert.equal(await target.ask("step"), "13107");
    });
});
