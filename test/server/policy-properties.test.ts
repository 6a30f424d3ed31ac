/**
 * Over random fleets, policies, events and stops of the server: a device has an offer if, and only if, its policies let it have one.
 *
 * What policies say is written down here a second time, from docs/policies.md and without the server's code.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import type { AgentEvent } from "../../src/api/schemas/actions.ts";
import { catalogAddress } from "../../src/repository/client/catalog-client.ts";
import { takeReport } from "../../src/server/actions/reports.ts";
import { actingAs } from "../../src/server/context.ts";
import { enrol, makeToken } from "../../src/server/enrolment/enrolment.ts";
import { addMember, makeGroup, removeMember } from "../../src/server/groups/groups.ts";
import { makeHold, releaseHold } from "../../src/server/holds/holds.ts";
import { expedite, pausePolicy, resumePolicy } from "../../src/server/policies/pauses.ts";
import { changePolicy, makePolicy } from "../../src/server/policies/policies.ts";
import { type RunningServer, runServer } from "../../src/server/run-server.ts";
import { openShop, type Shop } from "../repository/support/shop.ts";
import { fc } from "../support/properties.ts";
import { certificateRequest } from "./support/running-server.ts";

const hourMs = 60 * 60 * 1000;
const dayMs = 24 * hourMs;
const hotpatches = ["one", "two", "three"];
const groups = ["web", "test"];
const runs = 20;

interface Device {
  readonly id: string;
  readonly enrolledAt: number;
  readonly groups: Set<string>;
}

interface PlainPolicy {
  readonly id: string;
  readonly groups: readonly { readonly groupId: string; readonly deferralDays: number }[];
  readonly isAutomatic: boolean;
  isEnabled: boolean;
  readonly deadlineDays: number | null;
  readonly graceDays: number;
  /** Hours of the day in UTC, the end not included; null: open at any time. */
  readonly hours: { readonly from: number; readonly count: number } | null;
  pausedUntil: number;
  readonly expedited: Set<string>;
}

interface PolicyPlan {
  readonly at: number;
  readonly hasRings: boolean;
  readonly isAutomatic: boolean;
  readonly deferralDays: number;
  readonly deadlineDays: number | null;
  readonly graceDays: number;
  readonly hours: { readonly from: number; readonly count: number } | null;
}

type Move =
  | { readonly kind: "pass"; readonly hours: number }
  | { readonly kind: "publish" | "stop" }
  | { readonly kind: "policy"; readonly plan: PolicyPlan }
  | { readonly kind: "enrol" | "join" | "leave" | "work" | "fail" | "hold" | "release"; readonly at: number }
  | { readonly kind: "pause" | "resume" | "switch" | "expedite"; readonly at: number; readonly other: number };

const at = fc.nat({ max: 20 });
const plan: fc.Arbitrary<PolicyPlan> = fc.record({
  ...{ at, hasRings: fc.boolean(), isAutomatic: fc.constantFrom(true, true, false), deferralDays: fc.nat({ max: 4 }) },
  ...{ deadlineDays: fc.option(fc.nat({ max: 3 })), graceDays: fc.nat({ max: 2 }) },
  hours: fc.option(fc.record({ from: fc.nat({ max: 23 }), count: fc.integer({ min: 1, max: 10 }) })),
});
const move: fc.Arbitrary<Move> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("pass" as const), hours: fc.integer({ min: 1, max: 40 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom("publish" as const, "stop" as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("policy" as const), plan }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constantFrom("enrol", "join", "leave", "work", "fail", "hold", "release") as fc.Arbitrary<"join">,
      at,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom("pause", "resume", "switch", "expedite") as fc.Arbitrary<"pause">,
      ...{ at, other: at },
    }),
  },
);

