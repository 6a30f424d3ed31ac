import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { describe, test } from "node:test";
import { RefusalError } from "../../../src/base/refusal.ts";
import { buildElfHotpatch, type ElfBuildInput } from "../../../src/build/elf/elf-hotpatch.ts";
import { archiveMembers } from "../../../src/build/elf/linked-sources.ts";
import type { Hotpatch } from "../../../src/hotpatch/hotpatch.ts";
import { elfChangeOf } from "../../../src/hotpatch/manifest.ts";
import { apply, engineFor, referenceOf, revert } from "../../engine/linux/support/patching.ts";
import { newFolder, writeFiles } from "./support/project.ts";

/** A library, a program that uses it, and one that has the same object in it; all share a function of a header. */
const files = {
  "shared.h": `#define LIMIT 10
static inline int clamp(int x) { return x > LIMIT ? LIMIT : x; }
int limited(int x);
`,
  "limited.c": '#include "shared.h"\n__attribute__((noinline)) int limited(int x) { return clamp(x) * 3; }\n',
  "user.c": `#include <stdio.h>
#include "shared.h"
__attribute__((noinline)) static int own(int x) { return clamp(x) + 1; }
int main(void) {
  int x;
  while (scanf("%d", &x) == 1) { printf("%d %d\\n", limited(x), own(x)); fflush(stdout); }
  return 0;
}
`,
  Makefile: `all: liblimited.so user alone
liblimited.so: limited.pic.o
	gcc -O2 -shared -Wl,-soname,liblimited.so -o $@ $^
user: user.o liblimited.so
	gcc -O2 -o $@ user.o -L. -llimited -Wl,-rpath,'$$ORIGIN'
alone: user.o parts.a
	gcc -O2 -o $@ user.o parts.a
parts.a: limited.o
	ar rcs $@ $^
%.pic.o: %.c
	gcc -O2 -fPIC -c -o $@ $<
%.o: %.c
	gcc -O2 -c -o $@ $<
`,
};
const fixed = { ...files, "shared.h": files["shared.h"].replace("LIMIT 10", "LIMIT 20") };

interface Trees {
  readonly source: string;
  readonly to: string;
  readonly built: string;
}

function trees(own: Readonly<Record<string, string>> = {}): Trees {
  const folder = newFolder();
  const [source, to, built] = ["source", "fixed", "built"].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  writeFiles(source, { ...files, ...own });
  writeFiles(to, { ...fixed, ...own });
  cpSync(source, built, { recursive: true });
  execFileSync("make", ["-s"], { cwd: built });
  for (const name of ["liblimited.so", "user", "alone"])
    if (existsSync(join(built, name))) execFileSync("strip", [join(built, name)]);
  return { source, to, built };
}

function build({ source, to }: Trees, binaries: Partial<ElfBuildInput>): Promise<{ hotpatch: Hotpatch }> {
  return buildElfHotpatch(
    { source, fix: { to }, command: ["make"], binaries: [], shortLived: [], ...binaries },
    { cwd: source, env: process.env, advisories: [], sequence: 1, afterApply: [], progress: () => {} },
  );
}

function parts(hotpatch: Hotpatch): string[] {
  const { binaries } = elfChangeOf(hotpatch.manifest);
  return binaries
    .map(
      ({ name, functions }) =>
        `${name}: ${functions
          .map((one) => one.name)
          .sort()
          .join(" ")}`,
    )
    .sort();
}

