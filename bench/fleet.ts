/**
 * `npm run bench:fleet [-- --devices N] [--database sqlite|postgresql] [--loaded N]`: what a fleet costs its server, on both databases unless told; then every question about a million devices in a PostgreSQL.
 *
 * The devices are simulated in this one process, and speak as agents do: mutual TLS 1.3, a certificate each, long polls and reports.
 * They share the machine with the server, so seconds of its processor count, and not those of the clock alone.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { parseArgs } from "node:util";
import { ask } from "../src/cli/server-client.ts";
import { enrol, makeToken } from "../src/server/enrolment/enrolment.ts";
import { runServer } from "../src/server/run-server.ts";
import { openShop } from "../test/repository/support/shop.ts";
import { newDatabase, openCluster, withoutPostgres } from "../test/server/support/postgres-cluster.ts";
import { certificateRequest } from "../test/server/support/running-server.ts";
import { ServerProcess } from "../test/server/support/server-process.ts";
import { askAboutFleet, loadFleet } from "./fleet/million.ts";
import { cpuSeconds, residentMiB } from "./fleet/process-cost.ts";
import { type AgentCredentials, SimulatedAgent } from "./fleet/simulated-agent.ts";

const { values } = parseArgs({
  options: {
    devices: { type: "string", default: "10000" },
    database: { type: "string", default: "sqlite,postgresql" },
    seconds: { type: "string", default: "10" },
    loaded: { type: "string", default: "1000000" },
  },
});
const deviceCount = Number(values.devices);
const seconds = Number(values.seconds);
const loaded = Number(values.loaded);
const databases = values.database.split(",").filter((name) => name !== "");
/** Requests under way at one time, where not every device waits. */
const concurrency = 64;
/** Shorter than what a server lets wait. */
const waitMs = 55_000;
/** The aims of the project, beside which the figures are printed. */
const aims = { checkInsPerCore: 2_000, actedSeconds: 60, questionMs: 200 } as const;

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Runs `work` on all items, so many at a time. */
async function inTurn<Item>(items: readonly Item[], work: (item: Item) => Promise<unknown>): Promise<void> {
  const left = items.values();
  await Promise.all(
    Array.from({ length: concurrency }, async () => {
      for (const item of left) await work(item);
    }),
  );
}

interface Fleet {
  readonly folder: string;
  readonly database: string | undefined;
  readonly devices: readonly AgentCredentials[];
}

/** Devices enrol as any do, without the network in between; they share a key, and each has a certificate of its own. */
async function enrolFleet(folder: string, database: string | undefined): Promise<Fleet> {
  const server = await runServer({
    ...{ stateFolder: path.join(folder, "state"), host: "127.0.0.1", port: 0, names: [], version: "0.0.0-bench" },
    ...(database === undefined ? {} : { database }),
    log: (line) => say(JSON.stringify(line)),
  });
  const { key, request } = await certificateRequest();
  const devices: AgentCredentials[] = [];
  const from = performance.now();
  for (let count = 0; count < deviceCount; count++) {
    const { token } = await makeToken(server.context, {});
    const name = `device-${String(count).padStart(6, "0")}`;
    const {
      deviceId,
      certificate,
      authority: ca,
    } = await enrol(server.context, {
      ...{ token, name, certificateRequest: request },
    });
    devices.push({ deviceId, key, certificate, ca });
  }
  say(`enrolled one after the other: ${(deviceCount / ((performance.now() - from) / 1e3)).toFixed(0)} a second`);
  await server.close();
  return { folder, database, devices };
}

interface Cost {
  readonly seconds: number;
  readonly serverSeconds: number;
  readonly databaseSeconds: number;
}

interface Watched {
  readonly server: ServerProcess;
  readonly databasePid: number | undefined;
}

async function costOf({ server, databasePid }: Watched, work: () => Promise<unknown>): Promise<Cost> {
  const spent = () => [cpuSeconds(server.pid ?? 0), databasePid === undefined ? 0 : cpuSeconds(databasePid)] as const;
  const from = performance.now();
  const [serverFrom, databaseFrom] = spent();
  await work();
  const [serverTo, databaseTo] = spent();
  return {
    seconds: (performance.now() - from) / 1e3,
    serverSeconds: serverTo - serverFrom,
    databaseSeconds: databaseTo - databaseFrom,
  };
}

function tell(label: string, count: number, { seconds, serverSeconds, databaseSeconds }: Cost, aim = ""): void {
  const rate = (of: number) => (count / of).toFixed(0).padStart(6);
  const database = databaseSeconds > 0 ? `, and ${rate(databaseSeconds)} of the database` : "";
  say(
    `${label.padEnd(44)} ${rate(seconds)} a second; ${rate(serverSeconds)} a second and core of the server${database}${aim}`,
  );
}

