/** For random trees, filters, facts and orders of changes, the stored membership is the one worked out anew. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Facts } from "../../src/api/schemas/devices.ts";
import { RefusalError } from "../../src/base/refusal.ts";
import { compileFilter } from "../../src/cel/compile-filter.ts";
import { everything } from "../../src/server/access/reach.ts";
import { change, type ServerContext } from "../../src/server/context.ts";
import { changeFacts, revokeDevice, tagDevice } from "../../src/server/devices/devices.ts";
import { type GroupNode, groupsOfDevice, hangingOn, inOrder } from "../../src/server/groups/group-tree.ts";
import * as groups from "../../src/server/groups/groups.ts";
import { placeDevice } from "../../src/server/groups/membership.ts";
import { previewFilter } from "../../src/server/groups/preview.ts";
import { groupReasons } from "../../src/server/groups/reasons.ts";
import { fc } from "../support/properties.ts";
import { openServer } from "./support/running-server.ts";

const deviceIds = [0, 1, 2, 3].map((index) => `0000000${index}-0000-4000-8000-000000000000`);
const groupIds = ["a", "b", "c", "d", "e"];
const filters = [
  'os.id == "debian"',
  'os.id != "debian"',
  '"prod" in tags || os.id == "alpine"',
  '!("prod" in tags) && cpu.count > 2',
  '"c0" in binary',
  "has(os.version)",
];

const device = fc.constantFrom(...deviceIds);
const group = fc.constantFrom(...groupIds);
const within = fc.constantFrom("all", ...groupIds);
const factChange = fc.constantFrom<Record<string, Facts[string] | null>>(
  { "os.id": "debian" },
  { "os.id": "alpine", "os.version": "3" },
  { "os.id": null },
  { "cpu.count": 4 },
  { "cpu.count": 2, "os.version": null },
  { "binary.c0": ["/x"] },
  { "binary.c0": null },
);

type Step = (context: ServerContext) => Promise<unknown>;
const steps: fc.Arbitrary<readonly [name: string, step: Step]> = fc.oneof(
  fc
    .tuple(group, within, fc.option(fc.constantFrom(...filters)), fc.array(group, { maxLength: 1 }))
    .map(([id, parentId, filter, excludes]): [string, Step] => [
      `make ${id} below ${parentId}, ${filter}, without ${excludes}`,
      (context) => groups.makeGroup(context, { id, parentId, excludes, ...(filter === null ? {} : { filter }) }),
    ]),
  fc
    .tuple(group, within)
    .map(([id, parentId]): [string, Step] => [
      `move ${id} below ${parentId}`,
      (context) => groups.changeGroup(context, id, { parentId }),
    ]),
  fc
    .tuple(group, fc.constantFrom(...filters))
    .map(([id, filter]): [string, Step] => [
      `${id} finds ${filter}`,
      (context) => groups.changeGroup(context, id, { filter }),
    ]),
  fc
    .tuple(group, fc.array(within, { maxLength: 2 }))
    .map(([id, excludes]): [string, Step] => [
      `${id} without ${excludes}`,
      (context) => groups.changeGroup(context, id, { excludes: [...new Set(excludes)] }),
    ]),
  group.map((id): [string, Step] => [`remove ${id}`, (context) => groups.removeGroup(context, id)]),
  fc
    .tuple(
      fc.constantFrom(groups.addMember, groups.removeMember, groups.exceptDevice, groups.unexceptDevice),
      group,
      device,
    )
    .map(([what, groupId, deviceId]): [string, Step] => [
      `${what.name} ${groupId} ${deviceId.slice(0, 8)}`,
      (context) => what(context, { groupId, deviceId }),
    ]),
  fc.tuple(device, factChange).map(([deviceId, changes]): [string, Step] => [
    `${deviceId.slice(0, 8)} tells ${JSON.stringify(changes)}`,
    async (context) => {
      const { facts_revision: base } = await context.database
        .selectFrom("devices")
        .select("facts_revision")
        .where("id", "=", deviceId)
        .executeTakeFirstOrThrow();
      const whole = Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== null));
      await changeFacts(context, deviceId, { base, changes: base === 0 ? whole : changes });
    },
  ]),
  fc
    .tuple(device, fc.boolean())
    .map(([deviceId, isProd]): [string, Step] => [
      `${deviceId.slice(0, 8)} ${isProd ? "gets" : "loses"} prod`,
      (context) => tagDevice(context, deviceId, { [isProd ? "add" : "remove"]: ["prod"] }),
    ]),
  fc.constant<[string, Step]>(["revoke", (context) => revokeDevice(context, deviceIds[3] ?? "")]),
);

async function enter(context: ServerContext, id: string): Promise<void> {
  await change(context, async (under) => {
    const row = { id, name: id, state: "enrolled", enrolled_at: 0, last_seen_at: null } as const;
    await under.db
      .insertInto("devices")
      .values({ ...row, facts_revision: 0, assignment_revision: 1 })
      .execute();
    await under.db.insertInto("group_own").values({ group_id: "all", device_id: id }).execute();
    await placeDevice(under, context.random, id, "anything");
  });
}

async function empty({ database }: ServerContext): Promise<void> {
  for (const table of ["group_members", "group_own", "group_exceptions", "group_exclusions"] as const) {
    await database.deleteFrom(table).execute();
  }
  await database.updateTable("groups").set({ parent_id: "all" }).where("id", "<>", "all").execute();
  await database.deleteFrom("groups").where("id", "<>", "all").execute();
  for (const table of ["facts", "device_tags", "devices"] as const) await database.deleteFrom(table).execute();
}

/** From the tables that say what is wanted, straight by the definition. */
async function workedOutAnew({ database }: ServerContext): Promise<string[]> {
  const rows = await database.selectFrom("groups").selectAll().execute();
  const own = await database.selectFrom("group_own").selectAll().execute();
  const exclusions = await database.selectFrom("group_exclusions").selectAll().execute();
  const exceptions = await database.selectFrom("group_exceptions").selectAll().execute();
  const devices = await database.selectFrom("devices").selectAll().execute();
  const facts = await database.selectFrom("facts").selectAll().execute();
  const tags = await database.selectFrom("device_tags").selectAll().execute();
  const members: string[] = [];
  for (const { id, name, state } of devices) {
    const told: Facts = Object.fromEntries(
      facts.filter((row) => row.device_id === id).map((row) => [row.name, JSON.parse(row.value_json)]),
    );
    const seen = {
      ...{ id, name, enrolledAtMs: 0, facts: told },
      tags: tags.filter((row) => row.device_id === id).map(({ tag }) => tag),
    };
    const isIn = (groupId: string): boolean => {
      const filter = rows.find((row) => row.id === groupId)?.filter ?? null;
      const byItself =
        filter === null
          ? own.some((row) => row.group_id === groupId && row.device_id === id)
          : state === "enrolled" && compileFilter(filter, "group").evaluate(seen).kind === "holds";
      const wanted = byItself || rows.some((row) => row.parent_id === groupId && isIn(row.id));
      return (
        wanted &&
        !exceptions.some((row) => row.group_id === groupId && row.device_id === id) &&
        !exclusions.some((row) => row.group_id === groupId && isIn(row.excluded_id))
      );
    };
    for (const row of rows) if (isIn(row.id)) members.push(`${row.id} ${id}`);
  }
  return members.toSorted();
}

