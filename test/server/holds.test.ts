/** Safeguard holds and known issues: who is kept off at once and later, what stays, and what ends it. */
import assert from "node:assert/strict";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { catalogAddress } from "../../src/repository/client/catalog-client.ts";
import { runProgram } from "../cli/run-program.ts";
import { openShop } from "../repository/support/shop.ts";
import { type Machine, openServer } from "./support/running-server.ts";

const main = path.resolve(import.meta.dirname, "../../src/cli/main.ts");

async function openFleet(t: TestContext) {
  const shop = openShop(t);
  await shop.init();
  await shop.publish("one", "two");
  const address = catalogAddress(shop.repository.publicFolder, shop.folder);
  const server = await openServer(t, {
    catalog: { address, firstRoot: path.join(shop.repository.metadataFolder, "1.root.json") },
  });
  const admin = await server.signIn();
  const post = async (where: string, body: unknown, method = "POST") => await admin(where, { method, body });
  const tell = async (machine: Machine, base: number, changes: Record<string, unknown>) =>
    assert.equal((await machine.ask("/v1/agent/facts", { method: "PATCH", body: { base, changes } })).status, 200);
  const why = async (machine: Machine) => (await admin(`/v1/devices/${machine.id}/states`)).body.items[0];
  const states = async (...machines: Machine[]) => {
    const found: string[] = [];
    for (const machine of machines) found.push((await why(machine)).state);
    return found;
  };
  return { server, admin, post, tell, why, states };
}

const zfs = '"zfs" in packages';
const untilInPlace = [
  ...["fetch-started", "fetch-done", "plan-done", "apply-started", "apply-done", "verify-started", "verify-done"],
];

test("a hold acts at once and later, and what is in place stays and says so", { timeout: 90_000 }, async (t) => {
  const { server, admin, post, tell, why, states } = await openFleet(t);
  const machines = [await server.enrol("with"), await server.enrol("without"), await server.enrol("silent")] as const;
  const [affected, other, silent] = machines;
  const done = await server.enrol("done");
  for (const machine of [affected, done]) await tell(machine, 0, { packages: { zfs: "2.1" } });
  await tell(other, 0, { packages: { bash: "5" } });
  await post("/v1/approvals", { hotpatchId: "one", groupId: "all" });
  const [action] = (await done.poll()).actions;
  assert.ok(action);
  for (const event of untilInPlace) await done.report(action, event);

  const made = await post("/v1/holds", { hotpatchIds: ["one"], filter: zfs, reason: "Slow start with ZFS." });
  assert.equal(made.status, 201, made.text);
  const { id } = made.body;
  assert.deepEqual(await states(...machines, done), ["onHold", "offered", "onHold", "verified"]);
  assert.deepEqual((await affected.poll()).actions, [], "what was offered is withdrawn");
  assert.equal(made.body.devices, 2);
  const explained = await why(affected);
  assert.deepEqual([explained.code, explained.blocks[0].subject], ["hold/safeguard", id]);
  assert.match(explained.reason, /Slow start with ZFS\./);
  assert.match(explained.helps, new RegExp(`hold release ${id}`));
  assert.match((await why(silent)).reason, /does not tell packages/);
  assert.match((await why(done)).heldInPlace[0].reason, /It is in place, and stays\./);
  const asked = await post(
    `/v1/actions/${(await admin(`/v1/actions?deviceId=${affected.id}`)).body.items[0].id}/requests`,
    {
      event: "offer",
    },
  );
  assert.deepEqual([asked.status, asked.body.code], [409, "action/blocked"], "nor does a person pass it");

  const late = await server.enrol("late");
  await tell(late, 0, { packages: { zfs: "2.2" } });
  assert.deepEqual(await states(late), ["onHold"]);
  await tell(late, 1, { packages: { bash: "5" } });
  assert.deepEqual(await states(late), ["offered"], "it follows the facts");
  await tell(other, 1, { packages: { zfs: "2.2" } });
  assert.deepEqual(await states(other), ["onHold"]);

  const counts = (await admin("/v1/device-state-counts")).body.items[0].states;
  assert.deepEqual([counts.onHold, counts.offered, counts.verified], [3, 1, 1]);
  assert.equal((await post(`/v1/holds/${id}/release`, { reason: "Not the cause." })).body.state, "released");
  assert.deepEqual(await states(...machines, late, done), ["offered", "offered", "offered", "offered", "verified"]);
  assert.equal((await post(`/v1/holds/${id}/release`, { reason: "Again." })).body.code, "hold/released");
  const kinds = (await admin("/v1/events?limit=200")).body.items.map(({ kind }: { kind: string }) => kind);
  assert.ok(kinds.includes("hold-made") && kinds.includes("hold-released"));
  assert.equal((await post("/v1/holds", { reason: "Nothing." })).body.code, "request/invalid");
  assert.equal(
    (await post("/v1/holds", { products: ["elf/x"], filter: "nope", reason: "r" })).body.code,
    "request/filter",
  );
  assert.deepEqual(server.logged, []);
});

