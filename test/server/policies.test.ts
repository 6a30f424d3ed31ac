/** Quality-update policies: what they want by themselves, and deferrals, pauses, rings and expedites over a steered clock. */
import assert from "node:assert/strict";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { catalogAddress } from "../../src/repository/client/catalog-client.ts";
import { runProgram } from "../cli/run-program.ts";
import { openShop } from "../repository/support/shop.ts";
import { type Machine, openServer } from "./support/running-server.ts";

const dayMs = 24 * 60 * 60 * 1000;
const main = path.resolve(import.meta.dirname, "../../src/cli/main.ts");

async function openFleet(t: TestContext) {
  const shop = openShop(t);
  await shop.init();
  await shop.publish("one");
  const address = catalogAddress(shop.repository.publicFolder, shop.folder);
  const firstRoot = path.join(shop.repository.metadataFolder, "1.root.json");
  const server = await openServer(t, { catalog: { address, firstRoot }, repeat: () => () => undefined });
  const local = { REBOOTLESS_STATE: path.join(server.folder, "state") };
  let admin = await server.signIn();
  const ask = (method: string, where: string, body?: unknown) =>
    admin(where, { method, ...(body === undefined ? {} : { body }) });
  const done = async (method: string, where: string, body?: unknown) => {
    const answer = await ask(method, where, body);
    assert.ok(answer.status < 300, `${method} ${where}: ${answer.text}`);
    return answer.body;
  };
  const stateOf = async (machine: Machine, hotpatchId = "one") => {
    const { items } = await done("GET", `/v1/actions?deviceId=${machine.id}&hotpatchId=${hotpatchId}`);
    return items[0]?.state as string | undefined;
  };
  const blocksOf = async (machine: Machine) => {
    const [item] = (await done("GET", `/v1/devices/${machine.id}/states`)).items;
    return (item?.blocks ?? []).map(({ code }: { code: string }) => code) as string[];
  };
  /** Time passes, and the scheduler has ticked; sessions end meanwhile. */
  const pass = async (ms: number) => {
    server.now += ms;
    await server.running.tick();
    admin = await server.signIn();
  };
  await server.running.tick();
  for (const id of ["test", "web"]) await done("POST", "/v1/groups", { id });
  return { shop, server, ask, done, stateOf, blocksOf, pass, local };
}

test("an automatic policy wants what arrives, after its deferral; a pause stops it, and it goes on by itself", {
  timeout: 90_000,
}, async (t) => {
  const { shop, server, ask, done, stateOf, blocksOf, pass } = await openFleet(t);
  const machine = await server.enrol("m", { groupId: "web" });
  const other = await server.enrol("other");
  const policy = await done("POST", "/v1/policies", { title: "servers", groupIds: ["web"], deferralDays: 7 });
  assert.deepEqual([await stateOf(machine), await blocksOf(machine)], [undefined, ["deferral/days"]]);
  const [approval] = (await done("GET", "/v1/approvals")).items;
  assert.deepEqual([approval.source, approval.sourceId, approval.groupId], ["policy", policy.id, "web"]);
  assert.equal((await ask("DELETE", `/v1/approvals/${approval.id}`)).body.code, "approval/managed");
  await pass(7 * dayMs - 1_000);
  assert.equal(await stateOf(machine), undefined);
  await pass(1_000);
  assert.deepEqual([await stateOf(machine), await stateOf(other)], ["offered", undefined]);

  const at = `/v1/policies/${policy.id}`;
  assert.equal((await ask("POST", `${at}/extend`, {})).body.code, "policy/not-paused");
  assert.equal((await ask("POST", `${at}/pause`, { days: 36 })).body.code, "request/invalid");
  await done("POST", `${at}/pause`, { days: 35, reason: "year's end" });
  assert.deepEqual([await stateOf(machine), await blocksOf(machine)], ["withdrawn", ["pause/policy"]]);
  assert.equal((await ask("POST", `${at}/pause`, {})).body.code, "policy/paused");
  await pass(30 * dayMs);
  const extended = await done("POST", `${at}/extend`, {});
  assert.equal(Date.parse(extended.pausedUntil), server.now + 35 * dayMs);
  const late = await server.enrol("late", { groupId: "web" });
  await pass(35 * dayMs - 1_000);
  assert.deepEqual([await stateOf(machine), await stateOf(late)], ["withdrawn", undefined]);
  await pass(1_000);
  assert.deepEqual([await stateOf(machine), await stateOf(late)], ["offered", "offered"]);
  assert.equal((await done("GET", at)).pausedUntil, null);
  await done("POST", `${at}/pause`, {});
  await done("POST", `${at}/resume`);
  assert.equal(await stateOf(machine), "offered");

  await shop.publish("two");
  await pass(61_000);
  assert.equal(await stateOf(machine, "two"), undefined, "each is deferred from its own arrival");
  await pass(7 * dayMs);
  assert.equal(await stateOf(machine, "two"), "offered");
  assert.equal((await ask("DELETE", "/v1/groups/web")).body.code, "policy/in-use");
  await done("DELETE", at);
  assert.deepEqual([await stateOf(machine), (await done("GET", "/v1/approvals")).items], ["withdrawn", []]);
  assert.deepEqual(server.logged, []);
});