test("whatever happens in whatever order", { timeout: 240_000 }, async (t) => {
  const { context } = (await openServer(t)).running;
  const history = fc.array(steps, { minLength: 5, maxLength: 25 });
  await fc.assert(
    fc.asyncProperty(history, async (chosen) => {
      await empty(context);
      for (const id of deviceIds) await enter(context, id);
      for (const [, step] of chosen) {
        try {
          await step(context);
        } catch (error) {
          const isAnswer = error instanceof RefusalError || /There is no group/.test(String(error));
          assert.ok(isAnswer, String(error instanceof Error ? error.stack : error));
        }
      }
      const stored = await context.database.selectFrom("group_members").selectAll().execute();
      const found = stored.map(({ group_id, device_id }) => `${group_id} ${device_id}`).toSorted();
      assert.deepEqual(found, await workedOutAnew(context), chosen.map(([name]) => name).join("\n"));
      for (const id of deviceIds) {
        const reasons = await groupReasons(context.database, id, everything);
        const told = reasons.filter(({ member }) => member).map(({ groupId }) => `${groupId} ${id}`);
        assert.deepEqual(
          told.toSorted(),
          found.filter((member) => member.endsWith(id)),
          "each membership has a reason",
        );
      }
      for (const filter of filters) {
        const { devices, matching, open } = await previewFilter(context.database, { filter }, everything);
        assert.ok(matching + open <= devices);
      }
    }),
    { numRuns: 60 },
  );
});

test("a tree is put into order, or its circle is found", () => {
  const ids = Array.from({ length: 8 }, (_, index) => `g${index}`);
  const node = (id: string): fc.Arbitrary<GroupNode> =>
    fc.record({
      id: fc.constant(id),
      parentId: fc.constantFrom(null, ...ids),
      excludes: fc.array(fc.constantFrom(...ids), { maxLength: 2 }),
    });
  fc.assert(
    fc.property(fc.tuple(...ids.map(node)), fc.subarray(ids), (nodes, own) => {
      const ordered = inOrder(nodes);
      const needs = (id: string) => [
        ...nodes.filter(({ parentId }) => parentId === id).map((child) => child.id),
        ...(nodes.find((one) => one.id === id)?.excludes ?? []),
      ];
      const reaches = (from: string, to: string, seen = new Set<string>()): boolean =>
        needs(from).some((next) => next === to || (!seen.has(next) && reaches(next, to, seen.add(next))));
      const isCircle = ids.some((id) => reaches(id, id));
      assert.equal(ordered === undefined, isCircle);
      if (ordered === undefined) return;
      for (const [index, { id }] of ordered.entries()) {
        const earlier: ReadonlySet<string> = new Set(ordered.slice(0, index).map((one) => one.id));
        assert.ok(needs(id).every((need) => earlier.has(need)));
        assert.deepEqual(
          hangingOn(ordered, id)
            .map((one) => one.id)
            .toSorted(),
          ids.filter((other) => other === id || reaches(other, id)).toSorted(),
        );
      }
      const inside = groupsOfDevice(ordered, { own: new Set(own), excepted: new Set() });
      for (const { id, excludes } of ordered) if (inside.has(id)) assert.ok(!excludes.some((one) => inside.has(one)));
    }),
    { numRuns: 500 },
  );
});
