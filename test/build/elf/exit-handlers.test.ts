/** What a fix registers for the end of the process is run before the hotpatch goes: destructors of static objects that it adds, new functions that it gives to atexit. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { apply, revert, stateOf } from "../../engine/linux/support/patching.ts";
import { Target } from "../../engine/linux/support/target.ts";
import { programOf } from "./support/program.ts";
import { type Built, buildProject } from "./support/project.ts";

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

/** A program that answers what `work` says; `extra` stands before it. */
function answering(extra: string, main = ""): string {
  return `#include <stdio.h>
#include <stdlib.h>
int limit;
${extra}
__attribute__((noinline)) int work(int x) {
  return x ^ limit;
}
int main(int argc, char **argv) {
  char line[20];
  ${main}
  puts("ready"); fflush(stdout);
  while (fgets(line, sizeof line, stdin)) {
    if (line[0] == 'q') return 0;
    printf("%d\\n", work(1)); fflush(stdout);
  }
}
`;
}

const noted = `struct Noted { int value; Noted() : value(50) {} ~Noted() { printf("ends %d\\n", value); fflush(stdout); } };`;
const thrower = "__attribute__((noinline)) void check(int x) { if (x > 5) throw x; }";
const first = answering(`${noted}\n${thrower}`, "try { check(argc); } catch (int) { return 1; }");
const registersFresh = `static void fresh(void) { printf("ends\\n"); fflush(stdout); }
__attribute__((noinline)) int work(int x) {
  static int done;
  if (!done++) atexit(fresh);
  x += 100;`;
const worker = "__attribute__((noinline)) int work(int x) {";
const usesAtexit = `static void old(void) {}`;

const cases = [
  {
    name: "the first static object of a stripped C++ program",
    compiler: "g++",
    file: "main.cc",
    text: first,
    fixed: first.replace("return x ^ limit;", "static Noted fresh; return x + limit + 2 * fresh.value;"),
    lines: ["ends 50"],
  },
  {
    name: "an array of static objects, whose ends are registered without an address",
    compiler: "g++",
    file: "main.cc",
    text: first,
    fixed: first.replace(
      "return x ^ limit;",
      "static Noted fresh[2]; return x + limit + fresh[0].value + fresh[1].value;",
    ),
    lines: ["ends 50", "ends 50"],
  },
  {
    name: "a new function given to atexit, in a program without it",
    compiler: "gcc",
    file: "main.c",
    text: answering(""),
    fixed: answering("").replace(worker, registersFresh),
    lines: ["ends"],
  },
  {
    name: "a new function given to atexit, in a program that has it",
    compiler: "gcc",
    file: "main.c",
    text: answering(usesAtexit, "atexit(old);"),
    fixed: answering(usesAtexit, "atexit(old);").replace(worker, registersFresh),
    lines: ["ends"],
  },
] as const;

for (const { name, compiler, file, text: before, fixed, lines, ...rest } of cases)
  test(name, async (context) => {
    const built = await buildProject({ files: { [file]: before }, fixed: { [file]: fixed }, compiler, ...rest });
    await endsOnce(context, built, lines);
  });

/** Ends once, with the hotpatch, and leaves the process able to end. */
async function endsOnce(context: TestContext, built: Built, lines: readonly string[]): Promise<void> {
  const target = await Target.start(context, programOf(built));
  assert.equal(await target.ask("a"), "1");
  const before = stateOf(target.pid);
  for (let round = 0; round < 2; round++) {
    await apply(target.pid, built.hotpatch);
    assert.equal(await target.ask("a"), "101");
    assert.equal(await target.ask("a"), "101");
    await revert(target.pid, built.hotpatch);
    for (const line of lines) assert.equal(await target.line(), line);
    assert.equal(await target.ask("a"), "1");
  }
  assert.deepEqual(stateOf(target.pid), before);
  assert.equal(await target.ask("q"), "(ended)");
  assert.equal(await target.ended, "0");
}
