/** Approvals as in WSUS: decisions for groups and below them, removal, declined updates, rules. */
import assert from "node:assert/strict";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { approvalActions } from "../../src/api/schemas/approvals.ts";
import { catalogAddress } from "../../src/repository/client/catalog-client.ts";
import { decisionOfDevice, decisionsOfGroups } from "../../src/server/approvals/decide.ts";
import { openShop } from "../repository/support/shop.ts";
import { fc } from "../support/properties.ts";
import { type Machine, openServer } from "./support/running-server.ts";

async function openFleet(t: TestContext) {
  const shop = openShop(t);
  await shop.init();
  await shop.publish("one", "two");
  const address = catalogAddress(shop.repository.publicFolder, shop.folder);
  const firstRoot = path.join(shop.repository.metadataFolder, "1.root.json");
  const server = await openServer(t, { catalog: { address, firstRoot }, repeat: () => () => undefined });
  const admin = await server.signIn();
  const done = async (method: string, address: string, body?: unknown) => {
    const answer = await admin(address, { method, ...(body === undefined ? {} : { body }) });
    assert.ok(answer.status < 300, `${method} ${address}: ${answer.text}`);
    return answer.body;
  };
  const stateOf = async (machine: Machine, hotpatchId = "one") => {
    const { items } = await done("GET", `/v1/actions?deviceId=${machine.id}&hotpatchId=${hotpatchId}`);
    return items[0]?.state as string | undefined;
  };
  const decide = (groupId: string, action: string, extra = {}) =>
    done("POST", "/v1/approvals", { hotpatchId: "one", groupId, action, ...extra });
  return { shop, server, admin, done, stateOf, decide };
}

const untilVerified = ["fetch-started", "fetch-done", "plan-done", "apply-started", "apply-done", "verify-started"];

async function install(machine: Machine) {
  const [action] = (await machine.poll()).actions;
  assert.ok(action);
  for (const event of [...untilVerified, "verify-done"]) await machine.report(action, event);
  return action;
}

test("the nearest decision counts, from the group or from above; removal takes back, and install comes again", async (t) => {
  const { server, done, stateOf, decide } = await openFleet(t);
  await done("POST", "/v1/groups", { id: "site" });
  await done("POST", "/v1/groups", { id: "web", parentId: "site" });
  await done("POST", "/v1/groups", { id: "beside" });
  const [web, site] = [await server.enrol("web", { groupId: "web" }), await server.enrol("site", { groupId: "site" })];
  await decide("web", "not-approved");
  const all = await decide("all", "install");
  assert.deepEqual([await stateOf(web), await stateOf(site)], [undefined, "offered"]);
  // In a second line of the tree that has it installed: install counts before not approved.
  await done("PUT", `/v1/groups/beside/devices/${web.id}`);
  assert.equal(await stateOf(web), "offered");
  await done("DELETE", `/v1/groups/beside/devices/${web.id}`);
  assert.equal(await stateOf(web), "withdrawn");

  const action = await install(site);
  await decide("site", "removal");
  assert.equal(await stateOf(site), "reverting");
  assert.equal((await site.poll()).actions[0]?.reason, "approved for removal");
  await site.report(action, "revert-done");
  assert.equal(await stateOf(site), "reverted");
  const again = await decide("site", "install");
  assert.equal(await stateOf(site), "offered", "a new decision offers what a decision has taken back");
  await done("DELETE", `/v1/approvals/${again.id}`);
  assert.equal(await stateOf(site), "offered", "as the group above has it");
  await done("DELETE", `/v1/approvals/${all.id}`);
  assert.equal(await stateOf(site), "withdrawn");
});

test("who moves in the tree, and who joins later, has what is decided there", async (t) => {
  const { server, done, stateOf, decide } = await openFleet(t);
  for (const id of ["a", "b"]) await done("POST", "/v1/groups", { id });
  await done("POST", "/v1/groups", { id: "below", parentId: "a" });
  const machine = await server.enrol("m", { groupId: "below" });
  await decide("a", "install");
  assert.equal(await stateOf(machine), "offered");
  await done("PATCH", "/v1/groups/below", { parentId: "b" });
  assert.equal(await stateOf(machine), "withdrawn");
  await done("PATCH", "/v1/groups/below", { parentId: "a" });
  const late = await server.enrol("late", { groupId: "below" });
  assert.deepEqual([await stateOf(machine), await stateOf(late)], ["offered", "offered"]);
  await done("DELETE", "/v1/groups/below");
  assert.deepEqual([await stateOf(machine), await stateOf(late)], ["withdrawn", "withdrawn"]);
});

