/** Groups as an administrator uses them: trees, filters, exclusions, previews, and what their devices are offered. */
import assert from "node:assert/strict";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { catalogAddress } from "../../src/repository/client/catalog-client.ts";
import { openShop } from "../repository/support/shop.ts";
import { type Machine, openServer } from "./support/running-server.ts";

async function openFleet(t: TestContext) {
  const server = await openServer(t);
  const admin = await server.signIn();
  const make = async (body: Record<string, unknown>) => await admin("/v1/groups", { method: "POST", body });
  const groupsOf = async ({ id }: Machine) => (await admin(`/v1/devices/${id}`)).body.groups;
  const told = new Map<string, number>();
  const tell = async (machine: Machine, changes: Record<string, unknown>) => {
    const base = told.get(machine.id) ?? 0;
    const { status, body, text } = await machine.ask("/v1/agent/facts", { method: "PATCH", body: { base, changes } });
    assert.equal(status, 200, text);
    told.set(machine.id, body.revision);
  };
  const because = async ({ id }: Machine, groupId: string) => {
    const { body } = await admin(`/v1/devices/${id}/groups`);
    return body.items.find((item: { groupId: string }) => item.groupId === groupId);
  };
  return { server, admin, make, groupsOf, tell, because };
}

test("a dynamic group follows facts and tags at once, and its parents have its devices", async (t) => {
  const { server, admin, make, groupsOf, tell, because } = await openFleet(t);
  const machine = await server.enrol("web-1");
  await make({ id: "servers", title: "Servers" });
  const made = await make({ id: "debian", parentId: "servers", filter: 'os.id == "debian" || "like-debian" in tags' });
  assert.equal(made.status, 201, made.text);
  assert.deepEqual([made.body.kind, made.body.parentId, made.body.devices], ["dynamic", "servers", 0]);
  assert.deepEqual(await groupsOf(machine), ["all"]);
  assert.deepEqual(await because(machine, "debian"), {
    groupId: "debian",
    title: "debian",
    member: false,
    because: [
      {
        kind: "open",
        filter: made.body.filter,
        missing: ["os.id"],
        why: "the device does not tell os.id",
      },
    ],
  });
  await tell(machine, { "os.id": "debian" });
  assert.deepEqual(await groupsOf(machine), ["all", "debian", "servers"]);
  assert.deepEqual((await because(machine, "servers")).because, [{ kind: "child", groupId: "debian" }]);
  assert.deepEqual((await because(machine, "debian")).because, [{ kind: "filter", filter: made.body.filter }]);
  assert.deepEqual((await because(machine, "all")).because[0], { kind: "every" });
  await tell(machine, { "os.id": "alpine" });
  assert.deepEqual(await groupsOf(machine), ["all"]);
  const tagged = await admin(`/v1/devices/${machine.id}/tags`, { method: "PATCH", body: { add: ["like-debian"] } });
  assert.deepEqual([tagged.body.tags, tagged.body.groups], [["like-debian"], ["all", "debian", "servers"]]);
  const changed = await admin("/v1/groups/debian", { method: "PATCH", body: { filter: 'os.id == "debian"' } });
  assert.deepEqual([changed.status, changed.body.devices], [200, 0]);
  assert.deepEqual(await groupsOf(machine), ["all"]);
  const moved = await admin("/v1/groups/debian", { method: "PATCH", body: { filter: "has(os.id)", parentId: "all" } });
  assert.equal(moved.body.devices, 1);
  assert.deepEqual(await groupsOf(machine), ["all", "debian"], "the old parent has it no longer");
  assert.deepEqual(server.logged, []);
});

test("who is excluded or excepted stays out, whatever would have it in", async (t) => {
  const { server, admin, make, groupsOf, because } = await openFleet(t);
  const [one, two] = [await server.enrol("one"), await server.enrol("two")];
  await make({ id: "web" });
  await make({ id: "frozen" });
  for (const { id } of [one, two]) await admin(`/v1/groups/web/devices/${id}`, { method: "PUT" });
  await admin(`/v1/groups/frozen/devices/${two.id}`, { method: "PUT" });
  assert.equal((await admin("/v1/groups/web/exclusions/frozen", { method: "PUT" })).status, 204);
  assert.deepEqual(
    [await groupsOf(one), await groupsOf(two)],
    [
      ["all", "web"],
      ["all", "frozen"],
    ],
  );
  assert.deepEqual((await because(two, "web")).because, [
    { kind: "by-hand" },
    { kind: "excluded-group", groupId: "frozen" },
  ]);
  assert.equal((await admin(`/v1/groups/web/exceptions/${one.id}`, { method: "PUT" })).status, 204);
  assert.deepEqual(await groupsOf(one), ["all"]);
  const { body } = await admin("/v1/groups/web");
  assert.deepEqual([body.devices, body.excludes, body.exceptions], [0, ["frozen"], 1]);
  await admin(`/v1/groups/web/exceptions/${one.id}`, { method: "DELETE" });
  assert.deepEqual(await groupsOf(one), ["all", "web"]);
  await admin("/v1/groups/frozen", { method: "DELETE" });
  assert.deepEqual(await groupsOf(two), ["all", "web"], "a group that is gone excludes nobody");
});

