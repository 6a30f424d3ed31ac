import assert from "node:assert/strict";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { apiLimits } from "../../src/api/api-limits.ts";
import { catalogAddress } from "../../src/repository/client/catalog-client.ts";
import { openShop } from "../repository/support/shop.ts";
import { openServer, type TestServer } from "./support/running-server.ts";

type Admin = Awaited<ReturnType<TestServer["signIn"]>>;

async function openFleet(t: TestContext): Promise<{ server: TestServer; admin: Admin }> {
  const shop = openShop(t);
  await shop.init();
  await shop.publish("one", "two");
  const address = catalogAddress(shop.repository.publicFolder, shop.folder);
  const firstRoot = path.join(shop.repository.metadataFolder, "1.root.json");
  const server = await openServer(t, { catalog: { address, firstRoot } });
  return { server, admin: await server.signIn() };
}

async function approve(admin: Admin, hotpatchId: string, groupId = "all") {
  return await admin("/v1/approvals", { method: "POST", body: { hotpatchId, groupId } });
}

const whole = [
  "fetch-started",
  "fetch-done",
  "plan-done",
  "apply-started",
  "apply-done",
  "verify-started",
  "verify-done",
];

test("from approval to verified, and back", { timeout: 60_000 }, async (t) => {
  const { server, admin } = await openFleet(t);
  const machine = await server.enrol("m");
  const listed = await admin("/v1/hotpatches");
  assert.deepEqual(
    listed.body.items.map(({ id }: { id: string }) => id),
    ["one", "two"],
  );
  const { revision } = await machine.poll();
  const waiting = machine.poll(revision, 30_000);
  const approvedAt = performance.now();
  assert.equal((await approve(admin, "one")).status, 201);
  const assigned = await waiting;
  assert.ok(performance.now() - approvedAt < 5_000, "the poll woke at once");
  const [action] = assigned.actions;
  assert.ok(action);
  assert.deepEqual([action.state, action.wanted, action.hotpatchId], ["offered", "applied", "one"]);
  for (const event of whole) assert.equal((await machine.report(action, event)).status, 200, event);
  assert.deepEqual((await machine.poll()).actions, [], "there is nothing left to do");
  const path = `/v1/actions/${action.id}`;
  assert.equal((await admin(path)).body.state, "verified");
  const later = machine.poll((await machine.poll()).revision, 30_000);
  const revert = await admin(`${path}/requests`, { method: "POST", body: { event: "revert" } });
  assert.deepEqual([revert.body.state, revert.body.wanted], ["reverting", "reverted"]);
  assert.equal((await later).actions[0]?.state, "reverting");
  assert.equal((await machine.report(action, "revert-done")).body.state, "reverted");
  const { items } = (await admin("/v1/events?limit=200")).body;
  assert.deepEqual(
    items.map(({ sequence }: { sequence: number }) => sequence),
    items.map((_: unknown, index: number) => index + 1),
    "no gap",
  );
  assert.deepEqual(server.logged, []);
});

test("a report counts once, and another under its key is refused", async (t) => {
  const { server, admin } = await openFleet(t);
  const machine = await server.enrol("m");
  const other = await server.enrol("other");
  await approve(admin, "one");
  const [action] = (await machine.poll()).actions;
  assert.ok(action);
  const key = "k".repeat(20);
  // Those of the action alone, since the scheduler has events of its own meanwhile.
  const told = async () => {
    const { items } = (await admin("/v1/events?limit=200")).body;
    return items.filter(({ subject }: { subject: string }) => subject === `action:${action.id}`).length;
  };
  const before = await told();
  for (let count = 0; count < 3; count++) {
    assert.equal((await machine.report(action, "fetch-started", { key })).body.state, "fetching");
  }
  assert.equal(await told(), before + 1);
  const reused = await machine.report(action, "fetch-done", { key });
  assert.deepEqual([reused.status, reused.body.code], [409, "report/key-reused"]);
  const impossible = await machine.report(action, "verify-done");
  assert.deepEqual([impossible.status, impossible.body.code], [409, "action/transition"]);
  assert.equal((await other.report(action, "fail")).status, 404, "an action of another device");
});

