import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { RefusalError } from "../../../src/base/refusal.ts";
import { buildProject, type Files, type Project, replaced } from "./support/project.ts";

async function refused(project: Project): Promise<readonly { code: string; message: string }[]> {
  try {
    await buildProject(project);
  } catch (error) {
    if (error instanceof RefusalError) return error.refusals;
    throw error;
  }
  return assert.fail("nothing was refused");
}

/** A program whose object of type `thing` lives on the heap; `type` has INSERT where the fix adds something. */
function keeping(type: string, use: string): (insert: string) => Files {
  return (insert) => ({
    "main.c": `#include <stdlib.h>
${type.replace("INSERT", insert)}
thing *last;
__attribute__((noinline)) int grow(thing *t, int n) { ${use}; return (int)sizeof *t + n; }
int main(int argc, char **argv) { (void)argv; last = calloc(1, sizeof *last); return grow(last, argc); }
`,
  });
}

describe("a layout of objects that exist", () => {
  for (const [what, type, insert, told] of [
    ["a struct in a typedef", "typedef struct { int a; INSERT int used; } thing;", "long b;", /thing.*8 to 24 bytes/s],
    [
      "a struct nested by value",
      "struct part { char c INSERT; }; typedef struct { struct part p; int used; } thing;",
      "[9]",
      /part/,
    ],
    [
      "an anonymous struct and union inside",
      "typedef struct { union { struct { short x, y INSERT; }; int all; }; int used; } thing;",
      ", z",
      /thing/,
    ],
    ["a union", "typedef union { int used; INSERT char text[4]; } thing;", "double d;", /thing.*4 to 8 bytes/s],
    [
      "bit fields",
      "typedef struct { unsigned a : INSERT3, b : 4; int used; } thing;",
      "1",
      /a at 0, bits 0 to \+3 .*becomes.* bits 0 to \+13/s,
    ],
    ["an array in a struct", "typedef struct { int used; char text[INSERT4]; } thing;", "6", /thing.*8 to 68 bytes/s],
    [
      "what a flexible array consists of",
      "typedef struct { int used; INSERT values[]; } thing;",
      "short",
      /thing.*values at 4/s,
    ],
    [
      "a number that becomes a fraction",
      "typedef struct { int used; INSERT other; } thing;",
      "float",
      /floating point/,
    ],
    [
      "a typedef that a struct uses",
      "typedef INSERT amount; typedef struct { amount a; int used; } thing;",
      "long",
      /thing.*8 to 16 bytes/s,
    ],
  ] as const)
    test(`is not changed: ${what}`, async () => {
      const files = keeping(
        type,
        /values/.test(type)
          ? "t->values[n] += n"
          : /other/.test(type)
            ? "t->other += n"
            : /b : 4/.test(type)
              ? "t->b += n"
              : "t->used += n",
      );
      const before = { short: "char", float: "int", long: "int" }[insert as string] ?? "";
      const plain = /INSERT (values|other|amount)/.test(type) ? before : "";
      const found = await refused({ files: files(plain), fixed: files(insert) });
      assert.equal(found[0]?.code, "build/changed-layout");
      assert.ok(
        found.some(({ message }) => told.test(message)),
        found.map(({ message }) => message).join("\n"),
      );
    });

  test("is not changed: a variable of a type without a name", async () => {
    const text = (members: string): Files => ({
      "main.c": `static struct { ${members} } state;
__attribute__((noinline)) int step(int n) { state.a += n; return state.a - state.b; }
int main(int argc, char **argv) { (void)argv; return step(argc); }
`,
    });
    const found = await refused({ files: text("int a; int b;"), fixed: text("int b; int a;") });
    assert.match(found[0]?.message ?? "", /layout of the variable state changes/);
  });

  test("is not changed where a function gives objects back through a parameter, though another has one of its own", async () => {
    const text = (insert: string): Files => ({
      "main.c": `#include <stdlib.h>
struct thing { int a; ${insert} int b; };
__attribute__((noinline)) static int use(struct thing *t) { return t->a + t->b; }
int make(struct thing **out) { *out = calloc(1, sizeof **out); return (*out)->b; }
int main(int argc, char **argv) { (void)argv; struct thing own = {argc, 2}; void *p; return use(&own) + make((struct thing **)&p); }
`,
    });
    const found = await refused({ files: text(""), fixed: text("int c;") });
    assert.match(found[0]?.message ?? "", /layout of thing changes/);
  });
});

