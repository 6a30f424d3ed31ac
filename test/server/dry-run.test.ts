/** Dry runs: what a change would do is told as it would happen, and nothing of it is there afterwards. */
import assert from "node:assert/strict";
import path from "node:path";
import { test } from "node:test";
import { commands } from "../../src/cli/commands.ts";
import { catalogAddress } from "../../src/repository/client/catalog-client.ts";
import { runProgram } from "../cli/run-program.ts";
import { openShop } from "../repository/support/shop.ts";
import { signInAs } from "./support/people.ts";
import { type Ask, openServer } from "./support/running-server.ts";

const main = path.resolve(import.meta.dirname, "../../src/cli/main.ts");
const dry = (ask: Ask): Ask => ({ ...ask, headers: { ...ask.headers, "dry-run": "?1" } });

test("an approval is tried out: the offers that would follow are told, and neither they nor anything else is there", async (t) => {
  const shop = openShop(t);
  await shop.init();
  await shop.publish("one");
  const address = catalogAddress(shop.repository.publicFolder, shop.folder);
  const firstRoot = path.join(shop.repository.metadataFolder, "1.root.json");
  const server = await openServer(t, { catalog: { address, firstRoot }, repeat: () => () => undefined });
  const admin = await server.signIn();
  const machine = await server.enrol("web-1");
  const told = async () => {
    const { items } = (await admin("/v1/events?after=0&limit=200")).body as { items: { kind: string }[] };
    return items.filter(({ kind }) => ["approval-made", "action-offered"].includes(kind)).length;
  };
  const approve: Ask = { method: "POST", body: { hotpatchId: "one", groupId: "all", reason: "CVE-2026-1" } };
  const keyed: Ask = { ...approve, headers: { "idempotency-key": '"k"' } };
  const { status, headers, body } = await admin("/v1/approvals", dry(keyed));
  assert.deepEqual(
    [status, headers["dry-run"], headers["content-type"]],
    [200, "?1", "application/vnd.rebootless.dry-run+json"],
  );
  assert.equal(body.answer.hotpatchId, "one");
  assert.deepEqual(
    body.events.map(({ kind, data }: { kind: string; data: { deviceId?: string } }) => [kind, data.deviceId]),
    [
      ["approval-made", undefined],
      ["action-offered", machine.id],
    ],
  );
  assert.equal(body.eventCount, 2);
  assert.equal(await told(), 0, "nothing was recorded");
  assert.deepEqual((await admin("/v1/approvals")).body.items, []);
  assert.deepEqual((await machine.poll()).actions, [], "the device was offered nothing");
  const unknown = await admin(
    "/v1/approvals",
    dry({ method: "POST", body: { ...(approve.body as object), hotpatchId: "two" } }),
  );
  assert.deepEqual(
    [unknown.status, unknown.body.code],
    [404, "catalog/hotpatch-unknown"],
    "it is refused as it would be",
  );
  const made = await admin("/v1/approvals", keyed);
  assert.deepEqual([made.status, made.headers["idempotency-replayed"]], [201, undefined], "the key is still free");
  assert.equal((await machine.poll()).actions.length, 1);
  const both = ["operator", "approver", "administrator"] as const;
  const anna = await signInAs(
    server,
    "anna",
    both.map((role) => ({ role, groupId: "all" })),
  );
  const guarded = await anna("/v1/four-eyes/group/all", { method: "PUT", body: { reason: "production" } });
  assert.equal(guarded.status, 200, guarded.text);
  const waiting = await anna(
    "/v1/approvals",
    dry({ method: "POST", body: { ...(approve.body as object), action: "removal" } }),
  );
  assert.deepEqual([waiting.status, waiting.body.code], [409, "approval/waiting"]);
  assert.deepEqual((await anna("/v1/approval-requests")).body.items, [], "nobody is asked to confirm a dry run");
  assert.deepEqual(server.logged, []);
});

test("a dry run keeps to the rules of what it tries", async (t) => {
  const server = await openServer(t, { repeat: () => () => undefined });
  const admin = await server.signIn();
  const anna = await signInAs(server, "anna", [{ role: "operator", groupId: "all" }]);
  const make = (id: string): Ask => ({ method: "POST", body: { id } });
  assert.equal((await anna("/v1/people", dry({ method: "POST", body: { name: "eve" } }))).status, 403, "roles count");
  await admin("/v1/groups", make("prod"));
  await server.enrol("m", { groupId: "prod" });
  assert.equal((await admin("/v1/groups", dry(make("prod")))).body.code, "group/exists");
  const changed = await admin(
    "/v1/groups/prod",
    dry({ method: "PATCH", body: { title: "x" }, headers: { "if-match": '"old"' } }),
  );
  assert.equal(changed.body.code, "request/changed-meanwhile");
  const bad = await admin("/v1/groups", { ...make("b"), headers: { "dry-run": "yes" } });
  assert.deepEqual([bad.status, bad.body.code], [400, "request/invalid"], "and what is misspelt is not done");
  assert.equal((await admin("/v1/groups/b")).status, 404);
  assert.equal(
    (await admin("/v1/groups/prod", { headers: { "dry-run": "?1" } })).body.id,
    "prod",
    "to read is no change",
  );
  const test = await admin("/v1/webhooks/00000000-0000-4000-8000-000000000000/test", dry({ method: "POST" }));
  assert.deepEqual([test.status, test.body.code], [400, "request/invalid"], "a message cannot be called back");
  assert.deepEqual(server.logged, []);
});

test("to try out a role of one's own leaves the session as it is", async (t) => {
  const server = await openServer(t);
  const anna = await signInAs(server, "anna", [{ role: "administrator", groupId: "all" }]);
  const [me] = (await anna("/v1/people")).body.items;
  const tried = await anna(`/v1/people/${me.id}/grants/auditor/all`, dry({ method: "PUT" }));
  assert.deepEqual([tried.status, tried.headers["set-cookie"]], [200, undefined], tried.text);
  assert.equal((await anna("/v1/people")).status, 200);
});

test("each command that changes something on a server can be tried out, and says what would happen", async (t) => {
  const server = await openServer(t);
  const env = { REBOOTLESS_STATE: path.join(server.folder, "state") };
  const say = async (...words: string[]) => await runProgram([main, ...words], { env, cwd: server.folder });
  const tried = await say("group", "create", "web", "--dry-run");
  assert.deepEqual([tried.code, tried.error], [0, ""]);
  assert.match(tried.out, /^It would:\n {2}group-made {2}group:web.*\nNothing was changed\.\n$/);
  const { out, code } = await say("group", "show", "web");
  assert.deepEqual([code, out], [1, ""]);
  const json = JSON.parse((await say("group", "create", "web", "--dry-run", "--json")).out);
  assert.deepEqual([json.dryRun, json.eventCount, json.events[0].kind], [true, 1, "group-made"]);
  const reading =
    /^([\w-]+ )*(list|show|search|facts|state|why|preview|history|download|windows|device|calendar|compatibility|requests|declined|deliveries|verify|export|events)$/;
  const sending = new Set(["webhook test"]);
  const without = commands
    .filter(({ options = [] }) => options.some(({ flags }) => flags.startsWith("--server ")))
    .filter(({ options = [] }) => !options.some(({ flags }) => flags === "--dry-run"))
    .map(({ name }) => name)
    .filter((name) => !reading.test(name) && !sending.has(name) && !name.startsWith("agent "));
  assert.deepEqual(without, []);
});
