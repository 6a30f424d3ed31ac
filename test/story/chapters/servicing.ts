/** The servicing calendar: a fix that needs a restart, an update that knocks a device off the track, and an emergency between the months. */
import assert from "node:assert/strict";
import type { Baseline } from "../../../src/repository/baseline.ts";
import { silentRelease } from "../../../src/repository/release-facts.ts";
import { dayMs, hourMs, type Rehearsal } from "../rehearsal.ts";
import { inTurn, type SimulatedDevice, tellFacts } from "../support/simulated-fleet.ts";

/** January, April, July and October. */
const baselineMonths: ReadonlySet<string> = new Set(["01", "04", "07", "10"]);
const unplanned = "unplanned";
const planned = "planned";

function month(): string {
  return new Date().toISOString().slice(0, 7);
}

function today(): string {
  return new Date().toISOString().slice(0, 10);
}

function isBaselineMonth(): boolean {
  return baselineMonths.has(month().slice(5));
}

async function passUntil(story: Rehearsal, holds: () => boolean): Promise<void> {
  while (!holds()) await story.pass(dayMs);
}

/** For Debian 12, by the version of one package. */
function baseline(id: string, version: string, more: Partial<Baseline> = {}): Baseline {
  return {
    schema: "rebootless.baseline/1",
    id,
    title: `Debian 12, ${id}`,
    system: { id: "debian", version: "12" },
    unplanned: false,
    requires: { packages: { libexpat1: version } },
    advisories: [],
    supersedes: [],
    ...more,
    release: {
      ...silentRelease(month()),
      ...more.release,
      channel: "standard",
      restart: "required",
      availableAt: today(),
    },
  };
}

/** Those for which the baselines are, every tenth of the first being of another release. */
function bookworm(story: Rehearsal): SimulatedDevice[] {
  return story.devices.filter((_, index) => index >= story.size || index % 10 !== 9);
}

async function install(devices: readonly SimulatedDevice[], version: string): Promise<void> {
  await inTurn(devices, (device) => tellFacts(device, { packages: { libexpat1: version } }));
}

async function approve(story: Rehearsal, hotpatchId: string): Promise<void> {
  await story.ask("approve", { body: { hotpatchId, groupId: "all", reason: "It closes a hole." } });
}

const on = (id: string) => ({ ...silentRelease(month()), baseline: id });

export async function unplannedBaseline(story: Rehearsal): Promise<void> {
  story.chapter("An unplanned baseline");
  await passUntil(story, () => !isBaselineMonth());
  await story.publishBaseline(baseline(unplanned, "2.5.0-1+deb12u1", { unplanned: true }));
  const { rows } = await story.ask("getCalendar", { query: { from: month(), months: 1 } });
  const row = rows.find(({ id }) => id === unplanned) ?? assert.fail("the calendar does not show it");
  assert.match(row.updateType, /B\*$/);
  story.tell(`a fix that cannot be a hotpatch: the calendar has ${row.updateType}, ${row.type}`);
  await story.publish("five", 6, on(unplanned));
  await approve(story, "five");
  const [first, other] = [story.devices[0], story.devices[9]];
  const behind = await story.explain(first ?? assert.fail(), "five");
  assert.deepEqual(behind, { state: "awaitingBaseline", blocks: ["baseline/behind"] });
  const elsewhere = await story.explain(other ?? assert.fail(), "five");
  assert.deepEqual(elsewhere, { state: "ineligible", blocks: ["eligibility/unmet"] });
  assert.deepEqual(await story.states("five"), {});
  story.tell("the hotpatch behind it is offered to nobody yet: the baseline comes first");
  const devices = bookworm(story);
  await install(devices, "2.5.0-1+deb12u1");
  await story.untilStates("five", { offered: devices.length });
  await story.work();
  await story.untilStates("five", { verified: devices.length });
  story.tell(`with the baseline came the hotpatch: five is verified on ${devices.length}; the others are told why not`);
}

export async function offTrack(story: Rehearsal): Promise<void> {
  story.chapter("A device off its track, and back");
  // Which of two is the newer one is told by their days.
  await story.pass(dayMs);
  const release = { ...silentRelease(month()), cadence: "outOfBand", track: "leaves" } as const;
  const aside = baseline("aside", "2.5.0-1+deb12u2", { release });
  await story.publishBaseline(aside);
  const devices = bookworm(story);
  const knocked = devices[0] ?? assert.fail();
  await install([knocked], "2.5.0-1+deb12u2");
  await story.publish("six", 7, on(unplanned));
  await approve(story, "six");
  await story.untilStates("six", { offered: devices.length - 1 });
  await story.work();
  await story.untilStates("six", { verified: devices.length - 1 });
  assert.deepEqual(await story.explain(knocked, "six"), { state: "offTrack", blocks: ["track/off"] });
  const { offTrack: off } = await story.ask("getDeviceServicing", { params: { deviceId: knocked.id } });
  assert.equal(off?.by, "aside");
  story.tell(`${knocked.name} took an out-of-band update by hand: off the track until ${off.until}, and it says so`);
  await passUntil(story, () => month() >= off.until);
  assert.ok(isBaselineMonth(), "off the track is until the next baseline month");
  await story.publishBaseline(baseline(planned, "2.5.0-1+deb12u3", { supersedes: [unplanned] }));
  await story.publish("seven", 8, on(planned));
  await approve(story, "seven");
  assert.deepEqual(await story.explain(knocked, "seven"), {
    ...{ state: "awaitingBaseline", blocks: ["baseline/behind"] },
  });
  await install(devices, "2.5.0-1+deb12u3");
  await story.untilStates("seven", { offered: devices.length });
  await story.work();
  await story.untilStates("seven", { verified: devices.length });
  story.tell(`the baseline of ${month()} brings it back: seven is verified on all ${devices.length}`);
}

export async function emergency(story: Rehearsal): Promise<void> {
  story.chapter("An emergency out of band");
  const ring = (name: string, groupId: string, deferralDays: number) => ({ name, groupId, deferralDays });
  const rings = [ring("Test", "test", 7), ring("Last", "all", 14)];
  const { id: policyId } = await story.ask("makePolicy", { body: { title: "slow", rings } });
  await story.publish("urgent", 9, { ...on(planned), cadence: "outOfBand" });
  const [first = assert.fail()] = story.devices;
  await story.untilExplained(first, "urgent", { state: "eligible", blocks: ["deferral/days"] });
  assert.deepEqual(await story.states("urgent"), {});
  story.tell("a hole is being used: urgent is published out of band, and the policy would wait for seven days");
  const from = Date.now();
  const params = { policyId, hotpatchId: "urgent" };
  await story.ask("expedite", { params, body: { reason: "CVE-2026-9999 is being used" } });
  const devices = bookworm(story);
  await story.untilStates("urgent", { offered: devices.length });
  await story.work();
  await story.untilStates("urgent", { verified: devices.length });
  assert.ok(Date.now() - from < hourMs, "no time was passed");
  await story.ask("removePolicy", { params: { policyId } });
  story.tell(`expedited: urgent is verified on all ${devices.length} within the same hour`);
}
