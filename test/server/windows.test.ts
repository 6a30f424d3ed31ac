/** When maintenance windows are open: weekdays, midnight, the second Tuesday and days after it, changes of the clock, active hours. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type ActiveHours, type MaintenanceWindow, weekdays } from "../../src/api/schemas/policies.ts";
import { windowOf, windowText } from "../../src/cli/commands/policy-windows.ts";
import { forcedAtMs } from "../../src/server/policies/policy-rules.ts";
import type { StoredPolicy } from "../../src/server/policies/stored-policies.ts";
import { nextOpening, nextOpenings, type WindowRules } from "../../src/server/policies/windows.ts";
import { instantOfReading, localInstant, readingAt } from "../../src/server/policies/zoned-time.ts";
import { fc } from "../support/properties.ts";

const dayMs = 24 * 60 * 60 * 1000;

function rulesOf(windows: readonly string[], activeHours: ActiveHours | null = null): WindowRules {
  return { windows: windows.map(windowOf), activeHours };
}

/** The next openings by the clock of the zone, each as `opens closes`. */
function seen(rules: WindowRules, zone: string, from: string, count = 2): string[] {
  return nextOpenings(rules, zone, { nowMs: Date.parse(from), count }).map(({ opensAtMs, closesAtMs }) =>
    [opensAtMs, closesAtMs].map((atMs) => localInstant(zone, atMs)).join(" "),
  );
}

test("windows by weekday, over midnight, and after the second Tuesday, by the clock of the zone", () => {
  const weekend = rulesOf(["Fri,Sat 22:00+4h"]);
  assert.deepEqual(seen(weekend, "America/New_York", "2026-06-05T12:00:00Z"), [
    "2026-06-05T22:00:00-04:00 2026-06-06T02:00:00-04:00",
    "2026-06-06T22:00:00-04:00 2026-06-07T02:00:00-04:00",
  ]);
  const under = nextOpening(weekend, "America/New_York", Date.parse("2026-06-06T05:59:59Z"));
  assert.equal(under?.opensAtMs, Date.parse("2026-06-06T02:00:00Z"), "it is open still on the other side of midnight");
  assert.equal(
    nextOpening(weekend, "America/New_York", Date.parse("2026-06-06T06:00:00Z"))?.opensAtMs,
    Date.parse("2026-06-07T02:00:00Z"),
    "at its end it is closed",
  );
  assert.deepEqual(seen(rulesOf(["second Tue+3 23:30+90m"]), "Europe/Berlin", "2026-09-01T00:00:00Z"), [
    "2026-09-11T23:30:00+02:00 2026-09-12T01:00:00+02:00",
    "2026-10-16T23:30:00+02:00 2026-10-17T01:00:00+02:00",
  ]);
  assert.deepEqual(
    seen(rulesOf(["last Sat+2 01:00+1h"]), "UTC", "2026-02-01T03:00:00Z"),
    ["2026-02-02T01:00:00+00:00 2026-02-02T02:00:00+00:00", "2026-03-02T01:00:00+00:00 2026-03-02T02:00:00+00:00"],
    "the days after may lie in the next month",
  );
});

test("a start that the change to summer time leaves out moves on, one that comes twice is the first, and a span stays as long", () => {
  const [gap, fold] = [rulesOf(["daily 02:30+2h"]), rulesOf(["daily 02:30+2h"])];
  assert.deepEqual(seen(gap, "Europe/Berlin", "2026-03-28T12:00:00Z", 1), [
    "2026-03-29T03:30:00+02:00 2026-03-29T05:30:00+02:00",
  ]);
  assert.deepEqual(seen(fold, "Europe/Berlin", "2026-10-24T12:00:00Z", 1), [
    "2026-10-25T02:30:00+02:00 2026-10-25T03:30:00+01:00",
  ]);
  assert.deepEqual(seen(rulesOf(["daily 02:15+1h"]), "Australia/Lord_Howe", "2026-10-03T12:00:00Z", 1), [
    "2026-10-04T02:45:00+11:00 2026-10-04T03:45:00+11:00",
  ]);
  assert.deepEqual(seen(rulesOf(["daily 22:00+8h"]), "Europe/Berlin", "2026-03-28T12:00:00Z", 1), [
    "2026-03-28T22:00:00+01:00 2026-03-29T07:00:00+02:00",
  ]);
});

