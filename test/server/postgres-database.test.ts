/** The database on PostgreSQL: its shape, and changes of several servers at one time. */
import assert from "node:assert/strict";
import { after, before, type TestContext, test } from "node:test";
import { sql } from "kysely";
import { RebootlessError } from "../../src/base/errors.ts";
import { change } from "../../src/server/context.ts";
import { migrations } from "../../src/server/database/migrations.ts";
import { openDatabase } from "../../src/server/database/open-database.ts";
import type { Store } from "../../src/server/database/store.ts";
import { eventsAfter } from "../../src/server/events/events.ts";
import { Signals } from "../../src/server/signals.ts";
import { inDatabase, newDatabase, OwnCluster, withoutPostgres } from "./support/postgres-cluster.ts";

const options = { skip: withoutPostgres, timeout: 120_000 };

async function open(t: TestContext, address: string): Promise<Store> {
  const store = await openDatabase({ file: "/nonexistent", address });
  t.after(() => store.close());
  return store;
}

function contextOf(store: Store) {
  return { store, signals: new Signals(), clock: () => new Date(), by: { kind: "server" as const } };
}

let cluster: OwnCluster;
before(async () => {
  if (withoutPostgres !== false) return;
  cluster = new OwnCluster();
  await cluster.start();
});
after(() => cluster?.remove());

test("servers that start at once on an empty database make its shape once", options, async (t) => {
  const address = await newDatabase(cluster);
  const stores = await Promise.all(Array.from({ length: 4 }, () => open(t, address)));
  for (const { database } of stores) {
    assert.deepEqual(await database.selectFrom("groups").select("id").execute(), [{ id: "all" }]);
  }
  const { rows } = await inDatabase(address, (client) => client.query("SELECT version FROM rebootless_schema"));
  assert.deepEqual(rows, [{ version: String(migrations.length) }]);
});

test("a newer database and another program's are left alone", options, async () => {
  const newer = await newDatabase(cluster);
  await (await openDatabase({ file: "", address: newer })).close();
  await inDatabase(newer, (client) => client.query("UPDATE rebootless_schema SET version = version + 1"));
  await assert.rejects(openDatabase({ file: "", address: newer }), refusedWith("server/state-newer"));
  const foreign = await newDatabase(cluster);
  await inDatabase(foreign, (client) => client.query("CREATE TABLE devices (theirs TEXT)"));
  await assert.rejects(openDatabase({ file: "", address: foreign }), refusedWith("server/state-damaged"));
  const missing = cluster.address("missing");
  await assert.rejects(openDatabase({ file: "", address: missing }), refusedWith("server/database-refused"));
  const nowhere = "postgres://nobody@127.0.0.1:1/x";
  await assert.rejects(openDatabase({ file: "", address: nowhere }), refusedWith("server/database-away"));
});

test("text has one order and numbers are numbers, as on SQLite", options, async (t) => {
  const { database } = await open(t, await newDatabase(cluster));
  for (const id of ["b", "B", "a-b", "aa", "ab", "ä"]) {
    await database.insertInto("groups").values({ id, title: id, created_at: 1_700_000_000_000 }).execute();
  }
  const rows = await database.selectFrom("groups").select(["id", "created_at"]).orderBy("id").execute();
  assert.deepEqual(
    rows.map(({ id }) => id),
    ["B", "a-b", "aa", "ab", "all", "b", "ä"],
  );
  assert.equal(rows[0]?.created_at, 1_700_000_000_000);
  const none = await database.selectFrom("groups").select("id").where("id", "in", []).execute();
  assert.deepEqual(none, []);
});