test("what a policy is about, whether it wants it, and whether hotpatch is on; expedite skips the deferral, never a hold or a pause", {
  timeout: 90_000,
}, async (t) => {
  const { server, ask, done, stateOf, blocksOf } = await openFleet(t);
  const machine = await server.enrol("m", { groupId: "web" });
  const make = (body: Record<string, unknown>) => done("POST", "/v1/policies", { groupIds: ["web"], ...body });
  await make({ title: "about others", severities: ["low"], products: ["elf/*"], deferralDays: 30 });
  const policy = await make({ title: "mine", severities: ["high"], deferralDays: 5, approvalMethod: "manual" });
  assert.deepEqual([await stateOf(machine), await blocksOf(machine)], [undefined, []]);
  const approval = await done("POST", "/v1/approvals", { hotpatchId: "one", groupId: "all" });
  assert.deepEqual(await blocksOf(machine), ["deferral/days"], "it counts for what a person approves as well");
  await done("DELETE", `/v1/approvals/${approval.id}`);

  const at = `/v1/policies/${policy.id}`;
  const hold = await done("POST", "/v1/holds", { hotpatchIds: ["one"], reason: "Look first." });
  assert.deepEqual((await done("PUT", `${at}/expedites/one`, { reason: "exploited" })).expedited, ["one"]);
  assert.deepEqual([await stateOf(machine), await blocksOf(machine)], [undefined, ["hold/safeguard"]]);
  await done("POST", `/v1/holds/${hold.id}/release`, { reason: "Fine." });
  assert.equal(await stateOf(machine), "offered");
  await done("POST", `${at}/pause`, {});
  assert.equal(await stateOf(machine), "withdrawn");
  await done("POST", `${at}/resume`);
  await done("DELETE", `${at}/expedites/one`);
  assert.equal(await stateOf(machine), "withdrawn");
  await done("PATCH", at, { deferralDays: 0 });
  assert.equal(await stateOf(machine), "withdrawn", "a manual policy wants nothing by itself");
  await done("POST", "/v1/approvals", { hotpatchId: "one", groupId: "web" });
  assert.equal(await stateOf(machine), "offered");
  await done("PATCH", at, { hotpatchEnabled: false });
  assert.deepEqual([await stateOf(machine), await blocksOf(machine)], ["withdrawn", ["policy/hotpatch-off"]]);
  assert.equal((await ask("PUT", `${at}/expedites/one`, {})).body.code, "policy/hotpatch-off");
  await done("PATCH", at, { groupIds: ["test"] });
  assert.equal(await stateOf(machine), "offered", "it is for that group no more");
  assert.deepEqual(server.logged, []);
});

