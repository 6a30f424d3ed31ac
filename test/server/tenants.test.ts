/** Tenants are kept apart: what is one's is nothing to the servers of another, in folders beside each other and in one PostgreSQL. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { openDatabase } from "../../src/server/database/open-database.ts";
import { Signals } from "../../src/server/signals.ts";
import { runProgram } from "../cli/run-program.ts";
import { inDatabase, newDatabase, openCluster, withoutPostgres } from "./support/postgres-cluster.ts";
import { openServer } from "./support/running-server.ts";
import { ServerProcess } from "./support/server-process.ts";

const main = path.resolve(import.meta.dirname, "../../src/cli/main.ts");

async function keepApart(t: TestContext, database?: string): Promise<void> {
  const more = (tenant: string) => (database === undefined ? { tenant } : { tenant, database });
  const acme = await openServer(t, more("acme"));
  const globex = await openServer(t, more("globex"));
  const [ada, ben] = [await acme.signIn(), await globex.signIn()];
  const machine = await acme.enrol("web-1");
  assert.equal((await ada("/v1/groups", { method: "POST", body: { id: "secret" } })).status, 201);
  assert.equal((await ada("/v1/devices")).body.items.length, 1);
  assert.deepEqual((await ben("/v1/devices")).body.items, []);
  const { items: groups } = (await ben("/v1/groups")).body;
  assert.deepEqual(
    groups.map(({ id }: { id: string }) => id),
    ["all"],
  );
  assert.equal((await ben(`/v1/devices/${machine.id}`)).status, 404);
  const { items: events } = (await ben("/v1/events?limit=200")).body;
  assert.ok(!JSON.stringify(events).includes(machine.id));
  const certified = { key: machine.key, cert: machine.cert };
  assert.equal((await acme.ask("/v1/agent/actions", { tls: certified })).status, 200);
  assert.equal(
    (await globex.ask("/v1/agent/actions", { tls: certified })).status,
    401,
    "its certificate is a stranger's",
  );
  const token = (await ada("/v1/enrolment-tokens", { method: "POST", body: {} })).body.token as string;
  const body = { token, name: "spy", certificateRequest: machine.request };
  assert.equal((await globex.ask("/v1/enrol", { method: "POST", body })).body.code, "access/token-invalid");
  const link = new URL(await acme.running.signInLink());
  const used = await globex.ask(`${link.pathname}${link.search}`);
  assert.deepEqual([used.status, used.body.code], [403, "access/token-invalid"]);
  for (const server of [acme, globex]) assert.deepEqual(server.logged, []);
}

test("two tenants in folders of their own", async (t) => {
  await keepApart(t);
});

test("two tenants in one PostgreSQL", { skip: withoutPostgres, timeout: 120_000 }, async (t) => {
  const address = await newDatabase(await openCluster(t));
  await keepApart(t, address);
  const schemas = await inDatabase(address, async (client) => {
    const { rows } = await client.query("SELECT schemaname FROM pg_tables WHERE tablename = 'devices' ORDER BY 1");
    return rows.map(({ schemaname }) => schemaname);
  });
  assert.deepEqual(schemas, ["tenant_acme", "tenant_globex"]);
});

test("in one PostgreSQL no tenant waits for another, or hears it", {
  skip: withoutPostgres,
  timeout: 120_000,
}, async (t) => {
  const address = await newDatabase(await openCluster(t));
  const open = async (tenant: string) => {
    const store = await openDatabase({ file: "", address, tenant });
    t.after(() => store.close());
    return store;
  };
  const [one, same, other] = [await open("a"), await open("a"), await open("b-2")];
  const heard: string[] = [];
  for (const [name, store] of Object.entries({ same, other })) {
    const signals = new Signals();
    const send = signals.send.bind(signals);
    signals.send = (signal) => {
      heard.push(`${name} ${signal}`);
      send(signal);
    };
    await store.listen(signals);
  }
  await one.alone(async () => {
    assert.equal(await same.alone(async () => assert.fail("two of one tenant at once")), false);
    assert.equal(await other.alone(async () => undefined), true);
  });
  await one.transaction("fleet", async (db) => {
    await other.transaction("fleet", async () => undefined);
    await one.announce(db, ["word"]);
  });
  await other.transaction("fleet", (db) => other.announce(db, ["end"]));
  while (!heard.includes("other end") || !heard.includes("same word"))
    await new Promise((done) => setTimeout(done, 10));
  assert.deepEqual(heard.toSorted(), ["other end", "same word"]);
});

test("the commands find the server of a tenant by its name", { timeout: 60_000 }, async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), "rebootless-tenants-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const server = new ServerProcess(folder, { words: ["--tenant", "acme"] });
  t.after(() => server.end("SIGKILL"));
  await server.start();
  const say = async (...words: string[]) => await runProgram([main, ...words, "--state", folder]);
  const made = await say("group", "create", "web", "--tenant", "acme");
  assert.deepEqual([made.code, made.error], [0, ""]);
  const nobody = await say("group", "list");
  assert.equal(nobody.code, 1, "the folder itself has no server");
  const bad = await say("group", "list", "--tenant", "../acme");
  assert.equal(bad.code, 2);
  assert.match(bad.error, /The name of a tenant has/);
});
