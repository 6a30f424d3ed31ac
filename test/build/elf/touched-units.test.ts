import assert from "node:assert/strict";
import { test } from "node:test";
import { type Built, buildProject, type Files, hasProgram, newFunctions, replaced } from "./support/project.ts";

const files = {
  "first.c": `#include "shared.h"
#include <assert.h>
__attribute__((noinline)) int first(int x) { assert(x > -100); return x * limit + 7; }
`,
  "second.c": `#include "shared.h"
#include <assert.h>
__attribute__((noinline)) int second(int x) { assert(x > -100); return x ^ limit; }
`,
  "words.in": "3\n",
  "third.c": `#include "words.h"
__attribute__((noinline)) int third(int x) { return x + word * 1000; }
`,
  "shared.h": "enum { limit = 5 };\nint first(int), second(int), third(int);\n",
  "main.c": `#include "shared.h"
int main(int argc, char **argv) { (void)argv; return first(argc) + second(argc) + third(argc); }
`,
};

/** Takes away whatever was made before it makes anything, as some makefiles do. */
const anew = `all: app
SOURCES := first.c second.c third.c main.c
$(shell rm -f *.o words.h app)
app: $(SOURCES:.c=.o)
	$(CC) $(FLAGS) -o $@ $^
%.o: %.c shared.h words.h
	$(CC) $(FLAGS) -c -o $@ $<
words.h: words.in
	(printf 'enum { word = '; cat words.in; echo '};') > $@
`;

function touched({ steps }: Built): string[] {
  return steps.flatMap((step) => /^Compiling (\d+ touched sources?) again/.exec(step)?.[1] ?? []);
}

function fix(name: "first.c" | "shared.h", from: string, to: string): Files {
  assert.ok(files[name].includes(from));
  return { [name]: files[name].replace(from, to) };
}

test("a build that begins anew: only the source that changes is touched", async () => {
  const fixed = fix("first.c", "return", "if (x > 50) return 1;\n\treturn");
  // The rest of the program is from elsewhere: what the fix does not touch is not looked for.
  const target = { "second.c": files["second.c"].replace("x ^ limit", "x ^ limit ^ 77") };
  const built = await buildProject({ files, fixed, makefile: anew, target });
  assert.deepEqual(touched(built), ["1 touched source"]);
  assert.deepEqual(replaced(built), ["first"]);
  assert.deepEqual(newFunctions(built), []);
});

