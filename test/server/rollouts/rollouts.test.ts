/** Phased rollouts on a real server over a steered clock: rings, thresholds, pauses, and what is taken back. */
import assert from "node:assert/strict";
import path from "node:path";
import { type TestContext, test } from "node:test";
import type { Event } from "../../../src/api/schemas/events.ts";
import type { Rollout } from "../../../src/api/schemas/rollouts.ts";
import { catalogAddress } from "../../../src/repository/client/catalog-client.ts";
import { runProgram } from "../../cli/run-program.ts";
import { openShop } from "../../repository/support/shop.ts";
import { type Machine, openServer } from "../support/running-server.ts";

const minuteMs = 60 * 1000;
const hourMs = 60 * minuteMs;
const main = path.resolve(import.meta.dirname, "../../../src/cli/main.ts");
const applied = [
  ...["fetch-started", "fetch-done", "plan-done", "apply-started", "apply-done", "verify-started", "verify-done"],
];

async function openFleet(t: TestContext, devices: number) {
  const shop = openShop(t);
  await shop.init();
  await shop.publish("one");
  const address = catalogAddress(shop.repository.publicFolder, shop.folder);
  const firstRoot = path.join(shop.repository.metadataFolder, "1.root.json");
  // TLS judges certificates by the clock of the machine, so that a server that starts anew must not be ahead of it.
  const time = { now: Date.now() - 48 * hourMs };
  const server = await openServer(t, {
    ...{ catalog: { address, firstRoot }, repeat: () => () => undefined, clock: () => new Date(time.now) },
  });
  let admin = await server.signIn();
  const ask = (method: string, where: string, body?: unknown) =>
    admin(where, { method, ...(body === undefined ? {} : { body }) });
  const done = async (method: string, where: string, body?: unknown) => {
    const answer = await ask(method, where, body);
    assert.ok(answer.status < 300, `${method} ${where}: ${answer.text}`);
    return answer.body;
  };
  await server.running.tick();
  await done("POST", "/v1/groups", { id: "web" });
  const machines: Machine[] = [];
  for (let count = 0; count < devices; count++) machines.push(await server.enrol(`m${count}`, { groupId: "web" }));
  const stateOf = async ({ id }: Machine) => {
    const { items } = await done("GET", `/v1/actions?deviceId=${id}&hotpatchId=one`);
    return items[0]?.state as string | undefined;
  };
  return {
    ...{ shop, server, ask, done, machines, stateOf },
    /** Time passes and the scheduler has ticked; sessions end meanwhile. */
    async pass(ms: number) {
      time.now += ms;
      await server.running.tick();
      admin = await server.signIn();
    },
    /** The server stops and starts anew; nothing but its database is left of it. */
    async restart() {
      await server.stop();
      await server.start();
      admin = await server.signIn();
    },
    async start(more: Record<string, unknown> = {}): Promise<Rollout> {
      const made = await done("POST", "/v1/rollouts", { title: "all", hotpatchId: "one", groupId: "web", ...more });
      return await done("POST", `/v1/rollouts/${made.id}/start`, { reason: "now" });
    },
    show: ({ id }: Rollout): Promise<Rollout> => done("GET", `/v1/rollouts/${id}`),
    /** The machines in a state. */
    async those(state: string | undefined) {
      const found: Machine[] = [];
      for (const machine of machines) if ((await stateOf(machine)) === state) found.push(machine);
      return found;
    },
    async tell(machine: Machine, events: readonly string[]) {
      const [action] = (await machine.poll()).actions;
      assert.ok(action);
      for (const event of events) assert.equal((await machine.report(action, event)).status, 200, event);
    },
    async blocksOf({ id }: Machine): Promise<string[]> {
      const [item] = (await done("GET", `/v1/devices/${id}/states`)).items;
      return (item?.blocks ?? []).map(({ code }: { code: string }) => code);
    },
    async kinds(): Promise<string[]> {
      const { items } = await done("GET", "/v1/events?after=0&limit=200");
      return items.filter(({ kind }: Event) => kind.startsWith("rollout-")).map(({ kind }: Event) => kind.slice(8));
    },
  };
}

const three = [
  { name: "canary", takes: { devices: 1 }, opensAt: null },
  { name: "half", takes: { percent: 50 }, opensAt: null },
  { name: "rest", takes: null, opensAt: null },
];

