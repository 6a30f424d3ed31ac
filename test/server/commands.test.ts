/** The commands as a person uses them, against a server of the test. */
import assert from "node:assert/strict";
import path from "node:path";
import { test } from "node:test";
import { catalogAddress } from "../../src/repository/client/catalog-client.ts";
import { runProgram } from "../cli/run-program.ts";
import { openShop } from "../repository/support/shop.ts";
import { openServer } from "./support/running-server.ts";

const main = path.resolve(import.meta.dirname, "../../src/cli/main.ts");

test("a rollout by hand", { timeout: 120_000 }, async (t) => {
  const shop = openShop(t);
  await shop.init();
  await shop.publish("one");
  const address = catalogAddress(shop.repository.publicFolder, shop.folder);
  const firstRoot = path.join(shop.repository.metadataFolder, "1.root.json");
  const server = await openServer(t, { catalog: { address, firstRoot } });
  const env = { REBOOTLESS_STATE: path.join(server.folder, "state") };
  const say = async (line: string) => await runProgram([main, ...line.split(" ")], { env, cwd: server.folder });
  const done = async (line: string) => {
    const { code, out, error } = await say(line);
    assert.deepEqual([code, error], [0, ""], line);
    return out;
  };
  const machine = await server.enrol("web-1");
  assert.match(
    await done("device list"),
    /^NAME +STATE +LAST SEEN +GROUPS +ID\nweb-1 +enrolled +never +all +[0-9a-f-]{36}\n$/,
  );
  assert.match(await done("group make web --title Web"), /^Made: web\.\n$/);
  assert.match(await done(`group add web ${machine.id.slice(0, 8)}`), /^web-1 is in web\.\n$/);
  assert.match(await done("hotpatch list"), /^HOTPATCH .*\none /);
  assert.match(await done("approval add one --group web"), /^Approved for web: one \(/);
  const { actions } = JSON.parse(await done("action list --device web-1 --json"));
  assert.deepEqual(
    actions.map(({ state }: { state: string }) => state),
    ["offered"],
  );
  for (const event of ["fetch-started", "fetch-done", "plan-done", "apply-started", "apply-done"]) {
    await machine.report(actions[0], event);
  }
  assert.match(await done(`action revert ${actions[0].id}`), /is reverting\.\n$/);
  const again = await say(`action revert ${actions[0].id}`);
  assert.equal(again.code, 3);
  assert.match(again.error, /^refused: revert is not possible for an action that is reverting; possible now: /);
  assert.match(
    await done("events --after 1"),
    /action-changed +action:\S+ +.*event=revert from=applied to=reverting\n$/,
  );
  assert.match(await done("device show web-1"), /one +reverting/);
  assert.match(await done("server token --group web"), /^\S{100,}\nWorks once, until /);
  assert.match(await done("device revoke web-1"), /^Revoked: web-1 /);
  const gone = await say("device show nobody --json");
  assert.deepEqual([gone.code, JSON.parse(gone.out).error.code], [1, "request/not-found"]);
});

test("without a server, the command says how to start one", async () => {
  const { code, error } = await runProgram([main, "device", "list", "--state", "/nonexistent"], {});
  assert.equal(code, 1);
  assert.match(error, /No server answers on .*`rebootless server run`/);
});
