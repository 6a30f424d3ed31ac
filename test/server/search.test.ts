/** The search over devices: by group, state, words and filter, in every order, in pages that have each device once. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type DeviceSort, deviceSorts } from "../../src/api/schemas/devices.ts";
import { everything } from "../../src/server/access/reach.ts";
import { change } from "../../src/server/context.ts";
import { searchDevices } from "../../src/server/devices/search.ts";
import { openServer } from "./support/running-server.ts";

const count = 1_300;
const idOf = (index: number) => `${String(index).padStart(8, "0")}-0000-4000-8000-000000000000`;

async function openLarge(t: Parameters<typeof openServer>[0]) {
  const server = await openServer(t);
  const { context } = server.running;
  await context.database
    .insertInto("groups")
    .values({ id: "third", title: "third", created_at: 0, parent_id: "all", filter: null })
    .execute();
  await change(context, async ({ db }) => {
    for (let index = 0; index < count; index++) {
      const id = idOf(index);
      const state = index % 10 === 0 ? ("revoked" as const) : ("enrolled" as const);
      const row = { name: `host-${(index * 7) % 50}`, state, enrolled_at: 1_000 + (index % 7) };
      await db
        .insertInto("devices")
        .values({ id, ...row, last_seen_at: index % 5 === 0 ? null : index, facts_revision: 1, assignment_revision: 1 })
        .execute();
      const facts = {
        "os.id": index % 2 === 0 ? "debian" : "alpine",
        "cpu.count": index % 4,
        "os.name": `Linux ${index}`,
      };
      for (const [name, value] of Object.entries(facts)) {
        const value_json = JSON.stringify(value);
        await db.insertInto("facts").values({ device_id: id, name, value_json, changed_at: 1 }).execute();
      }
      const groups = index % 3 === 0 ? ["all", "third"] : ["all"];
      for (const group_id of groups) await db.insertInto("group_members").values({ group_id, device_id: id }).execute();
      if (index % 100 === 1) await db.insertInto("device_tags").values({ device_id: id, tag: "rare" }).execute();
    }
  });
  const search = async (asked: Parameters<typeof searchDevices>[1]) => {
    const seen = [];
    let pages = 0;
    for (let cursor: string | undefined, more = true; more; pages++) {
      const wanted = { limit: 200, ...asked, ...(cursor ? { cursor } : {}) };
      const page = await searchDevices(context.database, wanted, everything);
      seen.push(...page.items);
      cursor = page.next;
      more = cursor !== undefined;
      assert.ok(pages < 200, "the pages end");
    }
    return seen;
  };
  return { server, search };
}

const indexes = Array.from({ length: count }, (_, index) => index);

test("what is found is what should be", { timeout: 120_000 }, async (t) => {
  const { server, search } = await openLarge(t);
  const rows: readonly (readonly [asked: Parameters<typeof search>[0], holds: (index: number) => boolean])[] = [
    [{}, () => true],
    [{ group: "third" }, (index) => index % 3 === 0],
    [{ state: "revoked" }, (index) => index % 10 === 0],
    [{ filter: 'os.id == "debian" && cpu.count == 2' }, (index) => index % 4 === 2],
    [{ filter: '"rare" in tags' }, (index) => index % 100 === 1],
    [{ filter: '"third" in groups && device.state == "enrolled"' }, (index) => index % 3 === 0 && index % 10 !== 0],
    [{ filter: "has(os.version)" }, () => false],
    [{ text: "RARE alpine" }, (index) => index % 100 === 1],
    [{ text: idOf(1234).slice(0, 8) }, (index) => index === 1234],
    [{ text: "linux 77", filter: "cpu.count == 1" }, (index) => String(index).includes("77") && index % 4 === 1],
    [{ text: "nowhere" }, () => false],
    [
      { group: "third", state: "enrolled", filter: 'os.id == "alpine"', text: "host-4", limit: 3 },
      (index) =>
        index % 3 === 0 && index % 10 !== 0 && index % 2 === 1 && `host-${(index * 7) % 50}`.includes("host-4"),
    ],
  ];
  for (const [asked, holds] of rows) {
    const found = (await search(asked)).map(({ id }) => id);
    assert.deepEqual(found, indexes.filter(holds).map(idOf), JSON.stringify(asked));
  }
  const admin = await server.signIn();
  const { body } = await admin(
    `/v1/devices?${new URLSearchParams({ filter: '"rare" in tags', sort: "-name", limit: "2" })}`,
  );
  assert.deepEqual(body.items[0].tags, ["rare"]);
  const wrong = await admin(`/v1/devices?${new URLSearchParams({ filter: "tags ==" })}`);
  assert.equal(wrong.body.code, "request/filter");
  assert.equal((await admin("/v1/devices?group=nowhere")).body.code, "request/not-found");
  assert.equal((await admin("/v1/devices?sort=size")).body.code, "request/invalid");
});

test("in every order, each once", { timeout: 120_000 }, async (t) => {
  const { search } = await openLarge(t);
  const byId = new Map((await search({})).map((device) => [device.id, device]));
  for (const sort of deviceSorts) {
    const found = await search({ sort, limit: 97 });
    assert.equal(new Set(found.map(({ id }) => id)).size, count, sort);
    const key = sort.replace("-", "") as "id" | "name" | "enrolledAt" | "lastSeenAt";
    const keys = found.map(({ id }) => `${byId.get(id)?.[key] ?? ""} ${id}`);
    const sorted = keys.toSorted();
    assert.deepEqual(keys, sort.startsWith("-") ? sorted.toReversed() : sorted, sort);
  }
  const next = Buffer.from("nobody", "utf8").toString("base64url");
  for (const sort of ["name", "enrolledAt"] satisfies DeviceSort[]) {
    await assert.rejects(search({ sort, cursor: next }), /cursor belongs to/);
  }
});