test("a hotpatch goes ring by ring, each behind its verification; a late joiner gets it; stops and restarts change nothing", {
  timeout: 120_000,
}, async (t) => {
  const fleet = await openFleet(t, 6);
  const { server, done, those, tell, pass, restart, show, blocksOf, stateOf } = fleet;
  const rollout = await fleet.start({ rings: three, verifyMinutes: 60 });
  assert.deepEqual(
    rollout.rings.map(({ devices, granted }) => [devices, granted]),
    [
      [1, 1],
      [3, 0],
      [2, 0],
    ],
  );
  const [canary] = await those("offered");
  assert.ok(canary);
  const [waiting] = await those(undefined);
  assert.ok(waiting);
  assert.deepEqual(await blocksOf(waiting), ["phase/waiting"]);
  await restart();
  await tell(canary, applied);
  await pass(5_000);
  assert.equal((await show(rollout)).state, "verifying");
  await restart();
  await pass(59 * minuteMs);
  assert.equal((await those("offered")).length, 0, "the verification pause is not over");
  await pass(minuteMs);
  const second = await those("offered");
  assert.deepEqual([second.length, (await show(rollout)).ring], [3, 1]);
  await pass(hourMs);
  assert.deepEqual(
    [(await those("offered")).length, (await show(rollout)).ring],
    [3, 1],
    "nobody is offered it before the ring succeeded",
  );
  for (const machine of second) await tell(machine, applied);
  await pass(5_000);
  await restart();
  await pass(hourMs);
  const last = await those("offered");
  assert.equal(last.length, 2);
  const late = await server.enrol("late", { groupId: "web" });
  await pass(5_000);
  assert.equal(await stateOf(late), "offered", "the last ring is open");
  for (const machine of [...last, late]) await tell(machine, applied);
  await pass(5_000);
  await pass(hourMs);
  const finished = await show(rollout);
  assert.deepEqual([finished.state, finished.rings.map(({ succeeded }) => succeeded)], ["finished", [1, 3, 3]]);
  const later = await server.enrol("later", { groupId: "web" });
  assert.equal(await stateOf(later), "offered", "what a group has, those have who join it");
  assert.equal((await fleet.ask("POST", `/v1/rollouts/${rollout.id}/resume`, {})).body.code, "rollout/transition");
  assert.deepEqual(await fleet.kinds(), [
    ...["made", "started", "granted", "verifying", "ring-opened", "granted", "verifying", "ring-opened", "granted"],
    ...["granted", "verifying", "finished"],
  ]);
  await done("DELETE", `/v1/rollouts/${rollout.id}`);
  assert.deepEqual(server.logged, []);
});

test("a threshold that is reached halts: what is in place is taken back everywhere, the rest never gets it, until another rollout", {
  timeout: 120_000,
}, async (t) => {
  const fleet = await openFleet(t, 6);
  const { ask, done, those, tell, pass, restart, show, machines, stateOf } = fleet;
  const errors = [{ signals: ["failed", "crashed"], reaches: { devices: 2 }, action: "halt" }];
  const rollout = await fleet.start({ rings: three, verifyMinutes: 0, errors });
  const [canary] = await those("offered");
  assert.ok(canary);
  await tell(canary, applied);
  await pass(5_000);
  const [first, second, third] = await those("offered");
  assert.ok(first && second && third);
  await tell(first, ["fetch-started", "fail"]);
  await tell(second, applied);
  await pass(5_000);
  assert.equal((await show(rollout)).state, "running", "one is below the threshold");
  const crashed = await second.ask("/v1/agent/health", {
    method: "POST",
    body: { hotpatchId: "one", signal: "crashed", reason: "SIGSEGV" },
  });
  assert.equal(crashed.status, 204, crashed.text);
  await restart();
  await pass(5_000);
  const halted = await show(rollout);
  assert.deepEqual([halted.state, halted.outcome], ["halted", "revert"]);
  assert.match(halted.reason, /2 of 3 devices of the ring half/);
  const states = await Promise.all(machines.map(stateOf));
  assert.deepEqual(states.toSorted(), ["failed", "reverting", "reverting", "withdrawn", undefined, undefined]);
  await restart();
  await pass(hourMs);
  assert.deepEqual((await Promise.all(machines.map(stateOf))).toSorted(), states.toSorted(), "nothing is done twice");
  await tell(canary, ["revert-started", "revert-done"]);
  await done("POST", "/v1/approvals", { hotpatchId: "one", groupId: "all" });
  assert.equal((await those("offered")).length, 0, "whoever wants it, the rollout keeps it off");
  assert.deepEqual(await fleet.blocksOf(third), ["rollout/taken-back"]);
  const again = await fleet.start({ title: "again", rings: three, verifyMinutes: 0 });
  assert.equal((await show(again)).rings[0]?.granted, 1);
  assert.equal((await ask("DELETE", `/v1/rollouts/${again.id}`)).body.code, "rollout/not-ended");
  await done("POST", `/v1/rollouts/${again.id}/abort`, { outcome: "keep" });
  assert.deepEqual(fleet.server.logged, []);
});

