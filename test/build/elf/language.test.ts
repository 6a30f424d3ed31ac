import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { describe, test } from "node:test";
import { type Built, buildProject, newFunctions, readelfComplaints, replaced } from "./support/project.ts";

/** What fixes do with the language, and what compilers make of it; no author writes anything for it. */

function variables({ report }: Built): string[] {
  return report.binaries.flatMap(({ newVariables }) => newVariables.map(({ name }) => name)).sort();
}

function assertWhole(built: Built): void {
  assert.equal(readelfComplaints(built), "");
  for (const { name, address } of built.binary.functions) {
    const known = built.addresses.get(name);
    if (known !== undefined) assert.equal(address, known, name);
  }
}

describe("C", () => {
  const lib = `#include <stdio.h>
__attribute__((noinline)) static int scale(int x) { return x * 3 + printf("%d\\n", x); }
int twice(int x) { return scale(x) * 2; }
int thrice(int x) { return scale(x) * 3; }
int alone(int x) { return x ^ 12; }
`;
  const main = `int twice(int), thrice(int), alone(int);
int main(int argc, char **argv) { (void)argv; return twice(argc) + thrice(argc) + alone(argc); }
`;
  const files = { "lib.c": lib, "main.c": main };

  test("another signature changes the function and all its callers", async () => {
    const fixed = lib
      .replace("scale(int x) { return x * 3", "scale(int x, int limit) { if (x > limit) return 0; return x * 3")
      .replaceAll("scale(x) *", "scale(x, x + 40) *");
    const built = await buildProject({ files, fixed: { "lib.c": fixed } });
    assert.deepEqual(replaced(built), ["scale", "thrice", "twice"]);
    assertWhole(built);
  });

  test("new tables, strings, static variables and jump tables travel", async () => {
    const body = `int alone(int x) {
  static int calls; static const int odd[] = {7, 9, 13, 27, 31}; calls += x;
  switch (x) {
    case 0: return printf("nothing\\n"); case 1: return odd[calls % 5]; case 2: return calls * 7; case 3: return twice(x);
    case 4: return calls ^ 9; case 5: return puts("five"); case 6: return x - calls; default: return x ^ 12;
  }
}
`;
    const built = await buildProject({
      files,
      fixed: { "lib.c": lib.replace("int alone(int x) { return x ^ 12; }\n", body) },
    });
    assert.deepEqual(replaced(built), ["alone"]);
    assert.equal(variables(built).filter((name) => name.startsWith("calls")).length, 1);
    const contents = execFileSync("readelf", ["-p", ".rodata.str1.1", built.object], { encoding: "utf8" });
    assert.match(contents, /nothing/);
    assertWhole(built);
  });

  test("clones that the compiler made (.constprop, .isra, .part) are exchanged under their own names", async () => {
    const text = `#include <stdlib.h>
#include <stdio.h>
struct pair { int a, b; };
__attribute__((noinline)) static int chosen(struct pair *p, int mode) { if (p->a > 90) abort(); for (int i = 0; i < p->b; i++) printf("%d\\n", i * mode + p->a); return p->a + mode; }
int use(int x) { struct pair p = {x, x + 1}; return chosen(&p, 5); }
int main(int argc, char **argv) { (void)argv; return use(argc) + use(argc + 1); }
`;
    const built = await buildProject({
      files: { "main.c": text },
      fixed: { "main.c": text.replace("p->a > 90", "p->a > 80") },
      flags: "-O2",
    });
    assert.ok(
      replaced(built).some((name) => /^chosen(\.\w+\.\d+)+$/.test(name)),
      replaced(built).join(),
    );
    assertWhole(built);
  });
});

describe("C++", () => {
  const header = `#include <vector>
#include <algorithm>
struct shape { virtual ~shape(); virtual int area() const; int side = 3; };
template <typename T> __attribute__((noinline)) T capped(T x) { return x > T(100) ? T(100) : x; }
int first(std::vector<int> &v); int second(long x); int ask(const shape &s);
`;
  const files = {
    "shapes.h": header,
    "first.cc":
      '#include "shapes.h"\nint first(std::vector<int> &v) { int k = capped<int>(v.size()); std::sort(v.begin(), v.end(), [k](int a, int b) { return a * k < b * k; }); return v[0]; }\n',
    "second.cc":
      '#include "shapes.h"\nshape::~shape() {}\nint shape::area() const { return side * side; }\nint second(long x) { return capped<int>(x) + capped<long>(x); }\nint ask(const shape &s) { return s.area(); }\n',
    "main.cc":
      '#include "shapes.h"\nint main(int argc, char **) { std::vector<int> v{argc, 2, 1}; shape s; return first(v) + second(argc) + ask(s); }\n',
  };
  const compiler = "g++";

  test("a template that two sources use is exchanged once for each of its types", async () => {
    const fixed = { "shapes.h": header.replaceAll("T(100)", "T(50)") };
    const built = await buildProject({ files, fixed, compiler });
    assert.deepEqual(replaced(built), ["_Z6cappedIiET_S0_", "_Z6cappedIlET_S0_"]);
    assertWhole(built);
  });

  test("a lambda changes what it was put into; a virtual function changes in its place", async () => {
    const fixed = {
      "first.cc": files["first.cc"].replace("a * k < b * k", "a * k > b * k"),
      "second.cc": files["second.cc"].replace("side * side", "side > 9 ? 81 : side * side"),
    };
    const built = await buildProject({ files, fixed, compiler });
    const names = replaced(built);
    assert.ok(names.includes("_ZNK5shape4areaEv"));
    assert.ok(
      names.some((name) => /first|sort/.test(name)),
      names.join(),
    );
    assert.deepEqual(
      newFunctions(built).filter((name) => /area/.test(name)),
      [],
    );
    assertWhole(built);
  });
});