test("a build that cannot run twice in one tree is run in a new one for the fixed version", async () => {
  const once = anew.replace(/^\$\(shell .*\n/m, "").replace("-o $@ $^", "-o $@ $^\n\tln -s $@ latest");
  const fixed = fix("first.c", "return", "if (x > 50) return 1;\n\treturn");
  const built = await buildProject({ files, fixed, makefile: once });
  assert.deepEqual(touched(built), ["1 touched source"]);
  assert.deepEqual(replaced(built), ["first"]);
  await assert.rejects(
    buildProject({ files, fixed: fix("first.c", "return", "return none;"), makefile: once }),
    /The build of the fixed version failed[\s\S]*none/,
  );
});

test("a build that begins anew: lines and comments that are new in a header touch nothing, a value touches who reads it", async () => {
  const comment = fix("shared.h", "enum", "/* new\n lines */\n#define UNUSED 1\nenum");
  const own = fix("first.c", "* limit", "* limit * 3");
  const commented = await buildProject({ files, fixed: { ...comment, ...own }, makefile: anew });
  assert.deepEqual(touched(commented), ["1 touched source"]);
  assert.deepEqual(replaced(commented), ["first"]);
  const valued = await buildProject({ files, fixed: fix("shared.h", "limit = 5", "limit = 6"), makefile: anew });
  // main.c reads the header too, and its code stays.
  assert.deepEqual(touched(valued), ["3 touched sources"]);
  assert.deepEqual(replaced(valued), ["first", "second"]);
});

test("a header that declares a new function touches the sources that use it, and no others", async () => {
  const declared = fix(
    "shared.h",
    "int first",
    "int *fresh(int[], struct item *,\n  long);\nextern int refused(void);\nint first",
  );
  const own = {
    "first.c": files["first.c"]
      .replace("return", "if (x > 50) return refused();\n\treturn")
      .concat("int count;\n__attribute__((noinline)) int refused(void) { return ++count; }\n"),
  };
  const built = await buildProject({ files, fixed: { ...declared, ...own }, makefile: anew });
  assert.deepEqual(touched(built), ["1 touched source"]);
  assert.deepEqual(replaced(built), ["first"]);
  assert.deepEqual(newFunctions(built), ["refused"]);
});

test("calls that look like declarations count: inside of functions, and of what is declared nowhere", async () => {
  const old = "int helper(x) int x; { return x + 1; }\nint third(int x) { if (x > 3) return 4; return x; }\n";
  const before = { ...files, "third.c": old, "fourth.c": "int unseen(int x) { return x * 3; }\n" };
  const makefile = anew.replace("SOURCES :=", "SOURCES := fourth.c");
  const fixed = { "third.c": old.replace("return 4;", "return unseen(4);") };
  const flags = "-O2 -std=gnu89 -w";
  const built = await buildProject({ files: before, fixed, makefile, flags });
  assert.deepEqual(touched(built), ["1 touched source"]);
  assert.deepEqual(replaced(built), ["third"]);
});

test("a build that begins anew: what is generated from a changed file counts by its content", async () => {
  const built = await buildProject({ files, fixed: { "words.in": "4\n" }, makefile: anew });
  assert.deepEqual(touched(built), ["1 touched source"]);
  assert.deepEqual(replaced(built), ["third"]);
});

test("flags that a fix changes count: the old version keeps the old ones", async () => {
  const guarded = files["second.c"].replace("return", "\n#ifdef NEW\n\tif (x > 50) return 1;\n#endif\n\treturn");
  const own = { ...files, "second.c": guarded };
  const fixed = { Makefile: anew.replace("-c -o $@ $<", "-DNEW -c -o $@ $<"), ...fix("first.c", "* limit", "* 9") };
  const built = await buildProject({ files: own, fixed, makefile: anew });
  assert.deepEqual(touched(built), ["4 touched sources"]);
  assert.deepEqual(replaced(built), ["first", "second"]);
});

test("flags that each build makes up for itself touch nothing", async () => {
  const dated = anew.replace("-c -o $@ $<", "-DBUILT=$(shell date +%N) -c -o $@ $<");
  const built = await buildProject({ files, fixed: fix("first.c", "* limit", "* 9"), makefile: dated });
  assert.deepEqual(replaced(built), ["first"]);
});

test("a source that takes in a file behind the preprocessor's back counts as touched", async () => {
  const table = `extern const char table[];
__asm__(".section .rodata\\n.globl table\\ntable: .incbin \\"table.bin\\"\\n.text");
__attribute__((noinline)) int third(int x) { return table[x & 1]; }
`;
  const taking = { ...files, "third.c": table, "table.bin": "ab" };
  const built = await buildProject({ files: taking, fixed: { "table.bin": "ac" }, makefile: anew });
  assert.deepEqual(touched(built), ["1 touched source"]);
  assert.deepEqual(replaced(built), ["third"]);
});

const cmake = `cmake_minimum_required(VERSION 3.10)
project(app C)
set(CMAKE_C_FLAGS "-O2")
add_custom_command(OUTPUT words.h DEPENDS \${CMAKE_SOURCE_DIR}/words.in COMMAND sh -c "(printf 'enum { word = '; cat \${CMAKE_SOURCE_DIR}/words.in; echo '};') > words.h" VERBATIM)
include_directories(\${CMAKE_BINARY_DIR})
add_executable(app first.c second.c third.c main.c words.h)
`;
const meson = `project('app', 'c', default_options: ['optimization=2'])
words = custom_target('words', input: 'words.in', output: 'words.h', capture: true,
  command: ['sh', '-c', 'printf "enum { word = "; cat "$1"; echo "};"', 'sh', '@INPUT@'])
executable('app', 'first.c', 'second.c', 'third.c', 'main.c', words)
`;
const autotools = {
  "configure.ac":
    "AC_INIT([app], [1])\nAM_INIT_AUTOMAKE([foreign])\nAC_PROG_CC\nAC_CONFIG_FILES([Makefile])\nAC_OUTPUT\n",
  "Makefile.am": `bin_PROGRAMS = app
app_SOURCES = first.c second.c third.c main.c shared.h
BUILT_SOURCES = words.h
CLEANFILES = words.h
words.h: words.in
	(printf 'enum { word = '; cat $<; echo '};') > $@
`,
};
const systems = [
  {
    name: "cmake",
    needs: ["cmake"],
    files: { "CMakeLists.txt": cmake },
    command: "[ -d b ] || cmake -S . -B b; cmake --build b --clean-first",
    output: "b/app",
  },
  {
    name: "meson",
    needs: ["meson", "ninja"],
    files: { "meson.build": meson },
    command: "[ -d b ] || meson setup b; ninja -C b -t clean; ninja -C b",
    output: "b/app",
  },
  {
    name: "autotools",
    needs: ["autoreconf", "automake"],
    files: autotools,
    command: "[ -e configure ] || autoreconf -fi; [ -e config.status ] || ./configure; make clean; make",
    output: "app",
  },
];

for (const { name, needs, files: own, command, output } of systems) {
  const missing = needs.filter((program) => !hasProgram(program));
  const skip = missing.length > 0 && `${missing.join(", ")} is not installed`;
  test(`a build by ${name} that begins anew: only the sources that change are touched`, { skip }, async () => {
    const words = ["sh", "-c", `(${command}) >build.log 2>&1 || { cat build.log >&2; exit 1; }`];
    const fixed = { ...fix("first.c", "* limit", "* limit * 3"), "words.in": "4\n" };
    const built = await buildProject({ files: { ...files, ...own }, fixed, command: words, output });
    assert.deepEqual(touched(built), ["2 touched sources"]);
    assert.deepEqual(replaced(built), ["first", "third"]);
  });
}