test("what makes no sense is refused with its reason", async (t) => {
  const { server, admin, make } = await openFleet(t);
  const machine = await server.enrol("m");
  await make({ id: "a" });
  await make({ id: "b", parentId: "a" });
  await make({ id: "found", filter: 'os.id == "x"' });
  const rows: readonly (readonly [method: string, address: string, body: unknown, code: string])[] = [
    ["PATCH", "/v1/groups/a", { parentId: "b" }, "group/circle"],
    ["PATCH", "/v1/groups/a", { parentId: "a" }, "group/circle"],
    ["PATCH", "/v1/groups/b", { excludes: ["a"] }, "group/circle"],
    ["PATCH", "/v1/groups/b", { excludes: ["b"] }, "group/circle"],
    ["PATCH", "/v1/groups/a", { filter: "has(os.id)" }, "group/static"],
    ["PATCH", "/v1/groups/all", { filter: "has(os.id)" }, "group/permanent"],
    ["PUT", "/v1/groups/all/exclusions/b", undefined, "group/permanent"],
    ["PUT", `/v1/groups/all/exceptions/${machine.id}`, undefined, "group/permanent"],
    ["PUT", `/v1/groups/found/devices/${machine.id}`, undefined, "group/dynamic"],
    ["POST", "/v1/enrolment-tokens", { groupId: "found" }, "group/dynamic"],
    ["DELETE", "/v1/groups/a", undefined, "group/has-children"],
    ["POST", "/v1/groups", { id: "c", parentId: "nowhere" }, "request/not-found"],
    ["POST", "/v1/groups", { id: "c", filter: 'os.idd == "x"' }, "request/filter"],
    ["PATCH", "/v1/groups/found", { filter: "memory.bytes" }, "request/filter"],
    ["POST", "/v1/group-previews", { filter: '"all" in groups' }, "request/filter"],
    ["PATCH", `/v1/devices/${machine.id}/tags`, { add: ["Not a tag"] }, "request/invalid"],
    [
      "PATCH",
      `/v1/devices/${machine.id}/tags`,
      { add: Array.from({ length: 51 }, (_, index) => `t${index}`) },
      "request/invalid",
    ],
  ];
  const before = (await admin("/v1/groups")).body;
  for (const [method, address, body, code] of rows) {
    const answer = await admin(address, { method, ...(body === undefined ? {} : { body }) });
    assert.equal(answer.body?.code, code, `${method} ${address} ${JSON.stringify(body)}: ${answer.text}`);
  }
  assert.deepEqual((await admin("/v1/groups")).body, before, "nothing was done");
  const { body } = await admin("/v1/groups", { method: "POST", body: { id: "c", filter: 'os.idd == "x"' } });
  assert.deepEqual([body.details.start, body.details.end], [0, 6]);
});

test("a preview says who matches, who lacks what, and who would join and leave", async (t) => {
  const { server, admin, make, tell } = await openFleet(t);
  const [one, two, three] = [await server.enrol("one"), await server.enrol("two"), await server.enrol("three")];
  await tell(one, { "os.id": "debian", "tpm.version": "2.0" });
  await tell(two, { "os.id": "debian" });
  const gone = await server.enrol("gone");
  await tell(gone, { "os.id": "debian" });
  await admin(`/v1/devices/${gone.id}/revocation`, { method: "POST" });
  await make({ id: "debian", filter: 'os.id == "debian"' });
  const filter = 'os.id == "debian" && tpm.version == "2.0"';
  const { body } = await admin("/v1/group-previews", { method: "POST", body: { filter, groupId: "debian" } });
  assert.deepEqual(body, {
    devices: 3,
    matching: 1,
    open: 2,
    lacking: [
      { fact: "tpm.version", devices: 2 },
      { fact: "os.id", devices: 1 },
    ],
    examples: [{ id: one.id, name: "one" }],
    joining: 0,
    leaving: 1,
  });
  assert.equal((await admin("/v1/groups/debian")).body.devices, 2, "nothing was changed");
  assert.ok(three.id !== two.id);
});

test("who joins by its facts is offered what is approved; who leaves is withdrawn what has not begun", async (t) => {
  const shop = openShop(t);
  await shop.init();
  await shop.publish("one");
  const address = catalogAddress(shop.repository.publicFolder, shop.folder);
  const firstRoot = path.join(shop.repository.metadataFolder, "1.root.json");
  const server = await openServer(t, { catalog: { address, firstRoot } });
  const admin = await server.signIn();
  await admin("/v1/groups", { method: "POST", body: { id: "parent" } });
  await admin("/v1/groups", { method: "POST", body: { id: "web", parentId: "parent", filter: '"web" in tags' } });
  await admin("/v1/approvals", { method: "POST", body: { hotpatchId: "one", groupId: "parent" } });
  const [early, late] = [await server.enrol("early"), await server.enrol("late")];
  const tag = (id: string, body: Record<string, unknown>) => admin(`/v1/devices/${id}/tags`, { method: "PATCH", body });
  const waiting = early.poll(1, 20_000);
  await tag(early.id, { add: ["web"] });
  const { actions } = await waiting;
  assert.deepEqual(
    actions.map(({ hotpatchId, state }) => [hotpatchId, state]),
    [["one", "offered"]],
    "through the parent, and at once",
  );
  await tag(late.id, { add: ["web"] });
  const [begun] = (await late.poll()).actions;
  assert.ok(begun !== undefined);
  for (const event of ["fetch-started", "fetch-done", "plan-done", "apply-started"]) await late.report(begun, event);
  await admin("/v1/groups/web", { method: "PATCH", body: { filter: '"other" in tags' } });
  assert.deepEqual((await early.poll()).actions, [], "what had not begun is withdrawn");
  assert.deepEqual(
    (await late.poll()).actions.map(({ state }) => state),
    ["applying"],
    "what has begun goes on",
  );
  await admin("/v1/groups/web", { method: "PATCH", body: { filter: "tags.size() > 0" } });
  assert.equal((await early.poll()).actions.length, 1, "and is offered again");
  await admin("/v1/groups/parent/exclusions/web", { method: "PUT" });
  assert.equal((await early.poll()).actions.length, 0, "what is excluded is out, though it stands below");
});
