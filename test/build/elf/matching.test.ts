import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { RefusalError } from "../../../src/base/refusal.ts";
import { type Built, buildProject, hasProgram, replaced } from "./support/project.ts";

function assertPlaces(built: Built): void {
  for (const { name, address, sizeBytes } of built.binary.functions) {
    assert.equal(address, built.addresses.get(name), name);
    assert.ok(sizeBytes > 0);
  }
  for (const symbol of built.binary.symbols) {
    const known = built.addresses.get(symbol.name.replace(/\.original$/, ""));
    if (symbol.kind === "address" && known !== undefined) assert.equal(symbol.address, known, symbol.name);
  }
}

/** Tail calls of a static neighbour become short jumps in the binary, and loops behind them move. */
const neighbours = `#include <stdio.h>
int total;
__attribute__((noinline)) static int last(int x) { total += x; return total * 3; }
__attribute__((noinline)) int middle(int x) { if (x > 4) return last(x); for (int i = 0; i < x; i++) total ^= i * x; return last(x + 1); }
__attribute__((noinline)) int first(int x) { if (x > 9) return middle(x - 9); total--; return last(x); }
`;
const main = `#include <stdio.h>
int middle(int x); int first(int x);
int main(int argc, char **argv) { (void)argv; printf("%d %d\\n", first(argc), middle(argc)); return 0; }
`;

describe("functions are found one by one where the object as a whole is not", () => {
  for (const compiler of ["gcc", "clang"]) {
    const skip = hasProgram(compiler) ? false : `${compiler} is not installed`;
    test(`${compiler}: jumps to neighbours that the assembler shortened`, { skip }, async () => {
      // The binary has one function more, in the middle, that the source at hand does not have.
      const more = neighbours.replace(
        "__attribute__((noinline)) int first",
        "__attribute__((noinline)) int extra(int x) { return x * total + 7; }\n__attribute__((noinline)) int first",
      );
      const built = await buildProject({
        files: { "main.c": main, "lib.c": neighbours },
        fixed: { "lib.c": neighbours.replace("total--;", "total -= 2;").replace("if (x > 4)", "if (x > 5)") },
        target: { "lib.c": more },
        compiler,
        flags: "-O2 -Wl,--build-id",
      });
      assert.deepEqual(replaced(built), ["first", "middle"]);
      assertPlaces(built);
    });
  }
});

test("a changed source that the build links in and that the binary has otherwise is no half a fix, but a refusal", async () => {
  const other = "int middle(int x) { return x * 11 - 4; }\nint first(int x) { return x ^ 90; }\n";
  const fixed = {
    "lib.c": neighbours.replace("total--;", "total -= 2;"),
    "main.c": main.replace("return 0", "return argc > 9"),
  };
  const found = await buildProject({
    files: { "main.c": main, "lib.c": neighbours },
    fixed,
    target: { "lib.c": other },
  })
    .then(() => undefined)
    .catch((error: unknown) => error);
  assert.ok(found instanceof RefusalError);
  assert.equal(found.refusals[0]?.code, "build/not-matched");
  assert.match(found.message, /lib\.c.*half a fix/);
});

describe("functions with the very same code are told apart", () => {
  const twins = `int value;
__attribute__((noinline)) int one(int x) { return x * 5 + 2; }
__attribute__((noinline)) int two(int x) { return x * 5 + 2; }
__attribute__((noinline)) int three(int x) { return x * 7 + value; }
`;
  const user = `int one(int), two(int), three(int);
int main(int argc, char **argv) { (void)argv; return one(argc) + two(argc) + three(argc); }
`;
  test("by the order in which they stand", async () => {
    const more = twins.replace(
      "__attribute__((noinline)) int three",
      "int unused(int x) { return x * 11 + value; }\n__attribute__((noinline)) int three",
    );
    const built = await buildProject({
      files: { "main.c": user, "lib.c": twins },
      fixed: { "lib.c": twins.replace("two(int x) { return x * 5 + 2", "two(int x) { return x * 5 + 3") },
      target: { "lib.c": more },
      flags: "-O1",
    });
    assert.deepEqual(replaced(built), ["two"]);
    assertPlaces(built);
  });

  test("a function and a main that only holds a copy of it", async () => {
    const text =
      "int twice(int x) { return x * 2 + 1; }\nint main(int argc, char **argv) { (void)argv; return argc * 2 + 1; }\n";
    const built = await buildProject({
      files: { "main.c": text },
      fixed: { "main.c": text.replace("x * 2 + 1", "x * 2 + 3") },
    });
    assert.deepEqual(replaced(built), ["twice"]);
    assertPlaces(built);
  });
});

describe("functions that share one body", () => {
  const shared = `int one(int x) { return x * 5 + 2; }
int two(int x) { return x * 5 + CHANGED; }
`;
  const user = `int one(int), two(int);
int main(int argc, char **argv) { (void)argv; return one(argc) + two(argc); }
`;
  const same = 'int one(int x) { return x * 5 + 2; }\nint two(int x) __attribute__((alias("one")));\n';
  const other = shared.replace("CHANGED", "3");

  test("are refused where the fix makes them differ: one entry cannot lead to both", async () => {
    await assert.rejects(
      buildProject({ files: { "main.c": user, "lib.c": same }, fixed: { "lib.c": other } }),
      /one and two in lib\.c are one body/,
    );
  });

  test("both old ones lead to it where the fix makes them the same", async () => {
    const built = await buildProject({ files: { "main.c": user, "lib.c": other }, fixed: { "lib.c": same } });
    const two = built.binary.functions.find(({ address }) => address === built.addresses.get("two"));
    assert.ok(two?.replacement !== undefined);
  });
});

describe("link-time optimisation", () => {
  const library = "int limit(int x) { return x > 100 ? 100 : x; }\nint unrelated(int x) { return x ^ 5; }\n";
  const kept = library.replace("int limit", "__attribute__((noinline, noclone)) int limit");
  const user = `#include <stdio.h>
int limit(int); int unrelated(int);
__attribute__((noinline, noclone)) int use(int x) { printf("%d\\n", limit(x)); return unrelated(x); }
int main(int argc, char **argv) { (void)argv; return use(argc); }
`;
  const fix = (text: string): string => text.replace("x > 100 ? 100", "x > 50 ? 50");
  const flags = "-O2 -flto";

  test("a function that was copied into another source's is refused, naming whose", async () => {
    await assert.rejects(
      buildProject({ files: { "main.c": user, "lib.c": library }, fixed: { "lib.c": fix(library) }, flags }),
      /limit: its code stands nowhere in the binary/,
    );
  });

  test("a function that is still called is found, and so is its caller", async () => {
    const files = {
      "main.c": user.replace("int unrelated(int)", "int unrelated(int)"),
      "lib.c": kept.replace("int unrelated", "__attribute__((noinline, noclone)) int unrelated"),
    };
    const built = await buildProject({ files, fixed: { "lib.c": fix(files["lib.c"]) }, flags });
    assert.deepEqual(replaced(built), ["limit"]);
    assertPlaces(built);
  });
});
