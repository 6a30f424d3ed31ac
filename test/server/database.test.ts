import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type TestContext, test } from "node:test";
import { RebootlessError } from "../../src/base/errors.ts";
import { change } from "../../src/server/context.ts";
import { applicationId, migrations } from "../../src/server/database/migrations.ts";
import { openDatabase } from "../../src/server/database/open-database.ts";
import { eventsAfter } from "../../src/server/events/events.ts";
import { Signals } from "../../src/server/signals.ts";

function fileOf(t: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), "rebootless-database-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return path.join(folder, "server.sqlite");
}

function refusedWith(code: string) {
  return (error: unknown) => error instanceof RebootlessError && error.code === code;
}

function pragma(file: string, text: string): Record<string, unknown> {
  const raw = new DatabaseSync(file);
  try {
    return { ...raw.prepare(`PRAGMA ${text}`).get() };
  } finally {
    raw.close();
  }
}

test("a new database has the newest shape, and opening it again changes nothing", async (t) => {
  const file = fileOf(t);
  for (let count = 0; count < 2; count++) {
    const { database, close } = await openDatabase({ file });
    const groups = await database.selectFrom("groups").selectAll().execute();
    assert.deepEqual(
      groups.map(({ id }) => id),
      ["all"],
    );
    await close();
    assert.deepEqual(pragma(file, "user_version"), { user_version: migrations.length });
    assert.deepEqual(pragma(file, "application_id"), { application_id: applicationId });
    assert.deepEqual(pragma(file, "journal_mode"), { journal_mode: "wal" });
  }
});

test("a file of an earlier version opens with all that it holds, and its events go on where they were", async (t) => {
  const file = fileOf(t);
  const raw = new DatabaseSync(file);
  raw.exec(readFileSync(path.join(import.meta.dirname, "fixtures", "schema-2.sql"), "utf8"));
  raw.close();
  const store = await openDatabase({ file });
  const { database } = store;
  const [device] = await database.selectFrom("devices").select("name").execute();
  assert.equal(device?.name, "old");
  const context = {
    store,
    signals: new Signals(),
    clock: () => new Date(1_700_000_001_000),
    by: { kind: "server" as const },
  };
  await change(context, ({ note }) => note("server-started", "server"));
  const events = await eventsAfter(database, 0, 10);
  assert.deepEqual(
    events.map(({ sequence, kind }) => [sequence, kind]),
    [
      [3, "device-enrolled"],
      [4, "device-joined"],
      [5, "server-started"],
    ],
  );
  await store.close();
  assert.deepEqual(pragma(file, "user_version"), { user_version: migrations.length });
  assert.deepEqual(pragma(file, "integrity_check"), { integrity_check: "ok" });
});

test("a newer database, another program's, and what is none are left alone", async (t) => {
  const newer = fileOf(t);
  const raw = new DatabaseSync(newer);
  raw.exec(`PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${migrations.length + 1}`);
  raw.close();
  await assert.rejects(openDatabase({ file: newer }), refusedWith("server/state-newer"));
  assert.deepEqual(pragma(newer, "user_version"), { user_version: migrations.length + 1 });
  const foreign = fileOf(t);
  const other = new DatabaseSync(foreign);
  other.exec("PRAGMA application_id = 7; CREATE TABLE theirs (a)");
  other.close();
  await assert.rejects(openDatabase({ file: foreign }), refusedWith("server/state-damaged"));
  const text = fileOf(t);
  writeFileSync(text, "this is no database, and longer than a header of one hundred bytes ".repeat(9));
  await assert.rejects(openDatabase({ file: text }), refusedWith("server/state-damaged"));
});

test("what a transaction began and did not end is not there", async (t) => {
  const { database, close } = await openDatabase({ file: fileOf(t) });
  const failing = database.transaction().execute(async (db) => {
    await db.insertInto("groups").values({ id: "half", title: "half", created_at: 0 }).execute();
    throw new Error("on purpose");
  });
  await assert.rejects(failing, /on purpose/);
  const orphan = database.insertInto("group_members").values({ group_id: "all", device_id: "nobody" }).execute();
  await assert.rejects(orphan, /FOREIGN KEY/);
  assert.equal((await database.selectFrom("groups").selectAll().execute()).length, 1);
  await close();
});

test("changes that come together are each done whole or not at all, and their events have no gap", async (t) => {
  const store = await openDatabase({ file: fileOf(t) });
  t.after(() => store.close());
  const context = {
    store,
    signals: new Signals(),
    clock: () => new Date(1_700_000_000_000),
    by: { kind: "server" as const },
  };
  const group = (id: string) => ({ id, title: id, created_at: 0, parent_id: "all", filter: null });
  const asked = Array.from({ length: 200 }, (_, count) =>
    change(context, async ({ db, note }) => {
      await db
        .insertInto("groups")
        .values(group(`group-${count}`))
        .execute();
      await note("group-made", `group:group-${count}`);
      if (count % 3 === 0) throw new Error(`changed its mind ${count}`);
      // The name of one before, which fails in the database itself.
      if (count % 7 === 0) await db.insertInto("groups").values(group("all")).execute();
      return count;
    }),
  );
  const outcomes = await Promise.allSettled(asked);
  const done = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
  assert.deepEqual(
    done,
    Array.from({ length: 200 }, (_, count) => count).filter((count) => count % 3 !== 0 && count % 7 !== 0),
  );
  const groups = await store.database.selectFrom("groups").select("id").where("id", "<>", "all").execute();
  assert.deepEqual(groups.map(({ id }) => id).toSorted(), done.map((count) => `group-${count}`).toSorted());
  const events = await eventsAfter(store.database, 0, 1000);
  assert.deepEqual(
    events.map(({ sequence, subject }) => [sequence, subject]),
    done.map((count, index) => [index + 1, `group:group-${count}`]),
  );
});
