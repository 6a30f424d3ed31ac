/** A policy with update rings brings a hotpatch by days; a hold, a pause and a late joiner meet it on its way. */
import assert from "node:assert/strict";
import { dayMs, type Rehearsal } from "../rehearsal.ts";
import { tellFacts } from "../support/simulated-fleet.ts";
import { facts, testDevices } from "./fleet.ts";

const ring = (name: string, groupId: string, deferralDays: number) => ({ name, groupId, deferralDays });

export async function ringsByDays(story: Rehearsal): Promise<string> {
  story.chapter("A policy with rings by days");
  const rings = [ring("Test", "test", 0), ring("Web", "web", 3), ring("Last", "all", 10)];
  const { id } = await story.ask("makePolicy", { body: { title: "monthly", rings } });
  await story.publish("one", 1);
  const web = testDevices + Math.floor(story.size / 4);
  for (const [name, days, devices] of [
    ["Test", 0, testDevices],
    ["Web", 3, web],
    ["Last", 7, story.size],
  ] as const) {
    const done = (await story.states("one")).verified ?? 0;
    await story.pass(days * dayMs);
    const offered = { offered: devices - done };
    await story.untilStates("one", done === 0 ? offered : { ...offered, verified: done });
    await story.work();
    await story.untilStates("one", { verified: devices });
    story.tell(`ring ${name}: one is verified on ${devices} of ${story.size}, and offered to nobody else`);
  }
  return id;
}

export async function hold(story: Rehearsal): Promise<void> {
  story.chapter("A safeguard hold");
  const body = { hotpatchIds: ["two"], filter: 'os.version == "11"', reason: "It is slow on bullseye." };
  const { id: holdId } = await story.ask("makeHold", { body });
  await story.publish("two", 2);
  await story.untilStates("two", { offered: testDevices });
  await story.pass(10 * dayMs);
  const held = Math.floor(story.size / 10);
  await story.untilStates("two", { offered: story.size - held });
  await story.work();
  await story.untilStates("two", { verified: story.size - held });
  const explained = await story.explain(story.devices[9] ?? assert.fail(), "two");
  assert.deepEqual(explained, { state: "onHold", blocks: ["hold/safeguard"] });
  story.tell(`two is verified on ${story.size - held}; the hold keeps it off ${held}`);
  await story.ask("releaseHold", { params: { holdId }, body: { reason: "It was the disk." } });
  await story.work();
  await story.untilStates("two", { verified: story.size });
  story.tell(`the hold is released, and two is verified on all ${story.size}`);
}

export async function pauseAndResume(story: Rehearsal, policyId: string): Promise<void> {
  story.chapter("A pause, and going on");
  const params = { policyId };
  await story.publish("three", 3);
  await story.untilStates("three", { offered: testDevices });
  await story.ask("pausePolicy", { params, body: { days: 35, reason: "the end of the quarter" } });
  await story.untilStates("three", { withdrawn: testDevices });
  await story.pass(11 * dayMs);
  await story.work();
  assert.deepEqual(await story.states("three"), { withdrawn: testDevices });
  assert.equal((await story.explain(story.devices.at(-1) ?? assert.fail(), "three")).state, "paused");
  story.tell("paused: what had not begun is withdrawn, and eleven days later nobody has it");
  await story.ask("resumePolicy", { params });
  await story.untilStates("three", { offered: story.size });
  await story.work();
  await story.untilStates("three", { verified: story.size });
  story.tell(`resumed: three is verified on all ${story.size}`);
}

/** It has what its groups have, at once. */
export async function lateJoiner(story: Rehearsal): Promise<void> {
  story.chapter("A late joiner");
  const device = await story.enrol("late");
  await tellFacts(device, facts);
  await story.work();
  await story.untilStates("three", { verified: story.size + 1 });
  assert.equal((await story.explain(device, "three")).state, "verified");
  story.tell("a device that was enrolled today has the newest hotpatch of its groups");
}