async function measure(watched: Watched, fleet: Fleet): Promise<void> {
  const { server } = watched;
  const agents = fleet.devices.map((credentials) => new SimulatedAgent(server.address, credentials));
  const revisions = new Map<SimulatedAgent, number>();
  const before = residentMiB(server.pid ?? 0);
  const connecting = await costOf(watched, () =>
    inTurn(agents, async (agent) => revisions.set(agent, (await agent.poll(0)).revision)),
  );
  tell("check-ins, each with a connection of its own", agents.length, connecting);
  let checkIns = 0;
  const polling = await costOf(watched, async () => {
    const until = performance.now() + seconds * 1e3;
    while (performance.now() < until) {
      const some = agents.slice(0, Math.min(agents.length, 2_000));
      await inTurn(some, (agent) => agent.poll(0));
      checkIns += some.length;
    }
  });
  tell(
    "check-ins on connections that are kept",
    checkIns,
    polling,
    ` (aim: ${aims.checkInsPerCore} a second and core)`,
  );
  await approveForAll(watched, { agents, revisions, before });
  for (const agent of agents) agent.disconnect();
}

interface Online {
  readonly agents: readonly SimulatedAgent[];
  readonly revisions: ReadonlyMap<SimulatedAgent, number>;
  /** Resident memory of the server before they came, in MiB. */
  readonly before: number;
}

/** All wait; one approval wakes them, and each tells step by step what it does until it has verified. */
async function approveForAll(watched: Watched, { agents, revisions, before }: Online): Promise<void> {
  const { server } = watched;
  const told: number[] = [];
  const acted: number[] = [];
  let approvedAt = 0;
  const waiting = agents.map(async (agent) => {
    const assignment = await agent.poll(waitMs, revisions.get(agent));
    told.push(performance.now() - approvedAt);
    await agent.work(assignment);
    acted.push(performance.now() - approvedAt);
    return assignment.actions.length;
  });
  const all = Promise.all(waiting);
  await untilQuiet(server.pid ?? 0);
  const held = residentMiB(server.pid ?? 0) - before;
  say(`memory of ${agents.length} devices that wait: ${held.toFixed(0)} MiB`);
  approvedAt = performance.now();
  let approved = 0;
  const cost = await costOf(watched, async () => {
    await ask(server.state, "approve", { body: { hotpatchId: "one", groupId: "all" } });
    approved = performance.now() - approvedAt;
    const counts = await all;
    if (counts.some((count) => count !== 1)) throw new Error("a device was not offered what was approved");
  });
  const last = (times: readonly number[]) => (Math.max(...times) / 1e3).toFixed(1);
  say(
    `approval of one hotpatch for all: decided after ${(approved / 1e3).toFixed(1)} s, the last device told after ${last(told)} s, the last one verified after ${last(acted)} s (aim: ${aims.actedSeconds} s for 10000)`,
  );
  tell("reports", agents.length * 7, cost);
}

/** Until the server has taken all that was asked: it uses no more than a tenth of a core. */
async function untilQuiet(pid: number): Promise<void> {
  for (;;) {
    const from = cpuSeconds(pid);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    if (cpuSeconds(pid) - from < 0.1) return;
  }
}

async function measureOn(t: TestContext, kind: string): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), "rebootless-fleet-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const shop = openShop(t);
  await shop.init();
  await shop.publish("one");
  const cluster = kind === "postgresql" ? await openCluster(t) : undefined;
  const database = cluster === undefined ? undefined : await newDatabase(cluster);
  say(`\n${kind}: ${deviceCount} devices`);
  const fleet = await enrolFleet(folder, database);
  const server = new ServerProcess(path.join(folder, "state"), {
    shop,
    ...(database === undefined ? {} : { database }),
  });
  t.after(() => server.end("SIGKILL"));
  await server.start();
  await measure({ server, databasePid: cluster?.pid }, fleet);
  await server.end();
}

for (const kind of databases) {
  const skip = kind === "postgresql" && withoutPostgres;
  test(`a fleet on ${kind}`, { timeout: 3_600_000, skip }, (t) => measureOn(t, kind));
}

async function measureQuestions(t: TestContext): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), "rebootless-million-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const cluster = await openCluster(t, ["max_wal_size=8GB", "shared_buffers=512MB"]);
  const database = await newDatabase(cluster);
  const server = new ServerProcess(path.join(folder, "state"), { database });
  t.after(() => server.end("SIGKILL"));
  await server.start();
  say("");
  await loadFleet(database, loaded, say);
  await askAboutFleet(server.state, aims.questionMs, say);
  await server.end();
}

if (loaded > 0) {
  const name = `questions about ${loaded} devices in a PostgreSQL`;
  test(name, { timeout: 3_600_000, skip: withoutPostgres }, measureQuestions);
}
