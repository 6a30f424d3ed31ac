/** A service under load, patched and reverted ten times: nobody notices, and nothing piles up. No speed is asserted, since machines differ. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { runLoadRounds } from "../../bench/load-rounds.ts";

const MiB = 1024 * 1024;
const rounds = 10;

test("no request fails in ten rounds of apply and revert, and the heap stays", async (t) => {
  const say = (line: string) => t.diagnostic(line);
  const figures = await runLoadRounds({ rounds, connections: 8, requestsPerSecond: 300, say });
  const { load, memory, wrongStates, samePid } = figures;
  assert.equal(load.failed, 0, load.failures.join("; "));
  assert.equal(load.connectionsOpened, 8);
  assert.ok((load.phases.during?.requests ?? 0) > 1000, `${load.phases.during?.requests} requests during the rounds`);
  assert.deepEqual(wrongStates, []);
  assert.ok(samePid);
  // The first round brings the agent in; after it, a round must leave no more than the noise of a collection.
  const grownBytes = memory.afterLast.heapUsedBytes - memory.afterFirst.heapUsedBytes;
  assert.ok(grownBytes < MiB, `the heap grew by ${grownBytes} bytes over ${rounds - 1} rounds`);
});