test("reports that come together are each taken or declined, and count once", async (t) => {
  const { server, admin } = await openFleet(t);
  const machine = await server.enrol("m");
  const other = await server.enrol("other");
  await approve(admin, "one");
  const [action] = (await machine.poll()).actions;
  const [foreign] = (await other.poll()).actions;
  assert.ok(action && foreign);
  const told = (event: string, actionId = action.id) => ({ key: `${event}-${"0".repeat(16)}`, actionId, event });
  const tell = async (reports: unknown[]) =>
    await machine.ask("/v1/agent/report-batches", { method: "POST", body: { reports } });
  const outcomes = (answer: Awaited<ReturnType<typeof tell>>) =>
    answer.body.answers.map((one: { declined?: string }) => one.declined ?? "taken");

  const reports = [
    told("fetch-started"),
    told("fetch-done"),
    told("verify-done"),
    told("fail", foreign.id),
    { ...told("plan-done"), key: told("fetch-done").key },
    told("plan-done"),
  ];
  const expected = ["taken", "taken", "action/transition", "request/not-found", "report/key-reused", "taken"];
  const first = await tell(reports);
  assert.deepEqual([first.status, ...outcomes(first)], [200, ...expected]);
  assert.equal((await admin(`/v1/actions/${action.id}`)).body.state, "planned");
  assert.equal((await admin(`/v1/actions/${foreign.id}`)).body.state, "offered");
  const events = async () => (await admin("/v1/events?limit=200")).body.items;
  const before = await events();
  const changed = before.filter(({ kind }: { kind: string }) => kind === "action-changed");
  assert.deepEqual(
    changed.map(({ data }: { data: { from: string; to: string } }) => `${data.from} ${data.to}`),
    ["offered fetching", "fetching fetched", "fetched planned"],
    "each step has an event of its own",
  );

  // As if the answer had been lost: what was taken is known, and nothing happens twice.
  assert.deepEqual(outcomes(await tell(reports)), expected);
  assert.equal((await machine.report(action, "fetch-started", { key: told("fetch-started").key })).status, 200);
  assert.equal((await events()).length, before.length);

  const tooMany = Array.from({ length: apiLimits.reportsAtOnce + 1 }, (_, index) => ({
    ...told("fail"),
    key: `${"k".repeat(20)}${index}`,
  }));
  assert.deepEqual([(await tell(tooMany)).status, (await tell([])).status], [400, 400]);
  assert.equal((await admin(`/v1/actions/${action.id}`)).body.state, "planned");
});

test("a server that starts again knows devices, sessions, work and reports", async (t) => {
  const { server, admin } = await openFleet(t);
  const machine = await server.enrol("m");
  await approve(admin, "one");
  const before = await machine.poll();
  const [action] = before.actions;
  assert.ok(action);
  const key = "k".repeat(20);
  assert.equal((await machine.report(action, "fetch-started", { key })).status, 200);
  await server.stop();
  await assert.rejects(async () => await machine.poll());
  await server.start();
  const after = await machine.poll();
  assert.deepEqual([after.revision, after.actions[0]?.state], [before.revision, "fetching"]);
  // As if the first acknowledgement had been lost.
  assert.equal((await machine.report(action, "fetch-started", { key })).status, 200);
  const { items } = (await admin("/v1/events?limit=200")).body;
  const changes = items.filter(({ kind }: { kind: string }) => kind === "action-changed");
  assert.equal(changes.length, 1);
  assert.deepEqual(server.logged, []);
});

test("what has not begun is withdrawn with its approval; what is in place stays", async (t) => {
  const { server, admin } = await openFleet(t);
  const [early, late] = [await server.enrol("early"), await server.enrol("late")];
  const { body: approval } = await approve(admin, "one");
  assert.equal((await approve(admin, "one")).body.code, "approval/exists");
  assert.equal((await approve(admin, "unheard-of")).body.code, "catalog/hotpatch-unknown");
  assert.equal((await approve(admin, "one", "nobody")).body.code, "request/not-found");
  const [begun] = (await late.poll()).actions;
  const [offered] = (await early.poll()).actions;
  assert.ok(begun && offered);
  for (const event of whole) await late.report(begun, event);
  assert.equal((await admin(`/v1/approvals/${approval.id}`, { method: "DELETE" })).status, 204);
  assert.deepEqual((await early.poll()).actions, []);
  const states = (await admin("/v1/actions")).body.items.map(({ state }: { state: string }) => state);
  assert.deepEqual(states.toSorted(), ["verified", "withdrawn"]);
  // Its agent had gone on while the word did not reach it.
  assert.equal((await early.report(offered, "apply-done")).body.state, "reverting");
  assert.equal((await early.poll()).actions[0]?.wanted, "reverted");
});

test("one device does not take the places of the others, and whoever goes away leaves his", async (t) => {
  const { server, admin } = await openFleet(t);
  const [greedy, modest] = [await server.enrol("greedy"), await server.enrol("modest")];
  const { revision } = await greedy.poll();
  const { signals } = server.running.context;
  const polls = Array.from({ length: apiLimits.waitingPerDevice }, () => greedy.poll(revision, 30_000));
  while (signals.countOf(greedy.id) < polls.length) await new Promise((resolve) => setImmediate(resolve));
  const refused = await greedy.ask(`/v1/agent/actions?after=${revision}&waitMs=1000`);
  assert.deepEqual([refused.status, refused.body.code], [503, "server/busy"]);
  assert.equal((await modest.poll((await modest.poll()).revision, 50)).actions.length, 0);
  await approve(admin, "one");
  for (const { actions } of await Promise.all(polls)) assert.equal(actions.length, 1);
  const last = greedy.poll((await greedy.poll()).revision, 30_000);
  // Answered or cut off, as it comes.
  const ended = Promise.allSettled([last]);
  while (signals.count === 0) await new Promise((resolve) => setImmediate(resolve));
  const stoppedAt = performance.now();
  await server.stop();
  await ended;
  assert.ok(performance.now() - stoppedAt < 10_000, "a server that ends waits for no poll");
  assert.equal(signals.count, 0);
});

