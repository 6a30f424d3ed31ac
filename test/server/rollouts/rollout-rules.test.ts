/** The rules of phased rollouts, each by itself and over random fleets: rings, admission, thresholds, and what follows from them. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { actionStates } from "../../../src/api/schemas/actions.ts";
import { type RolloutSpec, rolloutSignals, rolloutStates } from "../../../src/api/schemas/rollouts.ts";
import { RefusalError } from "../../../src/base/refusal.ts";
import { admitted, nextAdmissionMs, type Opening } from "../../../src/server/rollouts/admission.ts";
import { type Move, nextMove, type Standing } from "../../../src/server/rollouts/advance.ts";
import { type Alike, figuresOf } from "../../../src/server/rollouts/outcomes.ts";
import { checkRings, planRings, ringOfLate, type Target } from "../../../src/server/rollouts/plan-rings.ts";
import { next, rolloutEvents, rolloutTable } from "../../../src/server/rollouts/rollout-machine.ts";
import { hasSucceeded, isReached } from "../../../src/server/rollouts/thresholds.ts";
import { fc } from "../../support/properties.ts";

const hourMs = 60 * 60 * 1000;
const base: RolloutSpec = {
  rings: [
    { name: "canary", takes: { devices: 1 }, opensAt: null },
    { name: "tenth", takes: { percent: 10 }, opensAt: null },
    { name: "rest", takes: null, opensAt: null },
  ],
  ...{ order: "random", siteTag: "site:", pace: { kind: "all" }, success: { percent: 90 }, shortfall: "pause" },
  errors: [{ signals: ["failed", "crashed"], reaches: { percent: 5 }, action: "halt" }],
  ...{ verifyMinutes: 60, silentHours: 24 },
};

function fleet(size: number, sites: number): Target[] {
  return Array.from({ length: size }, (_, index) => ({
    deviceId: `device-${index}`,
    site: sites === 0 ? "" : `site:${index % sites}`,
    groupIds: new Set(index % 7 === 0 ? ["canaries"] : []),
  }));
}

describe("rings", () => {
  test("for any fleet and rings each device is in one ring, the same one for the same seed, whoever is named first", () => {
    const sizes = fc.record({
      size: fc.integer({ min: 0, max: 300 }),
      sites: fc.integer({ min: 0, max: 5 }),
      order: fc.constantFrom("random" as const, "sites" as const),
      shares: fc.array(
        fc.oneof(
          fc.record({ percent: fc.integer({ min: 1, max: 100 }) }),
          fc.record({ devices: fc.integer({ min: 1, max: 50 }) }),
          fc.constant({ groupId: "canaries" }),
        ),
        { maxLength: 4 },
      ),
      seed: fc.string(),
    });
    fc.assert(
      fc.property(sizes, ({ size, sites, order, shares, seed }) => {
        const targets = fleet(size, sites);
        const rings = [...shares, null].map((takes, index) => ({ name: `ring ${index}`, takes, opensAt: null }));
        const placed = planRings(targets, { rings, order }, seed);
        assert.deepEqual(
          placed.map(({ deviceId }) => deviceId).toSorted(),
          targets.map(({ deviceId }) => deviceId).toSorted(),
        );
        const byId = (a: { deviceId: string }, b: { deviceId: string }) => (a.deviceId < b.deviceId ? -1 : 1);
        const again = planRings(targets.toReversed(), { rings, order }, seed);
        assert.deepEqual(again.toSorted(byId), placed.toSorted(byId));
        for (const [ring, takes] of shares.entries()) {
          const own = placed.filter((one) => one.ring === ring);
          assert.deepEqual(
            own.map(({ position }) => position),
            own.map((_, position) => position),
          );
          if ("devices" in takes) assert.ok(own.length <= takes.devices);
          if ("percent" in takes) assert.ok(own.length <= Math.ceil((takes.percent * size) / 100));
        }
      }),
    );
  });
  test("spread over sites, the first of a ring are from as many sites as there are", () => {
    const placed = planRings(fleet(100, 5), { ...base, order: "sites" }, "seed").filter(({ ring }) => ring === 1);
    const sites = Array.from({ length: 5 }, () => 0);
    for (const { deviceId } of placed) {
      const site = Number(deviceId.slice("device-".length)) % 5;
      sites[site] = (sites[site] ?? 0) + 1;
    }
    assert.deepEqual(sites, [2, 2, 2, 2, 2]);
  });
  test("who comes later is in the ring of a group of his, or in the last one", () => {
    const rings = [{ name: "a", takes: { groupId: "canaries" }, opensAt: null }, ...base.rings.slice(1)];
    assert.equal(ringOfLate(rings, new Set(["canaries"])), 0);
    assert.equal(ringOfLate(rings, new Set(["others"])), 2);
  });
  test("rings that cannot be are refused by name", () => {
    const ring = (name: string, takes: (typeof base.rings)[number]["takes"], opensAt: string | null = null) => ({
      name,
      takes,
      opensAt,
    });
    const invalid = { code: "request/invalid" };
    assert.throws(() => checkRings([]), invalid);
    assert.throws(() => checkRings([ring("a", { percent: 5 })]), invalid);
    assert.throws(() => checkRings([ring("a", null), ring("b", null)]), invalid);
    assert.throws(() => checkRings([ring("a", { percent: 5 }), ring("a", null)]), invalid);
    const dates = [ring("a", { percent: 5 }, "2026-12-02T00:00:00.000Z"), ring("b", null, "2026-12-01T00:00:00.000Z")];
    assert.throws(() => checkRings(dates), invalid);
    checkRings(base.rings);
  });
});

describe("admission", () => {
  const opening = (more: Partial<Opening>): Opening => ({
    ...{ size: 10, fromMs: 0, already: 0, opensAtMs: null, pace: { kind: "all" } },
    ...more,
  });
  test("a rate, a duration and a date, to the millisecond", () => {
    const rate = opening({ pace: { kind: "rate", devicesPerHour: 4 } });
    assert.deepEqual(
      [0, hourMs / 4 - 1, hourMs / 4, hourMs - 1, 3 * hourMs].map((at) => admitted(rate, at)),
      [1, 1, 2, 4, 10],
    );
    const duration = opening({ pace: { kind: "duration", hours: 10 } });
    assert.deepEqual(
      [0, hourMs - 1, hourMs, 9 * hourMs, 99 * hourMs].map((at) => admitted(duration, at)),
      [1, 1, 2, 10, 10],
    );
    const date = opening({ opensAtMs: 5_000 });
    assert.deepEqual(
      [0, 4_999, 5_000].map((at) => admitted(date, at)),
      [0, 0, 10],
    );
    assert.deepEqual([nextAdmissionMs(date, 0), nextAdmissionMs(date, 5_000)], [5_000, undefined]);
  });
  test("for any pace: never more than the rate in an hour, all in the end, and the next instant is the one at which one more is let in", () => {
    const paces = fc.record({
      size: fc.integer({ min: 0, max: 500 }),
      part: fc.integer({ min: 0, max: 100 }),
      rate: fc.integer({ min: 1, max: 1_000 }),
      at: fc.integer({ min: 0, max: 200 * hourMs }),
      opensAtMs: fc.option(fc.integer({ min: 0, max: 10 * hourMs })),
    });
    fc.assert(
      fc.property(paces, ({ size, part, rate, at, opensAtMs }) => {
        const already = Math.floor((size * part) / 100);
        const one = opening({ size, already, opensAtMs, pace: { kind: "rate", devicesPerHour: rate } });
        const now = admitted(one, at);
        assert.ok(now >= already && now <= size);
        assert.ok(admitted(one, at + hourMs - 1) - now <= rate);
        assert.equal(admitted(one, 600 * hourMs), size);
        const nextMs = nextAdmissionMs(one, at);
        if (nextMs === undefined) return assert.equal(now, size);
        assert.ok(nextMs > at && admitted(one, nextMs) > now && admitted(one, nextMs - 1) === now);
      }),
    );
  });
});

test("a threshold is reached at its figure: percentages and counts", () => {
  assert.deepEqual(
    [4, 5, 6].map((count) => isReached(count, 100, { percent: 5 })),
    [false, true, true],
  );
  assert.deepEqual(
    [1, 2].map((count) => isReached(count, 100, { devices: 2 })),
    [false, true],
  );
  assert.equal(isReached(0, 0, { percent: 5 }), false, "nobody is not five percent of nobody");
  const ring = (devices: number, succeeded: number) => ({
    name: "",
    devices,
    succeeded,
    granted: devices,
    waiting: 0,
    errors: [],
  });
  assert.equal(hasSucceeded(base, ring(10, 9)), true);
  assert.equal(hasSucceeded(base, ring(10, 8)), false);
  assert.equal(hasSucceeded({ success: { devices: 5 } }, ring(3, 3)), true, "a ring of three cannot have five");
});

test("every pair of a state and an event is in the table or refused by name", () => {
  for (const state of rolloutStates) {
    for (const event of rolloutEvents) {
      const target = rolloutTable[state][event];
      if (target !== undefined) assert.equal(next(state, event), target);
      else
        assert.throws(
          () => next(state, event),
          (error) => refusalOf(error) === "rollout/transition",
        );
    }
  }
});

function refusalOf(error: unknown): string | undefined {
  return error instanceof RefusalError ? error.refusals[0]?.code : undefined;
}

const alikes = fc.record<Alike>({
  ring: fc.integer({ min: 0, max: 2 }),
  count: fc.integer({ min: 1, max: 20 }),
  granted: fc.boolean(),
  state: fc.option(fc.constantFrom(...actionStates)),
  ...{ byGuard: fc.boolean(), crashed: fc.boolean(), leaking: fc.boolean(), slower: fc.boolean() },
  ...{ ineligible: fc.boolean(), silent: fc.boolean() },
});

/** Does what it says until nothing more is to be done. */
function settle(
  start: Standing,
  spec: RolloutSpec,
  rows: readonly Alike[],
  nowMs: number,
): { end: Standing; moves: Move[] } {
  const rings = figuresOf(spec, rows);
  let end = start;
  const moves: Move[] = [];
  for (let turn = 0; turn < 100; turn++) {
    const move = nextMove(spec, end, { rings, nowMs });
    if (move.kind === "none") return { end, moves };
    moves.push(move);
    end = { ...end, ...changeBy(move, end) };
  }
  throw new Error("it never comes to an end");
}