describe("numbers of an enum", () => {
  const text = (names: string): Files => ({
    "main.c": `enum state { ${names} };
static enum state now = idle;
__attribute__((noinline)) int step(int n) { if (now == busy) return 3; now = n > 2 ? busy : idle; return n; }
int main(int argc, char **argv) { (void)argv; return step(argc) + (now == closed); }
`,
  });

  test("that the process has stored are not changed", async () => {
    const found = await refused({ files: text("idle, busy, closed"), fixed: text("idle, paused, busy, closed") });
    assert.equal(found[0]?.code, "build/changed-layout");
    assert.match(found[0]?.message ?? "", /In the enum state, busy goes from 1 to 2/);
  });

  test("may have 64 bits", async () => {
    const wide = (most: string): Files => text(`idle, busy, closed, most = ${most}`);
    const fixed = { "main.c": (wide("0xfffffffffffffffe")["main.c"] ?? "").replace("return 3", "return 4") };
    const found = await refused({ files: wide("0xffffffffffffffff"), fixed });
    assert.match(found[0]?.message ?? "", /most goes from 18446744073709551615 to 18446744073709551614/);
  });

  test("may get names added", async () => {
    const fixed = text("idle, busy, closed, paused");
    const changed = { "main.c": (fixed["main.c"] ?? "").replace("return 3", "return paused") };
    // The value is the one that was there, so that there is nothing to exchange.
    const found = await refused({ files: text("idle, busy, closed"), fixed: changed });
    assert.deepEqual(
      found.map(({ code }) => code),
      ["build/nothing-changed"],
    );
  });
});

describe("classes with virtual functions", () => {
  const text = (first: string, second = ""): Files => ({
    "main.cc": `#include <cstdlib>
namespace zoo {
struct Animal { int legs = 4; ${first} virtual int sound(int n) { return n + legs; } ${second} virtual ~Animal() {} };
}
zoo::Animal *pet;
__attribute__((noinline)) int call(int n) { return pet->sound(n); }
int main(int argc, char **argv) { (void)argv; pet = new zoo::Animal; return call(argc); }
`,
  });

  for (const [what, fixed] of [
    ["added before others", text("virtual int age() { return 1; }")],
    ["added behind others", text("", "virtual int age() { return 1; }")],
  ] as const)
    test(`are not changed: one is ${what}`, async () => {
      const project = { files: text(""), fixed, compiler: "g++" };
      const found = await refused(project);
      assert.ok(
        found.some(
          ({ code, message }) =>
            code === "build/changed-layout" && /virtual functions of zoo::Animal change/.test(message),
        ),
        found.map(({ message }) => message).join("\n"),
      );
    });

  test("may change what they do", async () => {
    const files = text("");
    const fixed = { "main.cc": (files["main.cc"] ?? "").replace("return n + legs", "return n - legs") };
    const built = await buildProject({ files, fixed, compiler: "g++" });
    assert.ok(replaced(built).some((name) => name.includes("sound")));
  });
});

test("a struct that lives only during a call may change: a function that holds one and stays as it is is watched at the switch", async () => {
  const text = (insert: string, body: string): Files => ({
    "state.h": `struct state { int a; char tag; ${insert} };\nint fill(struct state *s, int n);\nint use(struct state *s);\n`,
    "state.c": `#include "state.h"\nint fill(struct state *s, int n) { s->a = n; s->tag = 1; ${insert === "" ? "" : "s->more = 2;"} return n; }\nint use(struct state *s) { ${body} }\n`,
    "main.c": `#include "state.h"\n__attribute__((noinline)) int run(int n) { struct state s; return fill(&s, n) + use(&s); }\nint main(int argc, char **argv) { (void)argv; return run(argc); }\n`,
  });
  // The new member fits into the padding, so that the code of run stays as it was.
  const built = await buildProject({
    files: text("", "return s->a;"),
    fixed: text("char more;", "return s->a + s->more;"),
  });
  assert.deepEqual(replaced(built), ["fill", "use"]);
  const watched = built.binary.functions.filter(({ replacement }) => replacement === undefined).map(({ name }) => name);
  assert.deepEqual(watched, ["run"]);
});

