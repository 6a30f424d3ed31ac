/**
 * The tests of the server that touch its database, once more on PostgreSQL: one cluster for all of them, a database for each test.
 *
 * By hand, and for one of them: `npm test -- on-postgres` runs all; REBOOTLESS_TEST_POSTGRES names the folder of a socket of a cluster that runs.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { test } from "node:test";
import { openCluster, sharedCluster, withoutPostgres } from "./support/postgres-cluster.ts";

const root = path.resolve(import.meta.dirname, "../..");

/** Those that are left out ask no database, look into the file of SQLite, or are about the other side of the wire. */
const files = [
  "actions",
  "advisories",
  "api-tokens",
  "approvals",
  "audit",
  "device-states",
  "dry-run",
  "enrolment",
  "event-retention",
  "four-eyes",
  "gates",
  "idempotency",
  "killed",
  "people",
  "permissions",
  "policies",
  "rollouts/rollouts",
  "renewal",
  "servicing",
  "sign-in/oidc",
  "sign-in/passwords",
  "webhooks/webhooks",
].map((name) => `test/server/${name}.test.ts`);

test("the server's tests hold on PostgreSQL", { skip: withoutPostgres, timeout: 540_000 }, async (t) => {
  const cluster = await openCluster(t);
  const child = spawn(process.execPath, ["--test", "--test-concurrency=2", "--test-reporter=spec", ...files], {
    cwd: root,
    // Left over from this test's runner, the first would make that of the child report to it instead of running.
    env: { ...process.env, NODE_TEST_CONTEXT: undefined, [sharedCluster]: cluster.socket },
    stdio: ["ignore", "pipe", "pipe"],
  });
  t.after(() => child.kill("SIGKILL"));
  let said = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
  }
  const [code] = await once(child, "close");
  assert.equal(code, 0, said);
  // A run that finds no test succeeds as well.
  assert.ok(Number(/^ℹ pass (\d+)$/m.exec(said)?.[1]) > 20, said);
});