class World {
  now = Date.parse("2026-03-01T08:00:00Z");
  readonly devices: Device[] = [];
  readonly policies: PlainPolicy[] = [];
  readonly arrivals = new Map<string, number>();
  readonly holds = new Map<string, string>();
  /** What has begun on a device stays, whatever policies say. */
  readonly begun = new Set<string>();
  /** How often an offer was there, and how often something kept a hotpatch off that a policy wants. */
  readonly seen = { offered: 0, kept: 0 };
  readonly #folder: string;
  readonly #shop: Shop;
  #running: RunningServer | undefined;

  constructor(folder: string, shop: Shop) {
    this.#folder = folder;
    this.#shop = shop;
  }

  get context() {
    return actingAs(this.running.context, { kind: "local" }, this.running.context.reach);
  }

  get running(): RunningServer {
    return this.#running ?? assert.fail("the server does not run");
  }

  async start(): Promise<void> {
    const { repository, folder } = this.#shop;
    this.#running = await runServer({
      ...{
        stateFolder: path.join(this.#folder, "state"),
        host: "127.0.0.1",
        port: 0,
        names: [],
        version: "0.0.0-test",
      },
      catalog: {
        address: catalogAddress(repository.publicFolder, folder),
        firstRoot: path.join(repository.metadataFolder, "1.root.json"),
      },
      clock: () => new Date(this.now),
      repeat: () => () => undefined,
      log: (line) => assert.fail(JSON.stringify(line)),
    });
  }

  async stop(): Promise<void> {
    await this.#running?.close();
    this.#running = undefined;
  }

  async publish(): Promise<void> {
    const next = hotpatches[this.arrivals.size];
    if (next === undefined) return;
    await this.#shop.publish(next);
    await this.context.catalog?.contentWith(next);
    await this.running.tick();
    this.arrivals.set(next, this.now);
  }

  /** By device and hotpatch, as `DEVICE HOTPATCH`. */
  async states(): Promise<Map<string, string>> {
    const rows = await this.context.database.selectFrom("actions").selectAll().orderBy("created_at").execute();
    return new Map(rows.map(({ device_id, hotpatch_id, state }) => [`${device_id} ${hotpatch_id}`, state]));
  }

  /** What docs/policies.md says. */
  isAllowed(device: Device, hotpatchId: string): boolean {
    const arrivedAt = this.arrivals.get(hotpatchId);
    if (arrivedAt === undefined || this.holds.has(hotpatchId)) return false;
    const concerned = this.policies.flatMap((policy) => {
      const place = policy.groups.find(({ groupId }) => groupId === "all" || device.groups.has(groupId));
      return place === undefined ? [] : [{ policy, place }];
    });
    const isWanted = concerned.some(
      ({ policy }) => policy.isEnabled && (policy.isAutomatic || policy.expedited.has(hotpatchId)),
    );
    return (
      isWanted &&
      concerned.every(({ policy, place }) => this.#lets(policy, { ...place, arrivedAt, device, hotpatchId }))
    );
  }

  #lets(
    { isEnabled, pausedUntil, expedited, deadlineDays, graceDays, hours }: PlainPolicy,
    about: { deferralDays: number; arrivedAt: number; device: Device; hotpatchId: string },
  ): boolean {
    const { deferralDays, arrivedAt, device, hotpatchId } = about;
    if (!isEnabled || pausedUntil > this.now) return false;
    const forcedAt =
      deadlineDays === null
        ? Number.POSITIVE_INFINITY
        : Math.max(arrivedAt + deadlineDays * dayMs, device.enrolledAt) + graceDays * dayMs;
    if (this.now >= forcedAt) return true;
    if (!expedited.has(hotpatchId) && this.now < arrivedAt + deferralDays * dayMs) return false;
    if (hours === null) return true;
    const sinceOpen = (this.now - hours.from * hourMs) % dayMs;
    return (sinceOpen + dayMs) % dayMs < hours.count * hourMs;
  }

  async check(): Promise<void> {
    await this.running.tick();
    await this.running.tick();
    const states = await this.states();
    for (const device of this.devices) {
      for (const hotpatchId of hotpatches) {
        const key = `${device.id} ${hotpatchId}`;
        if (this.begun.has(key)) continue;
        const has = states.get(key);
        const isAllowed = this.isAllowed(device, hotpatchId);
        this.seen.offered += Number(isAllowed);
        this.seen.kept += Number(!isAllowed && has === "withdrawn");
        assert.equal(has === "offered", isAllowed, `${hotpatchId} is ${has ?? "not there"}, and allowed: ${isAllowed}`);
      }
    }
  }
}