function changeBy(move: Move, { ring, fired }: Standing): Partial<Standing> {
  switch (move.kind) {
    case "fire": {
      const [first] = move.firings;
      const counts = Object.fromEntries(move.firings.map(({ key, count }) => [key, count]));
      const state =
        first?.action === "alert"
          ? {}
          : { state: first?.action === "pause" ? ("paused" as const) : ("halted" as const) };
      return { fired: { ...fired, ...counts }, ...state };
    }
    case "shortfall":
      return { fired: { ...fired, [move.key]: 1 }, state: move.action === "pause" ? "paused" : "halted" };
    case "succeed":
      return { state: "verifying", verifyUntilMs: move.verifyUntilMs };
    case "fall-back":
      return { state: "running", verifyUntilMs: null };
    case "promote":
      return { state: "running", ring: ring + 1, verifyUntilMs: null };
    case "finish":
      return { state: "finished", verifyUntilMs: null };
    case "none":
      return {};
  }
}

test("for any figures: no ring opens behind one that did not succeed or crossed a threshold; a stop at any point ends in the same state", () => {
  const histories = fc.array(
    fc.record({ rows: fc.array(alikes, { maxLength: 12 }), passMs: fc.integer({ min: 0, max: 3 * hourMs }) }),
    {
      minLength: 1,
      maxLength: 8,
    },
  );
  const errors = fc.array(
    fc.record({
      signals: fc.uniqueArray(fc.constantFrom(...rolloutSignals), { minLength: 1, maxLength: 3 }),
      reaches: fc.oneof(
        fc.record({ percent: fc.integer({ min: 1, max: 100 }) }),
        fc.record({ devices: fc.integer({ min: 1, max: 9 }) }),
      ),
      action: fc.constantFrom("alert" as const, "pause" as const, "halt" as const, "baseline" as const),
    }),
    { maxLength: 3 },
  );
  fc.assert(
    fc.property(histories, errors, fc.integer({ min: 0, max: 120 }), (history, errors, verifyMinutes) => {
      const spec = { ...base, errors, verifyMinutes };
      let standing: Standing = { state: "running", ring: 0, verifyUntilMs: null, fired: {} };
      let nowMs = 0;
      for (const { rows, passMs } of history) {
        nowMs += passMs;
        const before = standing;
        const { end, moves } = settle(before, spec, rows, nowMs);
        // What a server that died between any two moves, and read its state anew, comes to.
        let restarted = before;
        for (const move of moves)
          restarted = JSON.parse(JSON.stringify({ ...restarted, ...changeBy(move, restarted) }));
        assert.deepEqual(settle(restarted, spec, rows, nowMs).end, JSON.parse(JSON.stringify(end)));
        const figures = figuresOf(spec, rows);
        for (let ring = before.ring; ring < end.ring; ring++) {
          const figure = figures[ring];
          assert.ok(figure !== undefined && hasSucceeded(spec, figure));
          for (const [index, { reaches, action }] of errors.entries()) {
            const count: number = figure.errors[index] ?? 0;
            const isKnown: boolean = count <= (before.fired[`${ring}/${index}`] ?? 0);
            assert.ok(action === "alert" || isKnown || !isReached(count, figure.devices, reaches));
          }
          assert.ok(
            verifyMinutes === 0 || ring > before.ring || nowMs >= (before.verifyUntilMs ?? Number.POSITIVE_INFINITY),
          );
        }
        if (verifyMinutes > 0) assert.ok(end.ring <= before.ring + 1, "each ring has its verification pause");
        standing = end.state === "paused" ? { ...end, state: "running" } : end;
      }
    }),
  );
});