test("a pause stops what has not begun; the pace goes on from the resume and makes up for nothing; a person may promote; an abort keeps or takes back", {
  timeout: 120_000,
}, async (t) => {
  const fleet = await openFleet(t, 5);
  const { ask, done, those, tell, pass, show } = fleet;
  const rollout = await fleet.start({
    ...{ rings: [{ name: "all", takes: null, opensAt: null }], pace: { kind: "rate", devicesPerHour: 2 } },
  });
  assert.equal((await those("offered")).length, 1);
  await pass(30 * minuteMs);
  const [first] = await those("offered");
  assert.ok(first);
  assert.equal((await those("offered")).length, 2);
  await tell(first, applied);
  const at = `/v1/rollouts/${rollout.id}`;
  const paused = await done("POST", `${at}/pause`, { reason: "look first" });
  assert.deepEqual([paused.state, paused.reason], ["paused", "look first"]);
  assert.deepEqual([(await those("verified")).length, (await those("withdrawn")).length], [1, 1]);
  assert.equal((await ask("POST", `${at}/pause`, {})).body.code, "rollout/transition");
  await pass(10 * hourMs);
  assert.equal((await those("offered")).length, 0);
  await done("POST", `${at}/resume`, {});
  assert.equal((await those("offered")).length, 2, "the one that was withdrawn, and one more");
  await pass(29 * minuteMs);
  assert.equal((await those("offered")).length, 2);
  await pass(minuteMs);
  assert.equal((await those("offered")).length, 3);
  assert.equal((await ask("DELETE", "/v1/groups/web")).body.code, "rollout/in-use");
  const other = await done("POST", "/v1/rollouts", { title: "other", hotpatchId: "one", groupId: "web" });
  assert.equal((await ask("POST", `/v1/rollouts/${other.id}/start`, {})).body.code, "rollout/exists");
  const finished = await done("POST", `${at}/promote`, { reason: "no time" });
  assert.deepEqual(
    [finished.state, (await those("offered")).length],
    ["finished", 4],
    "who was not granted gets it now",
  );
  const aborted = await done("POST", `${at}/abort`, { outcome: "revert", reason: "wrong one" });
  assert.deepEqual(
    [aborted.state, (await those("reverting")).length, (await those("withdrawn")).length],
    ["aborted", 1, 4],
  );
  assert.equal((await show(rollout)).outcome, "revert");
  assert.deepEqual(fleet.server.logged, []);
});

test("a ring that is done and did not succeed waits for a person; a threshold that pauses lets go on, and counts anew when it rises; silence counts", {
  timeout: 120_000,
}, async (t) => {
  const fleet = await openFleet(t, 4);
  const { done, those, tell, pass, show } = fleet;
  const errors = [
    { signals: ["revertedByGuard"], reaches: { percent: 25 }, action: "pause" },
    { signals: ["silent"], reaches: { devices: 1 }, action: "alert" },
  ];
  const rings = [
    { name: "first", takes: { devices: 3 }, opensAt: null },
    { name: "rest", takes: null, opensAt: null },
  ];
  const rollout = await fleet.start({ rings, errors, verifyMinutes: 0, silentHours: 2 });
  const [guarded, well, silent] = await those("offered");
  assert.ok(guarded && well && silent);
  await tell(guarded, [...applied, "revert-started", "revert-done"]);
  await tell(well, applied);
  await pass(5_000);
  const paused = await show(rollout);
  assert.equal(paused.state, "paused");
  assert.match(paused.reason, /1 of 3 devices of the ring first: revertedByGuard; the threshold is 25 %/);
  await done("POST", `/v1/rollouts/${rollout.id}/resume`, { reason: "seen" });
  await pass(5_000);
  assert.equal((await show(rollout)).state, "running", "that one was seen");
  await pass(3 * hourMs);
  const short = await show(rollout);
  assert.deepEqual([short.state, short.rings[0]?.signals.silent], ["paused", 1]);
  assert.match(short.reason, /done and did not succeed: 1 of 3/);
  assert.ok((await fleet.kinds()).includes("alert"));
  assert.equal((await those(undefined)).length, 1, "the next ring did not open");
  await done("POST", `/v1/rollouts/${rollout.id}/resume`, {});
  await done("POST", `/v1/rollouts/${rollout.id}/promote`, { reason: "enough" });
  assert.equal((await those(undefined)).length, 0);
  assert.deepEqual(fleet.server.logged, []);
});

