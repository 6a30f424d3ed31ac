import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { describe, test } from "node:test";
import { RebootlessError } from "../../src/base/errors.ts";
import { withLock } from "../../src/repository/folder-lock.ts";
import { checkout, runProgram } from "../cli/run-program.ts";
import { ids, openShop } from "./support/shop.ts";

const holder = `
  import { withLock } from "${checkout}/src/repository/folder-lock.ts";
  await withLock(process.argv[1], { waitMs: 0 }, async () => { console.log("held"); await new Promise((r) => setTimeout(r, 60_000)); });`;

describe("one at a time", () => {
  test("another process is kept out until the holder is dead, and nothing is to be cleared up then", async (t) => {
    const shop = openShop(t);
    await shop.init();
    const file = shop.repository.lockFile;
    const child = spawn(process.execPath, ["--input-type=module", "-e", holder, file], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    t.after(() => child.kill("SIGKILL"));
    await once(child.stdout, "data");
    await assert.rejects(
      withLock(file, { waitMs: 100 }, async () => assert.fail("two at once")),
      (error) => error instanceof RebootlessError && error.code === "repository/busy",
    );
    const waiting = withLock(file, { waitMs: 30_000 }, async () => "in");
    child.kill("SIGKILL");
    await once(child, "exit");
    assert.equal(await waiting, "in");
    assert.equal(await withLock(file, { waitMs: 0 }, async () => "again"), "again");
  });

  test("publishes, renewals and clients at once end in one catalog", async (t) => {
    const shop = openShop(t);
    await shop.init();
    await shop.add("fix-1");
    const main = path.join(checkout, "src", "cli", "main.ts");
    const repo = ["--repo", shop.repository.folder];
    const commands = [
      ["repo", "publish", ...repo, "--keys", shop.keys],
      ["repo", "renew", ...repo],
      ["repo", "renew", "targets", ...repo, "--keys", shop.keys],
      ["repo", "publish", ...repo, "--keys", shop.keys],
    ];
    const ended = await Promise.all([
      ...commands.map((words) => runProgram([main, ...words])),
      ...[1, 2, 3].map(async () => {
        await shop.client("one").refresh();
        return undefined;
      }),
    ]);
    for (const one of ended) if (one !== undefined) assert.equal(one.code, 0, one.error);
    assert.deepEqual(ids(await shop.client("one").hotpatches()), ["fix-1"]);
    const { timestamp } = await shop.client("one").refresh();
    assert.equal(timestamp, 4);
  });
});