test("an issue has its history, and its holds end with it or let the newer hotpatch pass", {
  timeout: 90_000,
}, async (t) => {
  const { server, admin, post, states, why } = await openFleet(t);
  const machine = await server.enrol("m");
  await post("/v1/approvals", { hotpatchId: "one", groupId: "all" });
  const { product } = await why(machine);
  const issue = await post("/v1/issues", {
    ...{ title: "Slow start", text: "Seen with ZFS.", hotpatchIds: ["one"], originating: "one", why: "Ticket 4711" },
  });
  assert.equal(issue.status, 201, issue.text);
  const issuePath = `/v1/issues/${issue.body.id}`;
  const hold = async (body: Record<string, unknown>) =>
    (await post("/v1/holds", { ...body, reason: "Known issue.", issueId: issue.body.id })).body.id;
  const byName = await hold({ hotpatchIds: ["one"] });
  assert.deepEqual(await states(machine), ["onHold"]);
  server.now += 60_000;
  await post(issuePath, { status: "mitigated", why: "A setting helps." }, "PATCH");
  assert.deepEqual(await states(machine), ["onHold"], "mitigated is not resolved");
  await post(issuePath, { status: "resolved", why: "It was the disk." }, "PATCH");
  assert.deepEqual(await states(machine), ["offered"]);
  const resolved = (await admin(issuePath)).body;
  assert.deepEqual([resolved.status, resolved.holdIds], ["resolved", [byName]]);
  assert.deepEqual(
    resolved.history.map(({ why, changes }: { why: string; changes: { status: string } }) => [why, changes.status]),
    [
      ["Ticket 4711", "investigating"],
      ["A setting helps.", "mitigated"],
      ["It was the disk.", "resolved"],
    ],
  );
  assert.match((await admin(`/v1/holds/${byName}`)).body.releaseReason, /is resolved/);

  await post(issuePath, { status: "confirmed", why: "It is back." }, "PATCH");
  const ofProduct = await hold({ products: [product] });
  await post("/v1/approvals", { hotpatchId: "two", groupId: "all" });
  assert.deepEqual((await machine.poll()).actions, [], "a hold of a product has its newer hotpatches as well");
  await post(issuePath, { resolvedBy: "two", why: "Fixed in two." }, "PATCH");
  const offered = (await machine.poll()).actions.map(({ hotpatchId }) => hotpatchId);
  const sequences = (await admin("/v1/hotpatches")).body.items.map((one: { sequence: number }) => one.sequence);
  assert.deepEqual(offered, sequences[0] === sequences[1] ? ["one", "two"] : ["two"]);
  const kept = (await admin(`/v1/holds/${ofProduct}`)).body;
  assert.deepEqual([kept.state, kept.resolvedBy], ["active", "two"]);
  assert.equal(
    (await post(issuePath, { resolvedBy: "none", why: "x" }, "PATCH")).body.code,
    "catalog/hotpatch-unknown",
  );

  const env = { REBOOTLESS_STATE: path.join(server.folder, "state") };
  const say = async (...words: string[]) => await runProgram([main, ...words], { env });
  assert.match(
    (await say("issue", "show", issue.body.id)).out,
    /status: resolved[\s\S]*came with: one[\s\S]*It is back\./,
  );
  assert.match(
    (await say("hold", "list", "--only", "active")).out,
    new RegExp(`^${ofProduct} +active +${product}`, "m"),
  );
  const created = await say("hold", "create", "--hotpatch", "two", "--reason", "Wait.", "--filter", zfs);
  assert.match(created.out, /^Held: SH\d{8}; kept off 1 devices now\.$/m, created.error);
  const preview = await say("hold", "create", "--hotpatch", "two", "--reason", "r", "--filter", zfs, "--dry-run");
  assert.match(preview.out, /^Of 1 devices 0 would be held\.\n1 do not tell packages/);
  assert.equal((await say("hold", "release", ofProduct)).code, 2, "a release owes its reason");
  assert.deepEqual(server.logged, []);
});