test("instead of a hotpatch that did badly the baseline is offered, and each device says so", {
  timeout: 120_000,
}, async (t) => {
  const fleet = await openFleet(t, 3);
  const { done, those, tell, pass, show } = fleet;
  const errors = [{ signals: ["slower"], reaches: { percent: 100 }, action: "baseline" }];
  const rollout = await fleet.start({ rings: three, errors, verifyMinutes: 60 });
  const [canary] = await those("offered");
  const [waiting] = await those(undefined);
  assert.ok(canary && waiting);
  await tell(canary, applied);
  await canary.ask("/v1/agent/health", { method: "POST", body: { hotpatchId: "one", signal: "slower" } });
  await pass(5_000);
  assert.deepEqual([(await show(rollout)).state, (await show(rollout)).outcome], ["halted", "baseline"]);
  await tell(canary, ["revert-started", "revert-done"]);
  for (const { id } of [canary, waiting]) {
    const [item] = (await done("GET", `/v1/devices/${id}/states`)).items;
    assert.deepEqual([item.state, item.code], ["fallbackToBaseline", "baseline/fallback"]);
  }
  assert.deepEqual(fleet.server.logged, []);
});

test("the commands: what would be, what is, and what is wrong", { timeout: 120_000 }, async (t) => {
  const fleet = await openFleet(t, 4);
  await fleet.done("POST", "/v1/holds", { hotpatchIds: ["one"], reason: "Look first.", filter: 'device.name == "m0"' });
  const env = { REBOOTLESS_STATE: path.join(fleet.server.folder, "state") };
  const say = async (...words: string[]) => {
    const { code, out, error } = await runProgram([main, "rollout", ...words], { env });
    return { code, said: out + error };
  };
  const to = ["--hotpatch", "one", "--group", "web"];
  const rings = ["--ring", "canary=1", "--ring", "early=50%", "--ring", "rest"];
  const dry = await say("create", "t", ...to, ...rings, "--dry-run");
  assert.equal(dry.code, 0, dry.said);
  assert.match(dry.said, /rest +1 +\d/);
  assert.match(dry.said, /hold\/safeguard +1/);
  assert.equal((await fleet.done("GET", "/v1/rollouts")).items.length, 0);
  for (const wrong of [
    ["create", "t", "--group", "web"],
    ["create", "t", ...to, "--ring", "a=0%"],
    ["create", "t", ...to, "--error", "sad=1:halt"],
    ["create", "t", ...to, "--rate", "1", "--hours", "1"],
    ["create", "t", ...to, ...rings, "--opens", "none=2026-12-01T00:00:00Z"],
    ["abort", "5f0c1d5e-8f4b-4c8e-9c53-0a6d3a6f7c21"],
  ]) {
    assert.equal((await say(...wrong)).code, 2, wrong.join(" "));
  }
  const started = await say("create", "all of it", ...to, ...rings, "--error", "failed,crashed=2%:halt", "--start");
  assert.match(started.said, /one for web: running/);
  const [rollout] = (await fleet.done("GET", "/v1/rollouts")).items;
  assert.match((await say("list")).said, /all of it +one +web +running +canary +0\/4/);
  assert.match((await say("show", rollout.id, "--devices")).said, /m0 +\w+/);
  assert.match((await say("pause", rollout.id, "--reason", "lunch")).said, /paused: lunch/);
  assert.match((await say("resume", rollout.id)).said, /running/);
  assert.match((await say("promote", rollout.id)).said, /\* +early/);
  assert.match((await say("abort", rollout.id, "--revert")).said, /aborted/);
  assert.match((await say("remove", rollout.id)).said, /Removed/);
});
