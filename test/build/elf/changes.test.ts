import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { describe, test } from "node:test";
import { RefusalError } from "../../../src/base/refusal.ts";
import { buildProject, newFunctions, type Project, readelfComplaints, replaced } from "./support/project.ts";
import { fixedFirst, sampleFiles } from "./support/sample-project.ts";

function edited(file: keyof typeof sampleFiles, from: string, to: string): Record<string, string> {
  const text = sampleFiles[file];
  assert.ok(text.includes(from));
  return { [file]: text.replace(from, to) };
}

async function refusals(project: Project): Promise<readonly { code: string; message: string }[]> {
  try {
    await buildProject(project);
  } catch (error) {
    if (error instanceof RefusalError) return error.refusals;
    throw error;
  }
  return assert.fail("nothing was refused");
}

describe("what a fix may do", () => {
  test("a macro in a header changes every function that it was expanded in, and no other", async () => {
    const built = await buildProject({ files: sampleFiles, fixed: edited("shared.h", "LIMIT 100", "LIMIT 200") });
    assert.deepEqual(replaced(built), ["classify", "measure", "second"]);
    // Both files have a helper and a counter, each with an address of its own.
    const helpers = built.binary.symbols.filter(({ name }) => name.startsWith("helper"));
    assert.equal(new Set(helpers.map((symbol) => (symbol.kind === "address" ? symbol.address : 0))).size, 2);
  });

  test("lines that move change nothing", async () => {
    const moved = { "first.c": `/* one */\n/* two */\n${sampleFiles["first.c"]}` };
    const [refusal] = await refusals({ files: sampleFiles, fixed: moved });
    assert.equal(refusal?.code, "build/nothing-changed");
  });

  test("new functions, a new file and a call between files", async () => {
    const fixed = {
      ...edited("second.c", "return helper(clamp(x)) * 2;", "return extra(x) + helper(clamp(x)) * 2;"),
      "shared.h": `${sampleFiles["shared.h"]}int extra(int x);\n`,
      "third.c": '#include <stdlib.h>\n#include "shared.h"\nint extra(int x) { return abs(x) + classify(x); }\n',
    };
    const built = await buildProject({ files: sampleFiles, fixed });
    assert.deepEqual(replaced(built), ["second"]);
    assert.deepEqual(newFunctions(built), ["extra"]);
    assert.ok(built.binary.symbols.some(({ name }) => name === "classify"));
  });

  test("a changed table changes who reads it", async () => {
    const built = await buildProject({ files: sampleFiles, fixed: edited("first.c", "{3, 1, 4, 1}", "{3, 1, 4, 2}") });
    assert.deepEqual(replaced(built), ["helper"]);
    assert.match(built.report.binaries[0]?.code[0]?.reason ?? "", /table/);
  });

  test("a source that is compiled in two ways is exchanged once, in the way that the binary has", async () => {
    const makefile = `app: first.o second.o main.o both.a
	$(CC) $(FLAGS) -o $@ first.o second.o main.o
both.a: first.pic.o second.pic.o
	ar rcs $@ $^
%.pic.o: %.c
	$(CC) $(FLAGS) -fPIC -DSHARED -c -o $@ $<
%.o: %.c
	$(CC) $(FLAGS) -c -o $@ $<
`;
    const built = await buildProject({ files: sampleFiles, fixed: { "first.c": fixedFirst }, makefile });
    assert.deepEqual(replaced(built), ["measure"]);
    assert.deepEqual(built.report.binaries[0]?.newVariables, [{ name: "refused", size: 4 }]);
  });

  test("a changed string changes one function", async () => {
    const built = await buildProject({ files: sampleFiles, fixed: edited("first.c", '"%s %d\\n"', '"%s: %d\\n"') });
    assert.deepEqual(replaced(built), ["measure"]);
  });

  test("a cold part is watched with its function and not redirected", async () => {
    const built = await buildProject({ files: sampleFiles, fixed: { "first.c": fixedFirst } });
    const cold = built.binary.functions.find(({ name }) => name === "measure.cold");
    assert.ok(cold !== undefined && cold.replacement === undefined);
    assert.equal(cold.address, built.addresses.get("measure.cold"));
  });

  test("a static variable inside a function stays the same when another one moves its number", async () => {
    const fixed = edited(
      "first.c",
      "int classify(int x) {",
      "int another(int x) { static int count; return count += x; }\nint classify(int x) {",
    );
    const changed = fixed["first.c"]?.replace("return count * 7", "return count * 9") ?? "";
    const built = await buildProject({ files: sampleFiles, fixed: { "first.c": changed } });
    const count = built.binary.symbols.find(({ name }) => name.startsWith("count."));
    const known = [...built.addresses].find(([name]) => name.startsWith("count."))?.[1];
    assert.ok(count?.kind === "address" && count.address === known);
  });

  test("a pointer to a changed function stays the old one's, a call goes to the new one", async () => {
    const source = `#include <stdio.h>
__attribute__((noinline)) static int add(int x) { return x + 1; }
int (*keep)(int);
__attribute__((noinline)) int use(int x) { keep = add; return add(x); }
int main(int argc, char **argv) { (void)argv; printf("%d\\n", use(argc)); return 0; }
`;
    const built = await buildProject({
      files: { "main.c": source },
      fixed: { "main.c": source.replace("x + 1", "x + 2").replace("return add(x);", "return add(x) * 3;") },
    });
    assert.deepEqual(replaced(built), ["add", "use"]);
    const original = built.binary.symbols.find(({ name }) => name === "add.original");
    assert.ok(original?.kind === "address" && original.address === built.addresses.get("add"));
    const relocations = execFileSync("readelf", ["-Wr", built.object], { encoding: "utf8" });
    assert.match(relocations, /add\.original/);
    assert.match(relocations, /\.text\.add /);
  });

  test("C++: exceptions, inline functions in a header, and the unwind tables of changed functions", async () => {
    const files = {
      "value.h":
        '#include <stdexcept>\ninline int half(int x) { if (x & 1) throw std::runtime_error("odd"); return x / 2; }\nint tried(int x);\n',
      "value.cc":
        '#include "value.h"\nint tried(int x) { try { return half(x); } catch (const std::exception &e) { return e.what()[0]; } }\n',
      "main.cc":
        '#include <cstdio>\n#include "value.h"\nint main(int argc, char **) { std::printf("%d\\n", tried(argc)); }\n',
    };
    const fixed = {
      "value.cc": files["value.cc"]
        .replace("return e.what()[0];", "std::string *s = nullptr; (void)s; return -e.what()[0];")
        .replace('#include "value.h"', '#include <string>\n#include "value.h"'),
    };
    const built = await buildProject({ files, fixed, compiler: "g++", flags: "-O2" });
    assert.deepEqual(replaced(built), ["_Z5triedi"]);
    const sections = execFileSync("readelf", ["-WS", built.object], { encoding: "utf8" });
    assert.match(sections, /\.gcc_except_table/);
    assert.match(sections, /\.eh_frame/);
    assert.equal(readelfComplaints(built), "");
  });
});

