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
    /^NAME +STATE +LAST SEEN +GROUPS +TAGS +ID\nweb-1 +enrolled +never +all +[0-9a-f-]{36}\n$/,
  );
  assert.match(await done("group create web --title Web"), /^Made: web\.\n$/);
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

test("devices and groups by hand", { timeout: 300_000 }, async (t) => {
  const server = await openServer(t);
  const env = { REBOOTLESS_STATE: path.join(server.folder, "state") };
  const say = async (...words: string[]) => await runProgram([main, ...words], { env, cwd: server.folder });
  const done = async (...words: string[]) => {
    const { code, out, error } = await say(...words);
    assert.deepEqual([code, error], [0, ""], words.join(" "));
    return out;
  };
  const machine = await server.enrol("web-1");
  await server.enrol("db-1");
  const changes = { "os.id": "debian", packages: { openssl: "3.0.17", zlib: "1" } };
  await machine.ask("/v1/agent/facts", { method: "PATCH", body: { base: 0, changes } });
  assert.match(
    await done("group", "preview", 'os.id == "debian"'),
    /^Of 2 devices, 1 match\.\n1 device left open.*\n {2}1 lack os\.id\nAmong them web-1\.\n$/,
  );
  assert.match(
    await done("group", "create", "debian", "--filter", 'os.id == "debian"'),
    /^Made: debian\. It has 1 device\.\n$/,
  );
  await done("group", "create", "below", "--parent", "debian", "--filter", '"prod" in tags');
  assert.match(
    await done("device", "tag", "db-1", "--add", "prod"),
    /^db-1 has prod; it is in all, below, debian\.\n$/,
  );
  assert.match(await done("group", "list"), /\n {2}debian +2 +dynamic +os\.id == "debian"\n {4}below +1 +dynamic/);
  assert.match(
    await done("device", "show", "db-1"),
    /\nin debian: in below below it; its filter is open: the device does not tell os\.id\n/,
  );
  assert.match(await done("group", "exclude", "debian", "--device", "web-1"), /devices: 1\n.*\nexcepted devices: 1\n$/);
  assert.match(await done("group", "exclude", "debian", "--device", "web-1", "--undo"), /devices: 2\n/);
  assert.match(await done("group", "update", "debian", "--title", "Debian"), /^debian: Debian\n/);
  assert.match(await done("group", "show", "below"), /below: debian\n/);
  for (const id of ["test", "live"]) await done("group", "create", id);
  await done("group", "add", "test", "web-1");
  assert.match(await done("device", "move", "web-1", "--from", "test", "--to", "live"), /is in all, debian, live\.\n$/);
  const names = async (...words: string[]) =>
    JSON.parse(await done(...words, "--json")).devices.map(({ name }: { name: string }) => name);
  assert.deepEqual(await names("device", "search", "--filter", 'packages["openssl"].olderThan("3.0.18")'), ["web-1"]);
  assert.deepEqual(await names("device", "search", "PROD"), ["db-1"]);
  assert.deepEqual(await names("device", "list", "--sort", "-name", "--limit", "1"), ["web-1"]);
  assert.match(await done("device", "facts", "web-1"), /packages +\S+Z +2 entries\n/);
  assert.match(await done("device", "facts", "web-1", "--name", "packages"), /packages +\S+Z +zlib 1\n/);
  assert.match(await done("device", "facts"), /\ntpm\.version +text +/);
  const wrong = await say("group", "create", "wrong", "--filter", 'true && oss.id == "x"');
  assert.equal(wrong.code, 1);
  assert.match(wrong.error, /^error: At character 9, "oss": there is no `oss`; did you mean os\?/);
  assert.equal((await say("device", "tag", "web-1")).code, 2);
  assert.equal((await say("group", "exclude", "debian")).code, 2);
});

test("approvals, declined updates and rules by hand", { timeout: 300_000 }, async (t) => {
  const shop = openShop(t);
  await shop.init();
  await shop.publish("one");
  const address = catalogAddress(shop.repository.publicFolder, shop.folder);
  const firstRoot = path.join(shop.repository.metadataFolder, "1.root.json");
  const server = await openServer(t, { catalog: { address, firstRoot } });
  const env = { REBOOTLESS_STATE: path.join(server.folder, "state") };
  const say = async (...words: string[]) => await runProgram([main, "approval", ...words], { env, cwd: server.folder });
  const done = async (...words: string[]) => {
    const { code, out, error } = await say(...words);
    assert.deepEqual([code, error], [0, ""], words.join(" "));
    return out;
  };
  const ids = /[0-9a-f]{8}-[0-9a-f-]{27}/;
  assert.match(await done("add", "one", "--action", "removal"), /^Approved for removal for all: one \(/);
  assert.match(await done("add", "one", "--deadline", "2026-05-01T06:00:00+02:00"), /^Approved for all: one \(/);
  assert.match(await done("list"), /^HOTPATCH .*\none +all +install +2026-05-01T04:00:00\.000Z +\S+ +local +\S+\n$/);
  for (const wrong of [
    ["--action", "maybe"],
    ["--deadline", "2026-05-01T06:00:00"],
  ]) {
    assert.equal((await say("add", "one", ...wrong)).code, 2, wrong.join(" "));
  }
  assert.equal((await say("add", "one", "--deadline", "2026-05-01T04:00:00Z")).code, 3, "decided already");
  assert.match(await done("decline", "one", "--reason", "breaks billing"), /^Declined: one\.\n$/);
  assert.match(await done("declined"), /\none +\S+ +local +breaks billing\n$/);
  assert.match(await done("decline", "one", "--undo"), /^Declined no longer: one\.\n$/);
  assert.match(await done("settings", "--superseded", "when-newer-approved"), /: when-newer-approved\n$/);
  const made = await done(
    "rule",
    "add",
    "all npm",
    "--product",
    "npm/*",
    "--severity",
    "high",
    "--severity",
    "critical",
  );
  const rule = ids.exec(made)?.[0] ?? "";
  assert.match(await done("rule", "list"), /\nall npm +on +all +high,critical +npm\/\* /);
  assert.match(await done("rule", "run", rule, "--dry-run"), /^Fits: /);
  assert.match(await done("rule", "switch", rule, "off"), /^all npm is off\.\n$/);
  assert.match(await done("rule", "remove", rule), /^Removed: /);
  const approval = ids.exec(await done("list", "--json"))?.[0] ?? "";
  assert.match(await done("remove", approval), /^Removed: /);
  assert.equal(await done("list"), "Nothing is approved.\n");
});
