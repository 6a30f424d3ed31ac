/** How long a server keeps its events, and what it says of those that it dropped. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Event } from "../../src/api/schemas/events.ts";
import type { Database } from "../../src/server/database/tables.ts";
import { eventsAfter } from "../../src/server/events/events.ts";
import { openServer } from "./support/running-server.ts";

const dayMs = 24 * 60 * 60 * 1000;

test("events older than the days that were asked for are dropped once a day, and the record says so", async (t) => {
  const repeated: { everyMs: number; work: () => Promise<void> }[] = [];
  const server = await openServer(t, {
    keptEventDays: 30,
    repeat: (everyMs, work) => {
      repeated.push({ everyMs, work });
      return () => undefined;
    },
  });
  const daily = repeated.find(({ everyMs }) => everyMs === dayMs);
  assert.ok(daily);
  const admin = await server.signIn();
  const events = async () => (await admin("/v1/events?limit=200")).body.items as Event[];
  const before = await events();
  await daily.work();
  assert.deepEqual(await events(), before, "none is old enough");

  server.now += 20 * dayMs;
  await (await server.signIn())("/v1/groups", { method: "POST", body: { id: "kept" } });
  const kept = (await eventsOf(server)).slice(before.length);
  server.now += 15 * dayMs;
  await daily.work();
  const after = await eventsOf(server);
  const last = after.at(-1);
  assert.deepEqual(after.slice(0, kept.length), kept, "what is younger stays, under its numbers");
  const through = (kept[0]?.sequence ?? 0) - 1;
  const { link } = before.at(-1) ?? {};
  assert.deepEqual([last?.kind, last?.data], ["events-dropped", { through, count: before.length, keptDays: 30, link }]);
  await daily.work();
  assert.deepEqual(await eventsOf(server), after, "dropping nothing is no event");
});

async function eventsOf({ running }: { readonly running: { readonly context: { readonly database: Database } } }) {
  return await eventsAfter(running.context.database, 0, 200);
}
