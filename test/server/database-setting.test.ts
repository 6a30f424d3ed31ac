/** How a server is told of its PostgreSQL: TLS as the address says, and no password where others can read it. */
import assert from "node:assert/strict";
import { chmodSync, chownSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { RebootlessError } from "../../src/base/errors.ts";
import { Authority } from "../../src/server/authority/authority.ts";
import { openDatabase } from "../../src/server/database/open-database.ts";
import { postgresAddress } from "../../src/server/database/postgres-address.ts";
import { runProgram } from "../cli/run-program.ts";
import { inDatabase, OwnCluster, withoutPostgres } from "./support/postgres-cluster.ts";

const main = path.resolve(import.meta.dirname, "../../src/cli/main.ts");
const options = { timeout: 120_000 };
const password = "correct horse/battery";

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), "rebootless-setting-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" && address !== null ? address.port : 0;
}

test("the address decides on TLS: with a certificate that it trusts, for that name, or not at all", {
  ...options,
  skip: withoutPostgres,
}, async (t) => {
  const folder = folderOf(t);
  const clock = () => new Date();
  const authority = await Authority.open(path.join(folder, "authority"), clock);
  await Authority.open(path.join(folder, "other"), clock);
  const { key, certificate } = await authority.serverCredentials(["127.0.0.1"]);
  const port = await freePort();
  const cluster = new OwnCluster([`port=${port}`, "listen_addresses=127.0.0.1", "ssl=on"]);
  t.after(() => cluster.remove());
  const { uid, gid } = statSync(cluster.data);
  const files = { "server.key": key, "server.crt": certificate };
  for (const [name, text] of Object.entries(files)) {
    const file = path.join(cluster.data, name);
    writeFileSync(file, text);
    chmodSync(file, 0o600);
    chownSync(file, uid, gid);
  }
  const rules = "local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n";
  writeFileSync(path.join(cluster.data, "pg_hba.conf"), rules);
  await cluster.start(port);
  await inDatabase(`${cluster.address("postgres")}&port=${port}`, (client) =>
    client.query(`ALTER ROLE tester PASSWORD '${password}'`),
  );
  const base = `postgres://tester:${encodeURIComponent(password)}@127.0.0.1:${port}/postgres`;
  const trusted = path.join(folder, "authority", "root.pem");
  for (const mode of ["verify-full", "require"]) {
    const store = await openDatabase({ file: "", address: `${base}?sslmode=${mode}&sslrootcert=${trusted}` });
    const rows = await store.database.selectFrom("groups").select("id").execute();
    assert.deepEqual(rows, [{ id: "all" }]);
    await store.close();
  }
  const other = path.join(folder, "other", "root.pem");
  const refused = [
    [`?sslmode=verify-full&sslrootcert=${other}`, /certificate/],
    ["?sslmode=require", /certificate/],
    [
      `?sslmode=verify-full&sslrootcert=${trusted}`,
      /Hostname\/IP does not match/,
      base.replace("127.0.0.1", "localhost"),
    ],
    ["?sslmode=disable", /no encryption|pg_hba/],
    ["", /no encryption|pg_hba/],
  ] as const;
  for (const [query, why, address = base] of refused) {
    await assert.rejects(openDatabase({ file: "", address: `${address}${query}` }), (error: unknown) => {
      assert.ok(error instanceof RebootlessError, query);
      assert.equal(error.code, "server/database-refused", `${query} ${error.message}`);
      assert.match(error.message, why, query);
      assert.ok(!error.message.includes("horse"));
      return true;
    });
  }
});

test("a password comes from the environment or a file, and is shown nowhere", options, async (t) => {
  const folder = folderOf(t);
  const run = (words: readonly string[], env: NodeJS.ProcessEnv = {}) =>
    runProgram([main, "server", "run", "--state", path.join(folder, "state"), "--port", "0", ...words], {
      cwd: folder,
      env,
    });
  const address = `postgres://someone:${encodeURIComponent(password)}@127.0.0.1:1/rebootless`;
  const onLine = await run(["--database", address]);
  assert.equal(onLine.code, 2);
  assert.match(onLine.error, /REBOOTLESS_DATABASE or by --database-file/);
  writeFileSync(path.join(folder, "database"), `${address}\n`, { mode: 0o600 });
  const tried = [await run(["--database-file", "database"]), await run([], { REBOOTLESS_DATABASE: address })];
  for (const { code, error } of tried) {
    assert.equal(code, 1);
    assert.match(error, /The database "127\.0\.0\.1\/rebootless" does not answer/);
  }
  for (const { out, error } of [onLine, ...tried]) assert.ok(!`${out}${error}`.includes("horse"));
  assert.equal((await run(["--database", "x", "--database-file", "database"])).code, 2);
  assert.equal((await run(["--database", "mysql://localhost/x"])).code, 2);
  const missing = await run(["--database", "postgres://127.0.0.1/x?sslrootcert=/nonexistent"]);
  assert.equal(missing.code, 2);
  assert.match(missing.error, /a certificate file that it names cannot be read/);
});

test("an address is read as libpq writes it, with a host in either place", () => {
  const socket = postgresAddress("postgresql:///fleet?host=/run/postgresql&user=rebootless");
  assert.deepEqual(
    [socket.config.host, socket.config.database, socket.config.user, socket.hasPassword],
    ["/run/postgresql", "fleet", "rebootless", false],
  );
  assert.equal(postgresAddress("postgres://a:b@db.example:5433/fleet").hasPassword, true);
  assert.equal(postgresAddress("postgres://a@db.example/fleet?password=b").hasPassword, true);
  assert.throws(() => postgresAddress("postgres://a@db.example"), /names no database/);
});
