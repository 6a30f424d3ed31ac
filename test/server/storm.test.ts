/** Half a minute of what `npm run storm:servers` does for ten. */
import { test } from "node:test";
import { storm } from "./storm/storm.ts";
import { withoutPostgres } from "./support/postgres-cluster.ts";

const seconds = 30;

test(
  "servers that are killed at random on one PostgreSQL lose and double nothing",
  {
    skip: withoutPostgres,
    timeout: 300_000,
  },
  async (t) => await storm(t, seconds, (line) => t.diagnostic(line)),
);