test("groups: who joins is offered what is approved, who leaves keeps what another group approves", async (t) => {
  const { server, admin } = await openFleet(t);
  for (const id of ["web", "test"])
    assert.equal((await admin("/v1/groups", { method: "POST", body: { id } })).status, 201);
  await approve(admin, "one", "web");
  await approve(admin, "two", "web");
  await approve(admin, "two", "test");
  const machine = await server.enrol("m", { groupId: "web" });
  const hotpatches = async () => (await machine.poll()).actions.map(({ hotpatchId }) => hotpatchId).toSorted();
  assert.deepEqual(await hotpatches(), ["one", "two"]);
  const member = (group: string, method: string) => admin(`/v1/groups/${group}/devices/${machine.id}`, { method });
  assert.equal((await member("test", "PUT")).status, 204);
  assert.equal((await member("web", "DELETE")).status, 204);
  assert.deepEqual(await hotpatches(), ["two"]);
  assert.equal((await admin("/v1/groups/test", { method: "DELETE" })).status, 204);
  assert.deepEqual(await hotpatches(), []);
  assert.equal((await member("web", "PUT")).status, 204);
  assert.deepEqual(await hotpatches(), ["one", "two"], "what was withdrawn is offered again");
  assert.equal((await admin("/v1/groups/all", { method: "DELETE" })).body.code, "group/permanent");
  assert.equal(
    (await admin(`/v1/groups/all/devices/${machine.id}`, { method: "DELETE" })).body.code,
    "group/permanent",
  );
  const { body } = await admin(`/v1/devices/${machine.id}`);
  assert.deepEqual(body.groups, ["all", "web"]);
});

test("facts travel as differences", async (t) => {
  const { server, admin } = await openFleet(t);
  const machine = await server.enrol("m");
  const send = (base: number, changes: Record<string, unknown>) =>
    machine.ask("/v1/agent/facts", { method: "PATCH", body: { base, changes } });
  const first = new Date(server.now).toISOString();
  assert.equal((await send(0, { "os.id": "debian", cpus: 4, packages: ["a", "b"] })).body.revision, 1);
  server.now += 1000;
  assert.equal((await send(1, { cpus: 8, packages: null })).body.revision, 2);
  const stale = await send(1, { cpus: 2 });
  assert.deepEqual([stale.status, stale.body.code, stale.body.details.revision], [409, "facts/revision-stale", 2]);
  const facts = () => admin(`/v1/devices/${machine.id}/facts`);
  const changedAt = { cpus: new Date(server.now).toISOString(), "os.id": first };
  assert.deepEqual((await facts()).body, { revision: 2, facts: { cpus: 8, "os.id": "debian" }, changedAt });
  server.now += 1000;
  assert.equal((await send(0, { "os.id": "debian", cpus: 9 })).body.revision, 3);
  assert.equal((await facts()).body.changedAt["os.id"], first, "telling the same again is no change");
  assert.equal((await send(0, { arch: "x64" })).body.revision, 4);
  assert.deepEqual((await facts()).body.facts, { arch: "x64" });
});

test("lists come in pages, and every item once", async (t) => {
  const { server, admin } = await openFleet(t);
  for (let count = 0; count < 7; count++) await admin("/v1/groups", { method: "POST", body: { id: `g${count}` } });
  const seen: string[] = [];
  for (let address: string | undefined = "/v1/groups?limit=3"; address !== undefined; ) {
    const { body }: { body: { items: { id: string }[]; next?: string } } = await admin(address);
    assert.ok(body.items.length <= 3);
    seen.push(...body.items.map(({ id }) => id));
    address = body.next === undefined ? undefined : `/v1/groups?limit=3&cursor=${body.next}`;
  }
  assert.deepEqual(seen, ["all", "g0", "g1", "g2", "g3", "g4", "g5", "g6"]);
  for (const query of ["limit=0", "limit=201", "limit=x", "cursor=%00", "limit=1&limit=2", "unknown=1"]) {
    assert.equal((await admin(`/v1/groups?${query}`)).body.code, "request/invalid", query);
  }
  assert.deepEqual(server.logged, []);
});
