/** Servers on one PostgreSQL are killed at random while agents and administrators work at all of them; then the record is checked. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { openShop } from "../../repository/support/shop.ts";
import { newDatabase, openCluster } from "../support/postgres-cluster.ts";
import { checkRecord } from "./check.ts";
import { decide, enrolAgent, type Noted } from "./load.ts";
import { beginRollout, rolledOut, untilFinished } from "./rollout.ts";
import { killAtRandom, StormServer } from "./servers.ts";

const hotpatches = ["one", "two", "three", "four"];
const agentCount = 12;

export async function storm(t: TestContext, seconds: number, tell: (line: string) => void): Promise<void> {
  const cluster = await openCluster(t);
  const folder = mkdtempSync(path.join(tmpdir(), "rebootless-storm-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const shop = openShop(t);
  await shop.init();
  await shop.publish(...hotpatches, rolledOut);
  const place = { folder, shop, database: await newDatabase(cluster), authorityFolder: path.join(folder, "authority") };
  const servers = ["a", "b", "c"].map((name) => new StormServer(place, name));
  t.after(() => Promise.all(servers.map((server) => server.end("SIGKILL"))));
  await Promise.all(servers.map((server) => server.start()));
  const noted: Noted = { reports: [], groups: [], approvals: [], requests: [] };
  const agents = [];
  for (let count = 0; count < agentCount; count++) agents.push(await enrolAgent(servers, `agent-${count}`, noted));
  const devices = agents.map(({ deviceId }) => deviceId);

  const [first] = servers;
  assert.ok(first);
  const rolloutId = await beginRollout(first.state);

  const over = new AbortController();
  const deciding = new AbortController();
  const working = agents.map((agent) => agent.run(over.signal));
  const decisions = ["x", "y"].map((name) => decide(servers, { name, devices, hotpatches }, noted, deciding.signal));
  const killing = killAtRandom(servers, deciding.signal);
  // Whatever of these fails ends the storm at once.
  const failed = Promise.race(
    [...working, ...decisions, killing].map((part) => part.then(() => new Promise(() => {}))),
  );
  const until = performance.now() + seconds * 1000;
  while (performance.now() < until) {
    await Promise.race([failed, delay(Math.min(10_000, until - performance.now()))]);
    tell(`${noted.reports.length} reports, ${noted.approvals.length} approvals, ${noted.requests.length} requests`);
  }
  deciding.abort();
  await Promise.all(decisions);
  const killed = await killing;
  await Promise.race([failed, untilFinished(first.state, rolloutId)]);
  over.abort();
  await Promise.all(working);
  const { events, actions } = await checkRecord(first.state, { noted, devices });
  assert.ok(killed > 0 && noted.reports.length > 0 && noted.approvals.length > 0, "something happened");
  tell(
    `${killed} kills in ${seconds} s: ${noted.reports.length} reports, ${noted.approvals.length} approvals and ${noted.requests.length} requests acknowledged or unanswered; ${actions} actions and ${events} events, no gap, nothing lost or doubled`,
  );
}