function pick<Item>(items: readonly Item[], index: number): Item | undefined {
  return items.length === 0 ? undefined : items[index % items.length];
}

async function addDevice(world: World, index: number): Promise<void> {
  const { request } = await certificateRequest();
  const groupId = index % 3 === 0 ? undefined : groups[index % 2];
  const { token } = await makeToken(world.context, groupId === undefined ? {} : { groupId });
  const name = `device-${world.devices.length}`;
  const { deviceId } = await enrol(world.context, { token, name, certificateRequest: request });
  world.devices.push({ id: deviceId, enrolledAt: world.now, groups: new Set(groupId === undefined ? [] : [groupId]) });
}

async function addPolicy(
  world: World,
  { at: index, hasRings, isAutomatic, hours, ...days }: PolicyPlan,
): Promise<void> {
  const { deferralDays, deadlineDays, graceDays } = days;
  const own = pick([...groups, "all"], index) ?? "all";
  const later = deferralDays + (index % 3);
  const window = (from: number, count: number) => ({
    ...{ start: `${String(from).padStart(2, "0")}:00`, minutes: count * 60, weekdays: [], monthly: null },
  });
  const { id } = await makePolicy(
    world.context,
    {
      ...{ title: "p", approvalMethod: isAutomatic ? "automatic" : "manual", deadlineDays, graceDays },
      ...(hours === null ? {} : { windows: [window(hours.from, hours.count)] }),
      ...(hasRings
        ? {
            rings: [
              { name: "Test", groupId: "test", deferralDays },
              { name: "Last", groupId: "all", deferralDays: later },
            ],
          }
        : { groupIds: [own], deferralDays }),
    },
    "the test",
  );
  const places = hasRings
    ? [
        { groupId: "test", deferralDays },
        { groupId: "all", deferralDays: later },
      ]
    : [{ groupId: own, deferralDays }];
  const open = { pausedUntil: 0, isEnabled: true, expedited: new Set<string>() };
  world.policies.push({ id, groups: places, isAutomatic, deadlineDays, graceDays, hours, ...open });
}

const course: readonly AgentEvent[] = [
  ...(["fetch-started", "fetch-done", "plan-done", "apply-started", "apply-done"] as const),
  ...(["verify-started", "verify-done"] as const),
];

/** The first device that has an offer goes through with it, or fails at it. */
async function work(world: World, index: number, isFailing: boolean): Promise<void> {
  const rows = await world.context.database
    .selectFrom("actions")
    .selectAll()
    .where("state", "=", "offered")
    .orderBy("id")
    .execute();
  const action = pick(rows, index);
  if (action === undefined) return;
  const events = isFailing ? [...course.slice(0, 4), "fail" as const] : course;
  for (const event of events) {
    const report = { key: `${action.id}-${event}`, actionId: action.id, event, at: new Date(world.now).toISOString() };
    await takeReport(world.context, action.device_id, report);
  }
  world.begun.add(`${action.device_id} ${action.hotpatch_id}`);
}