test("changes of several servers lose nothing, and events are gapless in the order of commit", options, async (t) => {
  const address = await newDatabase(cluster);
  const stores = [await open(t, address), await open(t, address), await open(t, address)];
  const [store] = stores as [Store];
  const reader = readOn(store);
  const rounds = 40;
  await Promise.all(
    stores.flatMap((store, server) =>
      [0, 1, 2].map(async (writer) => {
        for (let round = 0; round < rounds; round++) {
          await countUp(store, `${server}-${writer}-${round}`, round % 8 === 7);
        }
      }),
    ),
  );
  const seen = await reader.end();
  const all = await store.database.selectFrom("groups").select("created_at").where("id", "=", "all").execute();
  assert.deepEqual(all, [{ created_at: 9 * rounds }]);
  const rest = await eventsAfter(store.database, seen.at(-1) ?? 0, 10_000);
  const sequences = [...seen, ...rest.map(({ sequence }) => sequence)];
  assert.deepEqual(
    sequences,
    Array.from({ length: 9 * (rounds + rounds / 8) }, (_, index) => index + 1),
  );
});

test(
  "a session writes what it commits, even where the cluster would not wait for it, and no lock is kept for ever",
  options,
  async (t) => {
    const address = await newDatabase(cluster);
    const name = /test_[0-9a-f]+/.exec(address)?.[0];
    await inDatabase(address, (client) => client.query(`ALTER DATABASE ${name} SET synchronous_commit = off`));
    const { database } = await open(t, address);
    const names = ["idle_in_transaction_session_timeout", "lock_timeout", "synchronous_commit"];
    const { rows } = await sql<{ setting: string }>`
    SELECT setting FROM pg_settings WHERE name = ANY(${names}) ORDER BY name`.execute(database);
    assert.deepEqual(
      rows.map(({ setting }) => setting),
      ["30000", "20000", "on"],
    );
  },
);

test("a change that the database undid for another one is tried again, and counts once", options, async (t) => {
  const store = await open(t, await newDatabase(cluster));
  let runs = 0;
  await change(contextOf(store), async ({ db, note }) => {
    runs += 1;
    await note("group-made", `group:run-${runs}`);
    await db
      .insertInto("groups")
      .values({ id: `run-${runs}`, title: "", created_at: 0 })
      .execute();
    if (runs < 3) throw Object.assign(new Error("deadlock detected"), { code: "40P01" });
  });
  const groups = await store.database.selectFrom("groups").select("id").where("id", "!=", "all").execute();
  assert.deepEqual(groups, [{ id: "run-3" }]);
  assert.deepEqual(
    (await eventsAfter(store.database, 0, 10)).map(({ sequence, subject }) => [sequence, subject]),
    [[1, "group:run-3"]],
  );
});

/** Read, think, write: two of these at one time would lose one of the two. */
async function countUp(store: Store, name: string, more: boolean): Promise<void> {
  await change(contextOf(store), async ({ db, note }) => {
    const group = db.selectFrom("groups").select("created_at").where("id", "=", "all");
    const { created_at } = await group.executeTakeFirstOrThrow();
    await db
      .updateTable("groups")
      .set({ created_at: created_at + 1 })
      .where("id", "=", "all")
      .execute();
    await note("group-made", `group:${name}`);
    if (more) await note("group-made", `group:${name}-more`);
  });
}

/** Reads events as they come; whoever reads while others write never sees a number before all that are lower. */
function readOn({ database }: Store): { end(): Promise<number[]> } {
  const seen: number[] = [];
  let reading = true;
  const read = (async () => {
    while (reading) {
      const events = await eventsAfter(database, seen.at(-1) ?? 0, 200);
      seen.push(...events.map(({ sequence }) => sequence));
    }
  })();
  const end = async () => {
    reading = false;
    await read;
    return seen;
  };
  return { end };
}

function refusedWith(code: string) {
  return (error: unknown) => error instanceof RebootlessError && error.code === code;
}

test("where all connections are in use for a while, who waits for one gets his turn", options, async (t) => {
  const { database } = await open(t, await newDatabase(cluster));
  // Longer than a connection may take to be made.
  const busy = Array.from({ length: 10 }, () => sql`SELECT pg_sleep(6)`.execute(database));
  assert.deepEqual(await database.selectFrom("groups").select("id").execute(), [{ id: "all" }]);
  await Promise.all(busy);
});