test("rings follow one another by their deferrals, and a device is in the first ring that has it", {
  timeout: 90_000,
}, async (t) => {
  const { server, ask, done, stateOf, pass } = await openFleet(t);
  const first = await server.enrol("first", { groupId: "test" });
  const middle = await server.enrol("middle", { groupId: "web" });
  const last = await server.enrol("last");
  const ring = (name: string, groupId: string, deferralDays: number) => ({ name, groupId, deferralDays });
  const wrong: Record<string, unknown>[] = [
    { rings: [ring("Test", "test", 0)] },
    { rings: [ring("First", "test", 0), ring("Last", "all", 9)] },
    { rings: [ring("Test", "test", 2), ring("Last", "all", 1)] },
    { rings: [ring("Test", "test", 0), ring("Last", "test", 1)] },
    { rings: [ring("Test", "test", 0), ring("Last", "all", 31)] },
    { rings: [ring("Test", "test", 0), ring("Last", "all", 9)], groupIds: ["web"] },
    { rings: Array.from({ length: 16 }, (_, at) => ring(at === 0 ? "Test" : "Last", "all", at)) },
  ];
  for (const body of wrong) {
    const answer = await ask("POST", "/v1/policies", { title: "wrong", ...body });
    assert.equal(answer.body.code, "request/invalid", JSON.stringify(body));
  }
  assert.deepEqual((await done("GET", "/v1/policies")).items, []);
  const rings = [ring("Test", "test", 0), ring("Web", "web", 3), ring("Last", "all", 10)];
  const made = await done("POST", "/v1/policies", { title: "rings", rings });
  assert.deepEqual([made.rings, made.groupIds], [rings, ["test", "web", "all"]]);
  const seen = async () => await Promise.all([first, middle, last].map((machine) => stateOf(machine)));
  assert.deepEqual(await seen(), ["offered", undefined, undefined]);
  await pass(3 * dayMs);
  assert.deepEqual(await seen(), ["offered", "offered", undefined]);
  await pass(7 * dayMs);
  assert.deepEqual(await seen(), ["offered", "offered", "offered"]);
});

const window = (start: string, minutes: number) => ({ start, minutes, weekdays: [], monthly: null });

test("times that cannot be kept are refused", { timeout: 60_000 }, async (t) => {
  const { ask, done } = await openFleet(t);
  const wrong: Record<string, unknown>[] = [
    { windows: [window("25:00", 60)] },
    { windows: [window("08:00", 60)], activeHours: { from: "07:00", to: "10:00" } },
    { timeZone: "Mars/Olympus" },
    { deadlineDays: 31 },
    { windows: [{ ...window("08:00", 60), weekdays: ["Mon"], monthly: { week: 2, weekday: "Tue", plusDays: 0 } }] },
  ];
  for (const body of wrong) {
    const answer = await ask("POST", "/v1/policies", { title: "wrong", groupIds: ["web"], ...body });
    assert.equal(answer.body.code, "request/invalid", JSON.stringify(body));
  }
  assert.deepEqual((await done("GET", "/v1/policies")).items, []);
});