test("active hours cut into windows, and alone leave all the rest", () => {
  assert.deepEqual(seen(rulesOf(["daily 06:00+4h"], { from: "08:00", to: "09:00" }), "UTC", "2026-01-05T00:00:00Z"), [
    "2026-01-05T06:00:00+00:00 2026-01-05T08:00:00+00:00",
    "2026-01-05T09:00:00+00:00 2026-01-05T10:00:00+00:00",
  ]);
  assert.deepEqual(
    seen(rulesOf([], { from: "22:00", to: "06:00" }), "Asia/Kolkata", "2026-01-05T00:00:00Z", 3).slice(1),
    ["2026-01-06T06:00:00+05:30 2026-01-06T22:00:00+05:30", "2026-01-07T06:00:00+05:30 2026-01-07T22:00:00+05:30"],
  );
  assert.equal(nextOpening(rulesOf(["daily 08:00+1h"], { from: "07:00", to: "17:00" }), "UTC", 0), undefined);
});

const zones = ["UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kathmandu"];
const anInstant = fc.integer({ min: Date.parse("2010-01-01"), max: Date.parse("2040-01-01") });
const aTime = fc.integer({ min: 0, max: 1439 }).map((minutes) => {
  const two = (value: number) => String(value).padStart(2, "0");
  return `${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
});
const aWindow: fc.Arbitrary<MaintenanceWindow> = fc.record({
  start: aTime,
  minutes: fc.integer({ min: 1, max: 1440 }),
  weekdays: fc.subarray([...weekdays]),
  monthly: fc.constant(null),
});

test("a reading of a clock comes back as itself, but for those that are left out", () => {
  fc.assert(
    fc.property(fc.constantFrom(...zones), anInstant, (zone, atMs) => {
      const reading = readingAt(zone, atMs);
      const back = instantOfReading(zone, reading);
      assert.equal(readingAt(zone, back), reading);
      assert.ok(back <= atMs, "the first of two");
    }),
    { numRuns: 300 },
  );
});

test("openings follow one another, asking in the middle changes none, and nothing is open within active hours", () => {
  const rules = fc.record({
    windows: fc.array(aWindow, { minLength: 1, maxLength: 3 }),
    activeHours: fc.option(fc.record({ from: aTime, to: aTime })),
  });
  fc.assert(
    fc.property(
      rules,
      fc.constantFrom(...zones),
      anInstant,
      fc.double({ min: 0, max: 0.99, noNaN: true }),
      (one, zone, nowMs, part) => {
        const found = nextOpening(one, zone, nowMs);
        if (found === undefined) return;
        const { opensAtMs, closesAtMs } = found;
        assert.ok(opensAtMs < closesAtMs && closesAtMs > nowMs);
        if (closesAtMs - opensAtMs > 3 * dayMs) return;
        const atMs = Math.floor(Math.max(opensAtMs, nowMs) + (closesAtMs - Math.max(opensAtMs, nowMs)) * part);
        assert.deepEqual(nextOpening(one, zone, atMs), found);
        const next = nextOpening(one, zone, closesAtMs);
        assert.ok(next === undefined || next.opensAtMs >= closesAtMs);
      },
    ),
    { numRuns: 150 },
  );
});

test("a deadline counts from the arrival, and who came late has the grace all the same", () => {
  const row = { deadline_days: 5, grace_days: 2 } as StoredPolicy["row"];
  const forced = (arrivedAtMs: number, enrolledAtMs: number, deadline_days: number | null = 5) =>
    forcedAtMs({ row: { ...row, deadline_days } }, { arrivedAtMs, enrolledAtMs });
  assert.equal(forced(10 * dayMs, 0), 17 * dayMs);
  assert.equal(forced(10 * dayMs, 40 * dayMs), 42 * dayMs);
  assert.equal(forced(10 * dayMs, 0, null), Number.POSITIVE_INFINITY);
});

test("a window on the command line comes back as it was given", () => {
  for (const given of ["daily 22:00+4h", "Sat,Sun 00:00+90m", "second Tue+3 22:00+4h", "last Fri 01:30+24h"]) {
    assert.equal(windowText(windowOf(given)), given);
  }
  for (const wrong of ["daily 22:00", "Someday 22:00+4h", "fifth Tue 22:00+4h", "22:00+4h"]) {
    assert.throws(() => windowOf(wrong), { code: "usage/arguments" }, wrong);
  }
});
