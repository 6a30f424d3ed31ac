/** A role in one group never sees or changes a device of another, through any route. */
import assert from "node:assert/strict";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { isForPeople, type RouteSpec } from "../../src/api/routes/route-spec.ts";
import { type RouteName, routes } from "../../src/api/routes.ts";
import { roles } from "../../src/api/schemas/access.ts";
import { catalogAddress } from "../../src/repository/client/catalog-client.ts";
import { openShop } from "../repository/support/shop.ts";
import { follow, sequencesOf } from "./support/event-stream.ts";
import { cookieAs, signInAs } from "./support/people.ts";
import { type Ask, openServer } from "./support/running-server.ts";

const prefix = "very-secret-name";

/** A fleet of two groups, `own` and `other`, each with a device, an approval, an action, and a group below it. */
async function openFleet(t: TestContext) {
  const shop = openShop(t);
  await shop.init();
  await shop.publish("one", "two");
  const firstRoot = path.join(shop.repository.metadataFolder, "1.root.json");
  const server = await openServer(t, {
    catalog: { address: catalogAddress(shop.repository.publicFolder, shop.folder), firstRoot },
  });
  const admin = await server.signIn();
  const ids: Record<string, { device: string; action: string; approval: string }> = {};
  for (const id of ["own", "other"]) {
    const made = await admin("/v1/groups", { method: "POST", body: { id } });
    assert.equal(made.status, 201, made.text);
    await admin("/v1/groups", { method: "POST", body: { id: `${id}-below`, parentId: id } });
    const machine = await server.enrol(id === "own" ? "own" : prefix, { groupId: `${id}-below` });
    const approved = await admin("/v1/approvals", { method: "POST", body: { hotpatchId: "one", groupId: id } });
    assert.equal(approved.status, 201, approved.text);
    const { actions } = await machine.poll();
    ids[id] = { device: machine.id, action: actions[0]?.id ?? "", approval: approved.body.id };
  }
  const grants = roles.map((role) => ({ role, groupId: "own" }));
  const person = await signInAs(server, "person", grants);
  return { server, admin, person, own: ids.own, other: ids.other };
}

/** A body that would do something, for each route with a scope that takes one: `device` and `group` are those of others. */
const bodies: Readonly<Partial<Record<RouteName, (device: string, group: string) => Record<string, unknown>>>> = {
  tagDevice: () => ({ add: ["taken"] }),
  makeGroup: (_device, parentId) => ({ id: "mine", parentId }),
  changeGroup: () => ({ title: "changed" }),
  previewFilter: () => ({ filter: "true" }),
  approve: (_device, groupId) => ({ hotpatchId: "two", groupId }),
  requestAction: () => ({ event: "withdraw" }),
  makeToken: (_device, groupId) => ({ groupId }),
};

const scoped = (Object.entries(routes) as [RouteName, RouteSpec][]).filter(
  ([, spec]) => isForPeople(spec) && spec.scoped === true,
);

test("every route with a scope that takes a body is asked with one", () => {
  for (const [name, spec] of scoped) if (spec.body !== undefined) assert.ok(bodies[name], name);
});