async function change(world: World, policy: PlainPolicy, made: Extract<Move, { other: number }>): Promise<void> {
  const { kind, other } = made;
  const isPaused = policy.pausedUntil > world.now;
  if (kind === "pause" && !isPaused) {
    const days = 1 + (other % 5);
    await pausePolicy(world.context, policy.id, { wanted: { days }, by: "the test", extends: false });
    policy.pausedUntil = world.now + days * dayMs;
  } else if (kind === "resume" && isPaused) {
    await resumePolicy(world.context, policy.id, "the test");
    policy.pausedUntil = 0;
  } else if (kind === "switch") {
    policy.isEnabled = !policy.isEnabled;
    await changePolicy(world.context, policy.id, { wanted: { hotpatchEnabled: policy.isEnabled }, by: "the test" });
  } else if (kind === "expedite" && policy.isEnabled) {
    const hotpatchId = pick([...world.arrivals.keys()], other);
    if (hotpatchId === undefined) return;
    await expedite(world.context, { policyId: policy.id, hotpatchId, reason: "", by: "the test" });
    policy.expedited.add(hotpatchId);
  }
}

async function make(world: World, made: Move): Promise<void> {
  switch (made.kind) {
    case "pass":
      world.now += made.hours * hourMs;
      return;
    case "publish":
      return await world.publish();
    case "stop": {
      const before = await world.states();
      await world.stop();
      await world.start();
      assert.deepEqual(await world.states(), before, "a server that starts anew has what it had");
      return;
    }
    case "policy":
      return await addPolicy(world, made.plan);
    case "enrol":
      return await addDevice(world, made.at);
    case "work":
    case "fail":
      return await work(world, made.at, made.kind === "fail");
    case "join":
    case "leave": {
      const device = pick(world.devices, made.at);
      const groupId = groups[made.at % 2] ?? "web";
      if (device === undefined || device.groups.has(groupId) === (made.kind === "join")) return;
      const membership = { groupId, deviceId: device.id };
      await (made.kind === "join" ? addMember : removeMember)(world.context, membership);
      if (made.kind === "join") device.groups.add(groupId);
      else device.groups.delete(groupId);
      return;
    }
    case "hold": {
      const hotpatchId = pick([...world.arrivals.keys()], made.at);
      if (hotpatchId === undefined || world.holds.has(hotpatchId)) return;
      const wanted = { hotpatchIds: [hotpatchId], products: [], reason: "slow" };
      world.holds.set(hotpatchId, (await makeHold(world.context, wanted, "the test")).id);
      return;
    }
    case "release": {
      const [hotpatchId, holdId] = pick([...world.holds], made.at) ?? [];
      if (hotpatchId === undefined || holdId === undefined) return;
      await releaseHold(world.context, holdId, { reason: "", by: "the test" });
      world.holds.delete(hotpatchId);
      return;
    }
    default: {
      const policy = pick(world.policies, made.at);
      if (policy !== undefined) await change(world, policy, made);
    }
  }
}

async function openWorld(t: TestContext): Promise<World> {
  const folder = mkdtempSync(path.join(tmpdir(), "rebootless-world-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const shop = openShop(t);
  await shop.init();
  await shop.publish();
  const world = new World(folder, shop);
  await world.start();
  for (const id of groups) await makeGroup(world.context, { id });
  for (let index = 0; index < 3; index++) await addDevice(world, index);
  await world.publish();
  const all = {
    at: 2,
    hasRings: false,
    isAutomatic: true,
    deferralDays: 1,
    deadlineDays: null,
    graceDays: 0,
    hours: null,
  };
  await addPolicy(world, all);
  return world;
}

test("a device has an offer if, and only if, its policies let it have one, at every moment", {
  timeout: 400_000,
}, async (t) => {
  const seen = { offered: 0, kept: 0 };
  await fc.assert(
    fc.asyncProperty(fc.array(move, { minLength: 15, maxLength: 40, size: "max" }), async (moves) => {
      const world = await openWorld(t);
      try {
        for (const one of moves) {
          await make(world, one);
          await world.check();
        }
        seen.offered += world.seen.offered;
        seen.kept += world.seen.kept;
      } finally {
        await world.stop();
      }
    }),
    { numRuns: runs, interruptAfterTimeLimit: 300_000, endOnFailure: false },
  );
  // A fleet in which nothing happens would hold as well.
  assert.ok(seen.offered > 5 * runs && seen.kept > 5 * runs, JSON.stringify(seen));
  t.diagnostic(JSON.stringify(seen));
});
