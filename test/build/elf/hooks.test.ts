/** Hooks of the author, from their source to a running process; the example is the one of docs/native-hooks.md. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { RefusalError } from "../../../src/base/refusal.ts";
import { buildElfHotpatch, type ElfBuildInput } from "../../../src/build/elf/elf-hotpatch.ts";
import { apply, refusalOf, revert, stateOf } from "../../engine/linux/support/patching.ts";
import { run, Target } from "../../engine/linux/support/target.ts";
import { newFolder, writeFiles } from "./support/project.ts";

/** The code blocks that follow the name of a file. */
function filesOfDocument(): Map<string, string> {
  const text = readFileSync(new URL("../../../docs/native-hooks.md", import.meta.url), "utf8");
  const blocks = text.matchAll(/^`([\w.]+)`[^\n]*\n\n```\w*\n([\s\S]*?)^```$/gm);
  return new Map([...blocks].map(([, name = "", body = ""]) => [name, body]));
}

interface Sample {
  readonly folder: string;
  readonly program: string;
  build(input?: Partial<ElfBuildInput>): ReturnType<typeof buildElfHotpatch>;
}

/** The program as it runs is stripped; fix and hooks lie beside the tree. */
function sample(name: string, files: Readonly<Record<string, string>>, fix: string, hooks: string): Sample {
  const folder = newFolder();
  const source = join(folder, "source");
  const target = join(folder, "target");
  for (const place of [source, target]) writeFiles(place, files);
  writeFileSync(join(folder, "fix.diff"), fix);
  writeFileSync(join(folder, "hooks.c"), hooks);
  run("make", ["-s", "-C", target]);
  const program = join(target, name);
  run("strip", [program]);
  return {
    folder,
    program,
    build: (input = {}) =>
      buildElfHotpatch(
        {
          source,
          fix: { patch: "fix.diff" },
          command: ["make"],
          binaries: [program],
          shortLived: [],
          hooks: ["hooks.c"],
          ...input,
        },
        { cwd: folder, env: process.env, advisories: [], sequence: 1, afterApply: [], progress: () => {} },
      ),
  };
}

test("the example of the documentation: a new field for objects that exist, set by a hook, gone after the revert", async (context) => {
  const { "fix.diff": fix = "", "hooks.c": hooks = "", ...files } = Object.fromEntries(filesOfDocument());
  assert.deepEqual(Object.keys(files).sort(), ["Makefile", "main.c", "sessions.c", "sessions.h"]);
  const { program, build } = sample("sessions", files, fix, hooks);
  const { hotpatch } = await build();
  assert.deepEqual(Object.keys(hotpatch.manifest.elf?.hooks ?? {}).sort(), ["beforeApply", "release"]);
  const target = await Target.start(context, program);
  assert.equal(await target.ask("open old"), "opened");
  const before = stateOf(target.pid);
  for (let guess = 0; guess < 5; guess++) assert.equal(await target.ask("try old wrong"), "no");
  for (let round = 0; round < 2; round++) {
    await apply(target.pid, hotpatch);
    assert.equal(await target.ask("try old wrong"), "no");
    assert.equal(await target.ask("try old sesame"), "no");
    assert.equal(await target.ask("open fresh"), "opened");
    for (let guess = 0; guess < 2; guess++) assert.equal(await target.ask("try fresh wrong"), "no");
    assert.equal(await target.ask("try fresh sesame"), "welcome");
    assert.equal(await target.ask("close fresh"), "closed");
    await revert(target.pid, hotpatch);
    for (let guess = 0; guess < 5; guess++) assert.equal(await target.ask("try old wrong"), "no");
  }
  assert.equal(await target.ask("try old sesame"), "welcome");
  assert.deepEqual(stateOf(target.pid), before);
});

const limited = {
  Makefile:
    "limited: limited.o\n\t$(CC) -o $@ limited.o -Wl,--build-id\nlimited.o: limited.c\n\t$(CC) -O2 -c -o $@ limited.c\n",
  "limited.c": `#include <stdio.h>
struct item { int weight; struct item *next; };
struct item *items;
int limit = 100;
int allowed(int x) { return x <= limit; }
int main(void) {
  char line[100]; puts("ready"); fflush(stdout);
  while (fgets(line, sizeof line, stdin)) { int x = 0; sscanf(line, "%d", &x); puts(allowed(x) ? "yes" : "no"); fflush(stdout); }
}
`,
};
const lower = `--- a/limited.c
+++ b/limited.c
@@ -1,7 +1,7 @@
 #include <stdio.h>
 struct item { int weight; struct item *next; };
 struct item *items;
-int limit = 100;
+int limit = 10;
 int allowed(int x) { return x <= limit; }
 int main(void) {
   char line[100]; puts("ready"); fflush(stdout);
`;
const settingHook = `#include <rebootless.h>
extern int limit;
static int set(void) { limit = 10; return 0; }
static int unset(void) { limit = 100; return 0; }
REBOOTLESS_BEFORE_APPLY(set);
REBOOTLESS_BEFORE_REVERT(unset);
`;

test("a changed initial value is refused, unless the author says that a hook takes care of it", async (context) => {
  const { program, build } = sample("limited", limited, lower, settingHook);
  await assert.rejects(build(), (error: unknown) => {
    assert.ok(error instanceof RefusalError);
    return error.refusals[0]?.code === "build/changed-data";
  });
  const { hotpatch } = await build({ handled: ["data:limit"] });
  assert.match(hotpatch.manifest.elf?.notices.join("\n") ?? "", /author's word.*limit/);
  const target = await Target.start(context, program);
  assert.equal(await target.ask("50"), "yes");
  await apply(target.pid, hotpatch);
  assert.equal(await target.ask("50"), "no");
  await revert(target.pid, hotpatch);
  assert.equal(await target.ask("50"), "yes");
});

test("a mark in the hook file says the same; a hook that answers an error refuses by its name", async (context) => {
  const refusing = `${settingHook.replace("limit = 10; return 0;", "return 3;")}REBOOTLESS_HANDLES_DATA(limit);\n`;
  const { program, build } = sample("limited", limited, lower, refusing);
  const { hotpatch } = await build();
  const target = await Target.start(context, program);
  const refusal = await refusalOf(() => apply(target.pid, hotpatch));
  assert.equal(refusal.code, "target/hook-failed");
  assert.match(refusal.message, /set answered 3/);
  assert.equal(await target.ask("50"), "yes");
});
