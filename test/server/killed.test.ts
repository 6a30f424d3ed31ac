/** A server that is killed in the middle of its work has everything that it acknowledged. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type TestContext, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { Event } from "../../src/api/schemas/events.ts";
import { RebootlessError } from "../../src/base/errors.ts";
import { ask, askAll } from "../../src/cli/server-client.ts";
import { openShop, type Shop } from "../repository/support/shop.ts";
import { clusterOfRun, databaseEnvironment } from "./support/postgres-cluster.ts";

const main = path.resolve(import.meta.dirname, "../../src/cli/main.ts");
const rounds = 5;

interface Started {
  readonly child: ChildProcess;
  /** SIGKILL, and waits until it is gone. */
  kill(): Promise<void>;
}

async function start(t: TestContext, state: string, shop: Shop): Promise<Started> {
  const root = path.join(shop.repository.metadataFolder, "1.root.json");
  const words = ["server", "run", "--state", state, "--port", "0", "--catalog", shop.repository.publicFolder];
  const child = spawn(process.execPath, [main, ...words, "--catalog-root", root], {
    env: { ...process.env, ...(await databaseEnvironment(state)) },
    stdio: ["ignore", "ignore", "pipe"],
  });
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  };
  t.after(kill);
  let said = "";
  await new Promise<void>((resolve, reject) => {
    child.stderr.on("data", (chunk: Buffer) => {
      said += chunk.toString("utf8");
      if (said.includes("Listening on")) resolve();
    });
    child.once("exit", () => reject(new Error(`the server ended: ${said}`)));
  });
  return { child, kill };
}

interface Acknowledged {
  readonly groups: string[];
  readonly approvals: string[];
  readonly removed: string[];
}

/** Changes one thing after the other until the server is gone, and notes what it acknowledged. */
async function work(state: string, name: string, acknowledged: Acknowledged): Promise<void> {
  for (let count = 0; ; count++) {
    const id = `${name}-${count}`;
    try {
      await ask(state, "makeGroup", { body: { id } });
      acknowledged.groups.push(id);
      const approval = await ask(state, "approve", { body: { hotpatchId: "one", groupId: id } });
      acknowledged.approvals.push(approval.id);
      if (count % 3 === 2) {
        await ask(state, "removeGroup", { params: { groupId: id } });
        acknowledged.removed.push(id);
      }
    } catch (error) {
      if (error instanceof RebootlessError && error.code === "server/not-running") return;
      throw error;
    }
  }
}

test("kill -9 in the middle of acknowledged writes loses none of them", { timeout: 240_000 }, async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), "rebootless-killed-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const shop = openShop(t);
  await shop.init();
  await shop.publish("one");
  const state = path.join(folder, "state");
  const acknowledged: Acknowledged = { groups: [], approvals: [], removed: [] };
  for (let round = 0; round < rounds; round++) {
    const server = await start(t, state, shop);
    const before = acknowledged.groups.length;
    const working = [0, 1, 2].map((writer) => work(state, `r${round}-w${writer}`, acknowledged));
    while (acknowledged.groups.length < before + 5 + round * 7) await delay(5);
    await server.kill();
    await Promise.all(working);
  }
  const server = await start(t, state, shop);
  await checkAll(state, acknowledged);
  await server.kill();
  if (clusterOfRun() !== undefined) return;
  const database = new DatabaseSync(path.join(state, "server.sqlite"));
  assert.equal(database.prepare("PRAGMA integrity_check").get()?.integrity_check, "ok");
  assert.deepEqual(database.prepare("PRAGMA foreign_key_check").all(), []);
  database.close();
});

async function checkAll(state: string, acknowledged: Acknowledged): Promise<void> {
  const pageOf = (cursor: string | undefined) => (cursor === undefined ? { query: {} } : { query: { cursor } });
  const groups = new Set((await askAll((cursor) => ask(state, "listGroups", pageOf(cursor)))).map(({ id }) => id));
  const removed = new Set(acknowledged.removed);
  // A removal that was under way when the server died may have come to stay without its word getting out.
  const events = await allEvents(state);
  const said = new Set(events.map(({ kind, subject }) => `${kind} ${subject}`));
  for (const id of acknowledged.groups) {
    assert.ok(said.has(`group-made group:${id}`), id);
    assert.equal(groups.has(id), !said.has(`group-removed group:${id}`), id);
    if (removed.has(id)) assert.ok(!groups.has(id), `${id} was removed`);
  }
  for (const id of acknowledged.approvals) assert.ok(said.has(`approval-made approval:${id}`), id);
  assert.deepEqual(
    events.map(({ sequence }) => sequence),
    events.map((_, index) => index + 1),
    "no gap",
  );
  assert.ok(acknowledged.groups.length > rounds * 5 && removed.size > 0);
}

async function allEvents(state: string): Promise<Event[]> {
  const events: Event[] = [];
  for (;;) {
    const { items } = await ask(state, "listEvents", { query: { after: events.length, limit: 200 } });
    events.push(...items);
    if (items.length === 0) return events;
  }
}

test("one state folder has one server", { timeout: 60_000 }, async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), "rebootless-killed-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const shop = openShop(t);
  await shop.init();
  const state = path.join(folder, "state");
  const first = await start(t, state, shop);
  await assert.rejects(start(t, state, shop), /Another server runs on/);
  assert.ok((await ask(state, "session")).name, "the first one goes on");
  await first.kill();
  const third = await start(t, state, shop);
  await third.kill();
});