describe("assembly", () => {
  const c = (code: string, section = ""): Files => ({
    "main.c": `__asm__("${section}.globl twice\\n.type twice,@function\\ntwice: ${code}\\n ret\\n${section === "" ? "" : ".popsection\\n"}");
int twice(int);
__attribute__((noinline)) int run(int n) { return twice(n) + 1; }
int main(int argc, char **argv) { (void)argv; return run(argc); }
`,
  });

  test("at the top level of a C source is not changed", async () => {
    for (const section of ["", '.pushsection .text.twice,\\"ax\\"\\n']) {
      const found = await refused({
        files: c("lea (%rdi,%rdi),%eax", section),
        fixed: c("lea 1(%rdi,%rdi),%eax", section),
      });
      assert.equal(found[0]?.code, "build/changed-assembly", found[0]?.message ?? "");
    }
  });

  test("in a file of its own is not changed", async () => {
    const files = (code: string): Files => ({
      "twice.s": `.globl twice\n.type twice,@function\ntwice: ${code}\n ret\n.size twice,.-twice\n.section .note.GNU-stack,"",@progbits\n`,
      "main.c": "int twice(int);\nint main(int argc, char **argv) { (void)argv; return twice(argc); }\n",
    });
    const makefile =
      "app: main.o twice.o\n\t$(CC) $(FLAGS) -o $@ $^\n%.o: %.c\n\t$(CC) $(FLAGS) -c -o $@ $<\n%.o: %.s\n\t$(CC) -c -o $@ $<\n";
    const found = await refused({
      makefile,
      files: files("lea (%rdi,%rdi),%eax"),
      fixed: files("lea 1(%rdi,%rdi),%eax"),
    });
    assert.equal(found[0]?.code, "build/changed-assembly", found[0]?.message ?? "");
  });

  test("inside a function changes the function", async () => {
    const files = (value: number): Files => ({
      "main.c": `__attribute__((noinline)) int run(int n) { __asm__("add $${value}, %0" : "+r"(n)); return n; }\nint main(int argc, char **argv) { (void)argv; return run(argc); }\n`,
    });
    assert.deepEqual(replaced(await buildProject({ files: files(3), fixed: files(4) })), ["run"]);
  });
});

describe("initial values", () => {
  const text = (data: string, use = "table[n & 1] + *pointer"): Files => ({
    "main.c": `#include <stdio.h>
static int one = 1, other = 2;
${data}
__attribute__((noinline)) int run(int n) { return ${use}; }
int main(int argc, char **argv) { (void)argv; one += argc; other += argc; table[0] += argc; pointer = argc > 3 ? &other : pointer; return run(argc); }
`,
  });

  test("of variables that the program writes are not changed, nor is where they point, nor their size", async () => {
    const plain = text("int table[2] = {1, 2}; int *pointer = &one;");
    for (const [data, name] of [
      ["int table[2] = {1, 3}; int *pointer = &one;", /table.*initial value/s],
      ["int table[2] = {1, 2}; int *pointer = &other;", /pointer.*initial value/s],
      ["int table[4] = {1, 2}; int *pointer = &one;", /table.*8 to 16 bytes/s],
    ] as const) {
      const found = await refused({ files: plain, fixed: text(data) });
      assert.equal(found[0]?.code, "build/changed-data");
      assert.match(found[0]?.message ?? "", name);
    }
  });
});

describe("constants that were inlined elsewhere", () => {
  const files: Files = {
    "limits.h":
      "enum { most = 40 };\nstatic const int least = 3;\n#define STEP 2\nint first(int x);\nint second(int x);\nint third(int x);\n",
    "first.c": '#include "limits.h"\nint first(int x) { return x > most ? most : x; }\n',
    "second.c": '#include "limits.h"\nint second(int x) { return x < least ? least : x; }\n',
    "third.c": '#include "limits.h"\nint third(int x) { return x * STEP; }\n',
    "main.c":
      '#include "limits.h"\nint main(int argc, char **argv) { (void)argv; return first(argc) + second(argc) + third(argc); }\n',
  };
  // This makefile knows nothing of the header.
  const makefile =
    "app: first.o second.o third.o main.o\n\t$(CC) $(FLAGS) -o $@ $^\n%.o: %.c\n\t$(CC) $(FLAGS) -c -o $@ $<\n";

  for (const [from, to, changed] of [
    ["most = 40", "most = 20", "first"],
    ["least = 3", "least = 4", "second"],
    ["STEP 2", "STEP 3", "third"],
  ] as const)
    test(`${from}: every function that uses it changes, also in sources that the makefile did not compile again`, async () => {
      const fixed = { "limits.h": (files["limits.h"] ?? "").replace(from, to) };
      assert.deepEqual(replaced(await buildProject({ files, fixed, makefile })), [changed]);
    });
});