test("what is declined is offered nowhere, and what is superseded is declined where that is set", async (t) => {
  const { shop, server, done, stateOf, decide } = await openFleet(t);
  const machine = await server.enrol("m");
  await decide("all", "install");
  await done("PUT", "/v1/declined-hotpatches/one", { reason: "breaks billing" });
  assert.equal(await stateOf(machine), "withdrawn");
  const late = await server.enrol("late");
  assert.equal(await stateOf(late), undefined);
  assert.deepEqual(
    (await done("GET", "/v1/declined-hotpatches")).items.map((item: Record<string, unknown>) => item.reason),
    ["breaks billing"],
  );
  await done("DELETE", "/v1/declined-hotpatches/one");
  assert.deepEqual([await stateOf(machine), await stateOf(late)], ["offered", "offered"]);
  await done("PUT", "/v1/approval-settings", { superseded: "when-newer-approved" });
  await done("POST", "/v1/approvals", { hotpatchId: "two", groupId: "all" });
  assert.deepEqual((await done("GET", "/v1/declined-hotpatches")).items, [], "two supersedes nothing");
  await shop.addSuperseding("newer", ["one"]);
  await shop.publish();
  // The server shows a list of the catalog again for two seconds.
  server.now += 3_000;
  await done("POST", "/v1/approvals", { hotpatchId: "newer", groupId: "all" });
  assert.deepEqual([await stateOf(machine), await stateOf(machine, "newer")], ["withdrawn", "offered"]);
  const [declined] = (await done("GET", "/v1/declined-hotpatches")).items;
  assert.deepEqual([declined.source, declined.reason], ["superseded", "superseded by newer, which is approved"]);
});

test("a rule approves what arrives and fits, once, and what was there only when it is run", async (t) => {
  const { shop, server, admin, done, stateOf } = await openFleet(t);
  await done("POST", "/v1/groups", { id: "web" });
  const machine = await server.enrol("m", { groupId: "web" });
  await server.running.tick();
  const wrong = await admin("/v1/approval-rules", {
    method: "POST",
    body: { title: "wrong", groupId: "web", filter: 'update.sevrity == "high"' },
  });
  assert.equal(wrong.status, 400);
  assert.match(wrong.body.detail, /did you mean update\.severity\?/);
  const filter = 'update.kind == "npm" && update.id != "four" && size(update.advisories) > 0';
  const rule = await done("POST", "/v1/approval-rules", { title: "npm", groupId: "web", filter, deadlineDays: 2 });
  await done("POST", "/v1/approval-rules", { title: "never", groupId: "all", products: ["elf/*"] });
  await shop.publish("three", "four");
  server.now += 61_000;
  await server.running.tick();
  assert.deepEqual(await Promise.all(["one", "three", "four"].map((id) => stateOf(machine, id))), [
    ...[undefined, "offered", undefined],
  ]);
  const [approval] = (await done("GET", "/v1/approvals")).items;
  assert.deepEqual([approval.source, approval.sourceId], ["rule", rule.id]);
  assert.equal(approval.deadline, new Date(server.now + 2 * 24 * 60 * 60 * 1000).toISOString());
  await done("DELETE", `/v1/approvals/${approval.id}`);
  server.now += 61_000;
  await server.running.tick();
  assert.equal(await stateOf(machine, "three"), "withdrawn", "what a person took back does not come again");
  const dry = await done("POST", `/v1/approval-rules/${rule.id}/runs`, { dryRun: true });
  assert.deepEqual(dry, { fitting: ["one", "three", "two"], approved: [] });
  assert.equal((await done("POST", `/v1/approval-rules/${rule.id}/runs`, {})).approved.length, 3);
  assert.equal(await stateOf(machine, "two"), "offered");
  assert.deepEqual(server.logged, []);
});

test("for random trees and decisions, the database answers what the rule says", { timeout: 60_000 }, async (t) => {
  const { server, done, stateOf, decide } = await openFleet(t);
  const ids = ["a", "b", "c", "d", "e"];
  for (const id of ids) await done("POST", "/v1/groups", { id });
  const machine = await server.enrol("m");
  const { database } = server.running.context;
  const tree = fc.tuple(...ids.map((_, index) => fc.integer({ min: -1, max: index - 1 })));
  const decided = fc.dictionary(fc.constantFrom("all", ...ids), fc.constantFrom(...approvalActions), { maxKeys: 4 });
  const scene = fc.record({ tree, decided, own: fc.subarray(ids) });
  const check = fc.asyncProperty(scene, async (given) => {
    // Roots first, so that no group ever hangs on itself on the way.
    for (const id of ids) await done("PATCH", `/v1/groups/${id}`, { parentId: "all" });
    for (const [index, parent] of given.tree.entries()) {
      await done("PATCH", `/v1/groups/${ids[index]}`, { parentId: ids[parent] ?? "all" });
    }
    for (const id of ids) {
      await done(given.own.includes(id) ? "PUT" : "DELETE", `/v1/groups/${id}/devices/${machine.id}`);
    }
    for (const { id } of (await done("GET", "/v1/approvals")).items) await done("DELETE", `/v1/approvals/${id}`);
    for (const [groupId, action] of Object.entries(given.decided)) await decide(groupId, action);
    const nodes = await database.selectFrom("groups").select(["id", "parent_id as parentId"]).execute();
    const members = await database.selectFrom("group_members").select("group_id").execute();
    const approvals = Object.entries(given.decided).map(([groupId, action]) => {
      return { groupId, action, deadlineMs: null, source: "person" } as const;
    });
    const groups = new Set(members.map(({ group_id }) => group_id));
    const decision = decisionOfDevice(nodes, groups, decisionsOfGroups(nodes, approvals));
    const state = await stateOf(machine);
    assert.equal(state === "offered", decision?.action === "install", `${state}, and ${decision?.action} by the rule`);
  });
  await fc.assert(check, { numRuns: 12 });
});