describe("what is refused, by name", () => {
  for (const { what, fixed, code, names } of [
    {
      what: "another initial value",
      fixed: edited("second.c", "counter = 40", "counter = 41"),
      code: "build/changed-data",
      names: /counter/,
    },
  ])
    test(what, async () => {
      const found = await refusals({ files: sampleFiles, fixed });
      assert.equal(found[0]?.code, code);
      assert.match(found[0]?.message ?? "", names);
    });

  const object = `#include <stdlib.h>
struct object { int size; INSERT int used; };
struct object *last;
int grow(int n) { last = malloc(sizeof *last); last->size = n; last->used = 0; return last->size; }
int main(int argc, char **argv) { (void)argv; return grow(argc) + 3; }
`;
  const files = { "main.c": object.replace("INSERT ", "") };
  const fixed = { "main.c": object.replace("INSERT", "int depth;") };

  test("another layout of a struct that outlives its call, unless the author vouches for it", async () => {
    const found = await refusals({ files, fixed });
    assert.equal(found[0]?.code, "build/changed-layout");
    assert.match(found[0]?.message ?? "", /object.*8 to 12 bytes/s);
    assert.deepEqual(replaced(await buildProject({ files, fixed, shortLived: ["object"], flags: "-O0" })), ["grow"]);
  });

  test("a struct that is a local variable alone may change", async () => {
    const local = `struct state { int a; INSERT int b; };
__attribute__((noinline)) static int step(struct state *s) { return s->a += s->b; }
int run(int n) { struct state s = {n, 2}; return step(&s) + step(&s); }
int main(int argc, char **argv) { (void)argv; return run(argc); }
`;
    const built = await buildProject({
      files: { "main.c": local.replace("INSERT ", "") },
      fixed: { "main.c": local.replace("INSERT", "int c;") },
    });
    assert.ok(replaced(built).includes("run"));
  });

  test("a binary that was compiled with other flags, with how near it is", async () => {
    const found = await refusals({
      files: sampleFiles,
      fixed: { "first.c": fixedFirst },
      flags: "-O2",
      targetFlags: "-O1",
    });
    assert.equal(found[0]?.code, "build/not-matched");
    assert.match(found[0]?.message ?? "", /of \d+ bytes of code/);
  });
});

for (const { compiler, flags } of [
  { compiler: "g++", flags: "-O0" },
  { compiler: "g++", flags: "-O2" },
  { compiler: "clang++", flags: "-O2 -Wl,--build-id" },
])
  test(`${compiler} ${flags}: a new object whose constructor would have to run at the start is refused, one that nothing uses and constants are not`, async () => {
    const text = `#include <string>
#include <cstdio>
__attribute__((noinline)) int twice(int x) { return x * 2; }
int main(int argc, char **) { std::printf("%d\\n", twice(argc)); }
`;
    const body = "__attribute__((noinline)) int twice(int x) { return ";
    const build = (fixed: string): Promise<unknown> =>
      buildProject({ files: { "main.cc": text }, fixed: { "main.cc": fixed }, compiler, flags });
    const used = text.replace(body, `static std::string limit(30, 'x');\n${body}limit.size() + `);
    await assert.rejects(build(used), /The new variable .*limit.* in main\.cc gets its value by an initialiser/);
    await build(text.replace("#include <string>", "#include <string>\n#include <iostream>").replace("x * 2", "x * 3"));
    await build(text.replace(body, `static int limit = 30;\n${body}limit++ + `));
  });