test("no route tells or changes anything of a group out of scope", { timeout: 120_000 }, async (t) => {
  const { server, admin, person, other } = await openFleet(t);
  assert.ok(other);
  const state = async () => {
    const addresses = ["devices?group=other", "groups/other", "groups/other-below", "approvals", "actions"];
    const answers = await Promise.all(addresses.map((address) => admin(`/v1/${address}`)));
    return answers.map(({ status, body }) => [status, body]);
  };
  const before = await state();
  const { database } = server.running.context;
  // What the server does by itself meanwhile is not what was asked.
  const newest = async () => {
    const told = await database
      .selectFrom("events")
      .select("sequence")
      .where("by_json", "like", '%"person"%')
      .execute();
    return told.length;
  };
  for (const [name, spec] of scoped) {
    // It has no end; the next test reads it.
    if (name === "streamEvents") continue;
    for (const groupId of ["other", "other-below", "all"]) {
      const fill: Record<string, string> = {
        ...{ deviceId: other.device, groupId, excludedId: groupId, actionId: other.action, approvalId: other.approval },
      };
      const address = spec.path.replaceAll(/\{(\w+)\}/g, (_, key: string) => fill[key] ?? "unknown");
      const ask: Ask = spec.method === "GET" ? {} : { method: spec.method };
      const body = bodies[name]?.(other.device, groupId);
      const sequence = await newest();
      const { status, text } = await person(address, body === undefined ? ask : { ...ask, body });
      assert.ok(status < 500, `${name}: ${text}`);
      if (/\{(?!hotpatch)/.test(spec.path)) assert.equal(status, 404, `${name} ${groupId}: ${text}`);
      for (const secret of [other.device, prefix, other.approval, other.action, '"other']) {
        // What was asked for may be named back.
        const told = text.replaceAll(/There is no [^"]*/g, "");
        assert.ok(!told.includes(secret), `${name} tells ${secret}: ${text}`);
      }
      if (spec.method !== "GET" && name !== "previewFilter") {
        assert.equal(await newest(), sequence, `${name} ${groupId} changed something: ${text}`);
      }
    }
  }
  assert.deepEqual(await state(), before);
  assert.deepEqual(server.logged, []);
});

test("the stream of events keeps to the scope, in what was and in what happens", { timeout: 60_000 }, async (t) => {
  const { server, admin, own, other } = await openFleet(t);
  assert.ok(own && other);
  for (const role of roles) {
    // Attempts to sign in are counted by the minute.
    server.now += 60_000;
    const cookie = await cookieAs(server, role, [{ role, groupId: "own" }]);
    if (role === "publisher") {
      const { status } = await server.ask("/v1/events/stream", { headers: { cookie } });
      assert.equal(status, 403, "has no part in the record");
      continue;
    }
    const stream = await follow(t, server, { cookie });
    await stream.until(own.device);
    for (const [device, tag] of [
      [other.device, `hidden-${role}`],
      [own.device, `shown-${role}`],
    ]) {
      const tagged = await admin(`/v1/devices/${device}/tags`, { method: "PATCH", body: { add: [tag] } });
      assert.equal(tagged.status, 200, tagged.text);
    }
    // Events come in order: what is shown of the later one says that the earlier one was passed over.
    const told = await stream.until(`shown-${role}`);
    const secrets: readonly string[] = [...Object.values(other), prefix, '"other', "person:", `hidden-${role}`];
    for (const secret of secrets) {
      assert.ok(!told.includes(secret), `${role} is told ${secret}`);
    }
    const page = await server.ask("/v1/events?limit=200", { headers: { cookie } });
    const listed: number[] = page.body.items.map(({ sequence }: { sequence: number }) => sequence);
    const streamed = sequencesOf(told);
    assert.deepEqual(streamed, listed.slice(0, streamed.length), "the stream and the list tell the same");
    stream.end();
  }
});

test("queries keep to the scope, and within it everything goes on", { timeout: 60_000 }, async (t) => {
  const { server, person, own, other } = await openFleet(t);
  assert.ok(own && other);
  const items = async (address: string) => (await person(address)).body.items as { id: string }[];
  assert.deepEqual(
    (await items("/v1/devices")).map(({ id }) => id),
    [own.device],
  );
  assert.deepEqual(
    (await items("/v1/groups")).map(({ id }) => id),
    ["own", "own-below"],
  );
  assert.deepEqual(
    (await items("/v1/actions")).map(({ id }) => id),
    [own.action],
  );
  assert.deepEqual(
    (await items("/v1/approvals")).map(({ id }) => id),
    [own.approval],
  );
  for (const query of [`deviceId=${other.device}`, "hotpatchId=one"]) {
    const { status, text } = await person(`/v1/actions?${query}`);
    assert.ok(!text.includes(other.device) || status === 404, text);
  }
  assert.equal((await person("/v1/devices?group=other")).status, 404);
  const preview = await person("/v1/group-previews", { method: "POST", body: { filter: "true" } });
  assert.deepEqual([preview.body.devices, preview.body.matching], [1, 1]);
  const events = await items("/v1/events?limit=200");
  assert.ok(events.length > 0 && !JSON.stringify(events).includes(other.device));
  const tagged = await person(`/v1/devices/${own.device}/tags`, { method: "PATCH", body: { add: ["mine"] } });
  assert.deepEqual([tagged.status, tagged.body.tags], [200, ["mine"]]);
  const made = await person("/v1/groups", { method: "POST", body: { id: "mine", parentId: "own" } });
  assert.equal(made.status, 201, made.text);
  const address = `/v1/groups/mine/devices/${own.device}`;
  assert.equal((await person(address, { method: "PUT" })).status, 204);
  const [last] = (await server.running.context.database.selectFrom("events").selectAll().execute()).slice(-1);
  assert.deepEqual(JSON.parse(last?.by_json ?? "{}").kind, "person");
  assert.equal((await person("/v1/enrolment-tokens", { method: "POST", body: { groupId: "mine" } })).status, 201);
});

test("nobody widens his own scope", { timeout: 60_000 }, async (t) => {
  const { admin, person, own, other } = await openFleet(t);
  assert.ok(own && other);
  const codes = async (address: string, ask: Ask) => {
    const { status, body } = await person(address, ask);
    return `${status} ${body?.code}`;
  };
  const filter = { method: "POST", body: { id: "mine", parentId: "own", filter: "true" } };
  assert.equal(await codes("/v1/groups", filter), "403 access/scope", "a filter would find any device");
  const move = (groupId: string, parentId: string) =>
    codes(`/v1/groups/${groupId}`, { method: "PATCH", body: { parentId } });
  assert.equal(await move("own", "own-below"), "404 request/not-found", "its parent is out of scope");
  assert.equal(await move("own-below", "other"), "404 request/not-found");
  assert.equal(await codes("/v1/groups/own", { method: "DELETE" }), "404 request/not-found");
  assert.equal(
    await codes(`/v1/groups/own/devices/${other.device}`, { method: "PUT" }),
    "404 request/not-found",
    "a device of others cannot be drawn in",
  );
  await admin("/v1/groups/own-below", { method: "PATCH", body: { excludes: ["other"] } });
  assert.equal(
    await codes("/v1/groups/own-below", { method: "PATCH", body: { excludes: ["other"] } }),
    "404 request/not-found",
  );
  assert.equal(
    await codes("/v1/groups/own-below", { method: "PATCH", body: { excludes: [] } }),
    "404 request/not-found",
    "what an administrator excluded stays so",
  );
  const loose = await codes("/v1/enrolment-tokens", { method: "POST", body: {} });
  assert.equal(loose, "404 request/not-found", "a device of no group would be one of others");
});

test("a group that is removed takes the roles in it along", async (t) => {
  const server = await openServer(t);
  const admin = await server.signIn();
  await admin("/v1/groups", { method: "POST", body: { id: "web" } });
  const person = await signInAs(server, "person", [{ role: "operator", groupId: "web" }]);
  assert.equal((await person("/v1/devices")).status, 200);
  assert.equal((await admin("/v1/groups/web", { method: "DELETE" })).status, 204);
  await admin("/v1/groups", { method: "POST", body: { id: "web" } });
  assert.equal((await person("/v1/devices")).body.code, "access/forbidden");
});