describe("several binaries", () => {
  test("of one package each get what they hold of a fix in a header, whether by linking or by inlining", async () => {
    const made = trees();
    const paths = ["alone", "liblimited.so", "user"].map((name) => join(made.built, name));
    const expected = ["alone: limited own", "liblimited.so: limited", "user: own"];
    assert.deepEqual(parts((await build(made, { binaries: paths })).hotpatch), expected);
    assert.deepEqual(parts((await build(made, { installed: paths })).hotpatch), expected);
  });

  test("objects that the build joins into one are no binary, and their sources are those of what is linked from it", async () => {
    const joined = files.Makefile.replace(/^all: .*/, "all: alone").replaceAll("parts.a", "parts.o");
    const makefile = joined.replace("ar rcs $@ $^", "gcc -nostdlib -r -o $@ $^");
    const made = trees({ Makefile: makefile });
    const notUsed = files["limited.c"].replace("clamp(x) * 3", "x");
    assert.deepEqual(parts((await build(made, {})).hotpatch), ["alone: limited own"]);
    // What runs was built from another source: half of the fix would reach it.
    writeFiles(made.built, { "limited.c": notUsed });
    execFileSync("make", ["-s"], { cwd: made.built });
    await assert.rejects(build(made, { binaries: [join(made.built, "alone")] }), /limited\.c.*half a fix/);
  });

  test("one that was not linked from a changed source is passed over, though it has pieces that look the same", async () => {
    const made = trees();
    const same = (name: string): string =>
      `__attribute__((noinline)) int ${name}(int x) { return (x * 1234567) ^ (x >> 3); }\n`;
    const makefile = files.Makefile.replace("all: ", "all: lookalike changed ").concat(
      "lookalike: one.o two.o use.o\n\tgcc -o $@ $^\nchanged: third.o\n\tgcc -o $@ $^\n",
    );
    const third = `${same("third")}int main(int count, char **words) { (void)words; return third(count); }\n`;
    const sources = {
      "one.c": same("one"),
      "two.c": same("two"),
      "use.c":
        "int one(int), two(int);\nint main(int count, char **words) { (void)words; return one(count) + two(count); }\n",
      "third.c": third,
      Makefile: makefile,
    };
    writeFiles(made.source, sources);
    writeFiles(made.to, { ...files, ...sources, "third.c": third.replace("x >> 3", "x >> 4") });
    const { hotpatch } = await build(made, {});
    assert.deepEqual(parts(hotpatch), ["changed: third"]);
    const { notices } = elfChangeOf(hotpatch.manifest);
    assert.ok(
      notices.every((notice) => !notice.includes("lookalike")),
      notices.join("\n"),
    );
  });

  for (const program of ["user", "alone"])
    test(`in a process of ${program}, those that it runs switch together, and come back together`, async () => {
      const made = trees();
      const { hotpatch } = await build(made, {
        installed: ["alone", "liblimited.so", "user"].map((name) => join(made.built, name)),
      });
      const target = spawn(join(made.built, program), { stdio: ["pipe", "pipe", "inherit"] });
      const lines = createInterface(target.stdout)[Symbol.asyncIterator]();
      const ask = async (): Promise<string> => {
        target.stdin.write("100\n");
        return String((await lines.next()).value);
      };
      try {
        const pid = target.pid as number;
        assert.equal(await ask(), "30 11");
        await apply(pid, hotpatch);
        assert.equal(await ask(), "60 21");
        assert.equal((await engineFor().verify(referenceOf(pid), hotpatch)).state, "in-place");
        await revert(pid, hotpatch);
        assert.equal(await ask(), "30 11");
      } finally {
        target.kill("SIGKILL");
        await once(target, "exit");
      }
    });

  test("one that holds the fix and was built in another way is named; asked for by name, it is a refusal", async () => {
    const made = trees();
    execFileSync("gcc", ["-O1", "-o", "alone", "user.c", "limited.c"], { cwd: made.built });
    const [alone = "", library = "", user = ""] = ["alone", "liblimited.so", "user"].map((name) =>
      join(made.built, name),
    );
    const { hotpatch } = await build(made, { installed: [alone, library, user] });
    assert.deepEqual(parts(hotpatch), ["liblimited.so: limited", "user: own"]);
    const { notices } = elfChangeOf(hotpatch.manifest);
    assert.match(
      notices.join("\n"),
      /alone holds limited\.c, user\.c and is not patched; processes that run it keep the old code/,
    );
    await assert.rejects(build(made, { binaries: [alone] }), (error: unknown) => {
      assert.ok(error instanceof RefusalError);
      assert.equal(error.refusals[0]?.code, "build/not-matched");
      return true;
    });
  });

  test("among which some have nothing of the fix are passed over in silence", async () => {
    const made = trees();
    const { hotpatch } = await build(made, { installed: ["/usr/bin/true", join(made.built, "user")] });
    assert.deepEqual(parts(hotpatch), ["user: own"]);
    assert.deepEqual(elfChangeOf(hotpatch.manifest).notices, []);
  });
});

test("members of archives are read, with long names and in thin ones", () => {
  const folder = newFolder();
  const long = "a-name-that-is-longer-than-its-field.o";
  writeFiles(folder, { "short.o": "1", [long]: "22" });
  execFileSync("ar", ["qcS", "plain.a", "short.o", long], { cwd: folder, stdio: "ignore" });
  execFileSync("ar", ["qcST", "thin.a", "short.o", long], { cwd: folder, stdio: "ignore" });
  for (const name of ["plain.a", "thin.a"]) assert.deepEqual(archiveMembers(join(folder, name)), ["short.o", long]);
});