test("windows open and close by the clock of each device; what has not begun is withdrawn, and a deadline passes them", {
  timeout: 90_000,
}, async (t) => {
  const { server, done, stateOf, blocksOf, pass } = await openFleet(t);
  const tellZone = async (machine: Machine, timeZone: string | null) => {
    const answer = await machine.ask("/v1/agent/facts", {
      method: "PATCH",
      body: { base: 0, changes: timeZone === null ? {} : { "host.timeZone": timeZone } },
    });
    assert.equal(answer.status, 200, answer.text);
  };
  const enrolledMs = server.now;
  const [utc, tokyo, begun] = [
    await server.enrol("utc", { groupId: "web" }),
    await server.enrol("tokyo", { groupId: "web" }),
    await server.enrol("begun", { groupId: "web" }),
  ];
  for (const machine of [tokyo, begun]) await tellZone(machine, "Asia/Tokyo");
  // To three in the morning in UTC, which is noon in Tokyo.
  const noonMs = Math.ceil(server.now / dayMs) * dayMs + 3 * 60 * 60 * 1000;
  await pass(noonMs - server.now);
  const times = { windows: [window("12:00", 120)], deadlineDays: 30, graceDays: 7 };
  const policy = await done("POST", "/v1/policies", { title: "noon", groupIds: ["web"], ...times });
  const seen = async () => await Promise.all([utc, tokyo, begun].map((machine) => stateOf(machine)));
  assert.deepEqual(await seen(), [undefined, "offered", "offered"]);
  assert.deepEqual(await blocksOf(utc), ["window/closed"]);
  const preview = await done("GET", `/v1/policies/${policy.id}/windows?deviceId=${tokyo.id}`);
  assert.deepEqual([preview.timeZone, preview.source, preview.openings.length], ["Asia/Tokyo", "device", 5]);
  const tomorrow = new Date(noonMs + dayMs).toISOString().slice(0, 10);
  assert.deepEqual(preview.openings[1], {
    ...{ opensAt: `${tomorrow}T03:00:00.000Z`, closesAt: `${tomorrow}T05:00:00.000Z` },
    ...{ opensAtLocal: `${tomorrow}T12:00:00+09:00`, closesAtLocal: `${tomorrow}T14:00:00+09:00` },
  });
  const action = (await begun.poll()).actions[0] ?? assert.fail();
  for (const event of ["fetch-started", "fetch-done", "plan-done", "apply-started"]) await begun.report(action, event);

  await pass(2 * 60 * 60 * 1000 - 1);
  assert.deepEqual(await seen(), [undefined, "offered", "applying"]);
  await pass(1);
  assert.deepEqual(await seen(), [undefined, "withdrawn", "applying"], "what has begun is finished");
  const [state] = (await done("GET", `/v1/devices/${tokyo.id}/states`)).items;
  const told = `noon are closed until ${tomorrow}T12:00:00+09:00 (Asia/Tokyo, the time zone of the device)`;
  assert.ok(state.reason.includes(told), state.reason);
  await tellZone(tokyo, "Africa/Abidjan");
  await pass(7 * 60 * 60 * 1000);
  assert.deepEqual(await seen(), ["offered", "offered", "applying"], "it moved, and so did its windows");
  await pass(2 * 60 * 60 * 1000);
  assert.deepEqual(await seen(), ["withdrawn", "withdrawn", "applying"]);
  await done("PATCH", `/v1/policies/${policy.id}`, { timeZone: "Asia/Tokyo" });
  await pass(13 * 60 * 60 * 1000);
  assert.deepEqual(
    await seen(),
    ["offered", "withdrawn", "applying"],
    "the zone of the policy is for those that tell none",
  );

  // Hours away, in both zones, from the time of the day at which the deadline comes.
  const apart = `${new Date(enrolledMs + 6 * 60 * 60 * 1000).toISOString().slice(11, 13)}:30`;
  await done("PATCH", `/v1/policies/${policy.id}`, { windows: [window(apart, 1)] });
  assert.deepEqual(await seen(), ["withdrawn", "withdrawn", "applying"]);
  await done("PATCH", `/v1/policies/${policy.id}`, { deadlineDays: 0 });
  await pass(enrolledMs + 7 * dayMs - 1 - server.now);
  assert.deepEqual(await seen(), ["withdrawn", "withdrawn", "applying"], "the grace is not over");
  await pass(1);
  assert.deepEqual(await seen(), ["offered", "offered", "applying"]);
  await done("POST", `/v1/policies/${policy.id}/pause`, {});
  assert.deepEqual(await seen(), ["withdrawn", "withdrawn", "applying"], "a deadline passes no pause of a person");
  assert.deepEqual(server.logged, []);
});

