/** The scheduler: what is due is done once, by one server, and again where it was not done. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { change } from "../../src/server/context.ts";
import type { ScheduledTask } from "../../src/server/schedule/task.ts";
import { openCluster, withoutPostgres } from "./support/postgres-cluster.ts";
import { openServer } from "./support/running-server.ts";
import { openServers } from "./support/several-servers.ts";

const byHand = { repeat: () => () => undefined };
const minuteMs = 60_000;

/** Makes a group a minute after the beginning; `before` is called within its transaction. */
function groupTask(id: string, atMs: number, before: () => void | Promise<void> = () => undefined): ScheduledTask {
  return {
    name: `make ${id}`,
    async due({ database }, nowMs) {
      const made = await database.selectFrom("groups").select("id").where("id", "=", id).executeTakeFirst();
      return nowMs >= atMs && made === undefined ? [id] : [];
    },
    async work({ db, now, note }, _context, piece) {
      const row = { id: piece, title: piece, created_at: now, parent_id: "all", filter: null };
      const made = await db
        .insertInto("groups")
        .values(row)
        .onConflict((is) => is.doNothing())
        .executeTakeFirst();
      if (made.numInsertedOrUpdatedRows === 0n) return;
      await note("group-made", `group:${piece}`);
      await before();
    },
  };
}

async function groupEvents(server: Awaited<ReturnType<typeof openServer>>): Promise<string[]> {
  const { database } = server.running.context;
  const rows = await database.selectFrom("events").select("subject").where("kind", "=", "group-made").execute();
  return rows.map(({ subject }) => subject);
}

test("a piece is done when its time has come, and once", async (t) => {
  const at = Date.now() + minuteMs;
  const server = await openServer(t, { ...byHand, tasks: [groupTask("late", at)] });
  await server.running.tick();
  assert.deepEqual(await groupEvents(server), []);
  server.now = at;
  await Promise.all([server.running.tick(), server.running.tick()]);
  await server.stop();
  await server.start();
  await server.running.tick();
  assert.deepEqual(await groupEvents(server), ["group:late"]);
  assert.deepEqual(server.logged, []);
});

test("a piece that breaks off in the middle leaves nothing, is told of, tried again, and holds up no other", async (t) => {
  let broken = true;
  const breaking = groupTask("breaking", 0, () => {
    if (broken) throw new Error("in the middle");
  });
  const server = await openServer(t, { ...byHand, tasks: [breaking, groupTask("behind", 0)] });
  await server.running.tick();
  assert.deepEqual(await groupEvents(server), ["group:behind"]);
  assert.deepEqual(
    server.logged.map(({ task, piece }) => [task, piece]),
    [["make breaking", "breaking"]],
  );
  broken = false;
  await server.running.tick();
  assert.deepEqual(await groupEvents(server), ["group:behind", "group:breaking"]);
});

test("of servers on one PostgreSQL one ticks at a time, and what two do all the same counts once", {
  skip: withoutPostgres,
  timeout: 120_000,
}, async (t) => {
  const { another } = await openServers(t, await openCluster(t));
  let inside = 0;
  let release: () => void = () => undefined;
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const reached = Promise.withResolvers<void>();
  const task: ScheduledTask = {
    ...groupTask("shared", 0),
    async due(context, nowMs) {
      inside += 1;
      reached.resolve();
      await held;
      return await groupTask("shared", 0).due(context, nowMs);
    },
  };
  const [first, second] = [another({ ...byHand, tasks: [task] }), another({ ...byHand, tasks: [task] })];
  await Promise.all([first.start(), second.start()]);
  const ticking = first.running.tick();
  await reached.promise;
  await second.running.tick();
  assert.equal(inside, 1, "the second found the first at work");
  release();
  await ticking;
  // As after a first server that hung for so long that its lock was given to another one.
  for (const { running } of [first, second]) {
    await change(running.context, (under) => task.work(under, running.context, "shared"));
  }
  assert.deepEqual(await groupEvents(second), ["group:shared"]);
});
