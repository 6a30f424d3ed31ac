/**
 * `npm run storm:servers [-- SECONDS]`: three servers on one PostgreSQL are killed at random for ten minutes, or as long as told, under agents and administrators who work at all of them.
 *
 * No decision may be lost or doubled, and the events have no gap.
 */
import { test } from "node:test";
import { storm } from "./server/storm/storm.ts";
import { withoutPostgres } from "./server/support/postgres-cluster.ts";

const seconds = Math.max(1, Number(process.argv[2] ?? 600));

if (withoutPostgres !== false) {
  process.stderr.write("storm: PostgreSQL is not installed; on Debian, `apt-get install postgresql` installs it\n");
  process.exitCode = 1;
} else {
  test(`servers killed at random for ${seconds} s`, { timeout: (seconds + 600) * 1000 }, async (t) => {
    await storm(t, seconds, (line) => process.stderr.write(`storm: ${line}\n`));
  });
}