test("a window is announced once, so many hours before, with who waits for it", { timeout: 60_000 }, async (t) => {
  const { server, done, pass } = await openFleet(t);
  for (const name of ["a", "b"]) await server.enrol(name, { groupId: "web" });
  const hourMs = 60 * 60 * 1000;
  const midnightMs = Math.ceil(server.now / dayMs) * dayMs;
  await pass(midnightMs - server.now);
  const times = { windows: [window("12:00", 120)], announceHours: 3 };
  const policy = await done("POST", "/v1/policies", { title: "noon", groupIds: ["web"], ...times });
  assert.equal(policy.announceHours, 3);
  const announced = async () => {
    const { items } = await done("GET", "/v1/events?limit=200");
    return items.filter(({ kind }: { kind: string }) => kind === "window-announced");
  };
  await pass(9 * hourMs - 1);
  assert.deepEqual(await announced(), []);
  await pass(1);
  const [first, ...others] = await announced();
  assert.deepEqual(others, []);
  assert.equal(first.subject, `policy:${policy.id}`);
  const beginsAt = new Date(midnightMs + 12 * hourMs).toISOString();
  assert.deepEqual(first.data, { title: "noon", beginsAt, devices: 2, hotpatchIds: ["one"] });
  await pass(1_000);
  assert.equal((await announced()).length, 1, "the next tick says it no second time");
  await pass(3 * hourMs);
  assert.equal((await announced()).length, 1, "now it is open");
  // Nobody begins, so tomorrow's is announced as well.
  await pass(21 * hourMs);
  assert.equal((await announced()).length, 2);
  await done("PATCH", `/v1/policies/${policy.id}`, { announceHours: 0 });
  await pass(dayMs);
  assert.equal((await announced()).length, 2);
  assert.deepEqual(server.logged, []);
});

test("the commands for policies", { timeout: 90_000 }, async (t) => {
  const { server, stateOf, local: env } = await openFleet(t);
  const machine = await server.enrol("m", { groupId: "web" });
  const say = async (...words: string[]) => {
    const said = await runProgram([main, "policy", ...words], { env });
    assert.equal(said.code, 0, said.error);
    return said.out;
  };
  const made = await say("create", "servers", "--group", "web", "--severity", "high", "--deferral-days", "7");
  const id = /\(([0-9a-f-]{36})\)/.exec(made)?.[1] ?? assert.fail(made);
  assert.match(await say("list"), new RegExp(`^servers +on +automatic +web +7 +${id}$`, "m"));
  assert.match(await say("expedite", id, "one", "--reason", "exploited"), /^Expedited for servers: one\./);
  assert.equal(await stateOf(machine), "offered");
  assert.match(await say("pause", id, "--days", "3", "--reason", "fair"), /^servers is paused until /);
  assert.match(await say("extend", id), /^servers is paused until /);
  assert.match(await say("show", id), /deferral: 7 days[\s\S]*about: high\npaused until: \S+ fair\nexpedited: one/);
  assert.match(await say("resume", id), /^servers goes on\./);
  assert.match(await say("update", id, "--deferral-days", "0", "--title", "all"), /^all \([\s\S]*deferral: 0 days/);
  const timed = await say(
    "update",
    id,
    "--window",
    "second Tue+3 22:00+4h",
    "--active-hours",
    "08:00-17:00",
    "--deadline-days",
    "5",
  );
  assert.match(timed, /windows: second Tue\+3 22:00\+4h\nactive hours: 08:00-17:00\ndeadline: 5 days, grace 0 days/);
  const ahead = await say("windows", id);
  assert.match(ahead, /^Time zone: UTC, since nobody tells another\.\nOPENS[\s\S]*T22:00:00\+00:00 /);
  assert.match(await say("update", id, "--window", "none", "--active-hours", "none"), /all/);
  assert.match(await say("windows", id, "--device", machine.id), /Open at any time\.$/m);
  const ring = async (...words: string[]) => await runProgram([main, "ring", ...words], { env });
  const set = await ring("set", id, "--ring", "Test=test:0", "--ring", "Last=all:10");
  assert.match(set.out, /^Test +test +0\nLast +all +10$/m, set.error);
  assert.equal((await ring("set", id, "--ring", "Test=test")).code, 2);
  assert.match((await ring("list", id)).out, /^Last +all +10$/m);
  assert.match((await ring("remove", id)).out, /^all has no rings\./);
  await say("remove", id);
  assert.match(await say("list"), /^There is no policy\./);
});

test("what was published a moment ago is approved at once, although the catalog was read just before", {
  timeout: 60_000,
}, async (t) => {
  const { shop, ask, done } = await openFleet(t);
  assert.equal((await ask("GET", "/v1/hotpatches/two")).status, 404);
  await shop.publish("two");
  await done("POST", "/v1/approvals", { hotpatchId: "two", groupId: "web" });
  assert.equal((await ask("POST", "/v1/approvals", { hotpatchId: "three", groupId: "web" })).status, 404);
});
