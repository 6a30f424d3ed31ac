/** The commands as a person runs them. */
import assert from "node:assert/strict";
import { readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, test } from "node:test";
import { catalogCommands } from "../../src/cli/commands/catalog.ts";
import { repoCommands } from "../../src/cli/commands/repo.ts";
import { completionTable } from "../../src/cli/completion/table.ts";
import { encodeHotpatch } from "../../src/hotpatch/container.ts";
import { loadSigner } from "../../src/hotpatch/key.ts";
import { openDesk } from "../cli/desk.ts";
import { newDesk } from "../hotpatch/support/command.ts";
import { newKey, sampleHotpatch } from "../hotpatch/support/sample.ts";
import { Shop } from "./support/shop.ts";

describe("the whole way of a catalog", () => {
  test("init, add, publish, status, list, get, renew, rotate-key", async (t) => {
    const desk = await openDesk(t);
    const file = path.join(desk.folder, "fix.hotpatch");
    writeFileSync(file, encodeHotpatch(sampleHotpatch(), [await loadSigner(desk.key, undefined)]));
    const repo = ["--repo", "repo"];
    const init = await desk.run(
      "repo",
      "init",
      "repo",
      "--keys",
      "keys",
      "--root-threshold",
      "2",
      "--expires",
      "timestamp=3",
    );
    assert.equal(init.code, 0, init.out);
    assert.equal((await desk.run("repo", "init", "repo", "--keys", "keys")).data.error?.code, "repository/exists");
    assert.match((await desk.say("repo", "add", file, ...repo)).out, /^npm-sample-1\.0\.0-to-1\.0\.1: staged\n$/);
    const published = await desk.say("repo", "publish", ...repo, "--keys", "keys");
    assert.match(
      published.out,
      /^Published hotpatches\/npm-sample.*\nWritten, in this order:\n {2}targets\/[\s\S]*metadata\/timestamp\.json\n$/,
    );
    const status = await desk.say("repo", "status", ...repo);
    assert.equal(status.code, 0, status.out);
    assert.match(status.out, /^root +1 +20.* 2 of 2: [0-9a-f]{16} [0-9a-f]{16}$/m);
    const from = ["--from", "repo/public", "--state", "state"];
    const listed = await desk.say("catalog", "list", ...from, "--root", "repo/public/metadata/1.root.json");
    assert.equal(listed.out, "npm-sample-1.0.0-to-1.0.1  sample 1.0.1  CVE-2026-0001\n");
    const got = await desk.run("catalog", "get", "npm-sample-1.0.0-to-1.0.1", ...from);
    assert.equal(got.code, 0);
    assert.equal((await desk.run("inspect", "npm-sample-1.0.0-to-1.0.1.hotpatch")).code, 0);
    assert.equal(
      (await desk.run("catalog", "get", "other", ...from)).data.refused?.[0]?.code,
      "catalog/hotpatch-unknown",
    );
    assert.equal((await desk.run("repo", "renew", ...repo)).code, 0);
    for (const role of ["root", "targets", "publishers", "snapshot", "timestamp"]) {
      const rotated = await desk.run("repo", "rotate-key", role, ...repo, "--keys", "keys");
      assert.equal(rotated.code, 0, rotated.out);
    }
    assert.equal((await desk.run("catalog", "list", ...from)).code, 0);
  });

  test("status ends with 1, and says what helps, when something will soon expire or has", async (t) => {
    const desk = await openDesk(t);
    const shop = new Shop(desk.folder, t);
    shop.now = new Date(Date.now() - 40 * 86_400_000);
    await shop.init();
    const { code, out } = await desk.say("repo", "status", "--repo", "repo");
    assert.equal(code, 1);
    assert.match(out, /^timestamp .* EXPIRED$/m);
    assert.match(out, /^ATTENTION: snapshot expired on .*; run rebootless repo renew snapshot\.$/m);
    const json = await desk.run("repo", "status", "--repo", "repo");
    assert.equal(json.code, 1);
    assert.equal((json.data.problems as string[]).length, 2);
  });
});

describe("mistakes of a user", () => {
  const desk = newDesk();
  const mallory = newKey();
  writeFileSync(path.join(desk.folder, "unknown.hotpatch"), encodeHotpatch(sampleHotpatch(), [mallory.signer]));
  const rows: readonly [words: readonly string[], code: number, message: RegExp][] = [
    [["repo", "init", "repo"], 2, /--keys FOLDER/],
    [
      ["repo", "init", "repo", "--keys", "k", "--root-threshold", "3", "--root-keys", "2"],
      2,
      /root cannot have a threshold of 3 of 2/,
    ],
    [["repo", "init", "repo", "--keys", "k", "--root-threshold", "two"], 2, /takes a whole number/],
    [["repo", "init", "repo", "--keys", "k", "--expires", "timestamp=never"], 2, /timestamp=3/],
    [["repo", "init", "repo", "--keys", "k", "--expires", "moon=3"], 2, /There is no role "moon"/],
    [["repo", "status"], 1, /is not a repository; name one with --repo/],
    [["repo", "publish", "--keys", "nowhere"], 1, /There are no keys at/],
    [["repo", "add", "absent.hotpatch"], 1, /There is no hotpatch file/],
    [["repo", "rotate-key", "moon"], 2, /There is no role "moon"/],
    [["repo", "renew", "moon"], 2, /There is no role "moon"/],
    [["catalog", "list"], 2, /--from ADDRESS/],
    [["catalog", "list", "--from", "ftp://x/"], 2, /neither an http\(s\) address nor a folder/],
    [["catalog", "list", "--from", ".", "--root", "absent"], 1, /There is no root metadata file/],
  ];
  for (const [words, code, message] of rows) {
    test(`rebootless ${words.join(" ")}`, async (t) => {
      const here = await openDesk(t);
      const ended = await here.say(...words, ...(words[0] === "catalog" ? ["--state", "state"] : []));
      assert.equal(ended.code, code, ended.error);
      assert.match(ended.error, message);
      assert.doesNotMatch(ended.error, /\n {4}at |please report/);
      assert.ok(!readdirSync(here.folder).includes("repo"));
    });
  }

  test("a hotpatch that nobody trusted signed is not staged", async (t) => {
    const here = await openDesk(t);
    await new Shop(here.folder, t).init();
    const add = await here.run("repo", "add", path.join(desk.folder, "unknown.hotpatch"), "--repo", "repo");
    assert.equal(add.code, 3);
    assert.equal(add.data.refused?.[0]?.code, "hotpatch/signer-unknown");
    assert.deepEqual(readdirSync(path.join(here.folder, "repo", "private", "staged")), []);
  });
});

test("every command has examples, and completion knows what its options take", () => {
  const commands = [...repoCommands, ...catalogCommands];
  for (const { name, examples } of commands) assert.ok(examples.length > 0, name);
  const table = completionTable(commands);
  const option = (command: string, flag: string) =>
    table.commands.find(({ name }) => name === command)?.options.find(({ flags }) => flags.includes(flag))?.value;
  assert.deepEqual(option("repo publish", "--keys"), { kind: "file" });
  assert.deepEqual(option("repo status", "--repo"), { kind: "folder" });
  assert.deepEqual(table.commands.find(({ name }) => name === "repo rotate-key")?.arguments, [
    { kind: "words", words: ["root", "targets", "publishers", "snapshot", "timestamp"] },
  ]);
});
