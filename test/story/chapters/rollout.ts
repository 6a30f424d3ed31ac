/** Phased rollouts: a good hotpatch goes from the canary to all, and a bad one is halted by its thresholds and taken back. */
import assert from "node:assert/strict";
import type { Rollout } from "../../../src/api/schemas/rollouts.ts";
import { until } from "../../agent/support/scene.ts";
import { hourMs, type Rehearsal } from "../rehearsal.ts";

const canary = 2;
const early = { percent: 20 } as const;
const rings = [
  { name: "canary", takes: { devices: canary }, opensAt: null },
  { name: "early", takes: early, opensAt: null },
  { name: "rest", takes: null, opensAt: null },
];

async function begin(story: Rehearsal, hotpatchId: string, sequence: number): Promise<string> {
  await story.publish(hotpatchId, sequence);
  const errors = [{ signals: ["failed" as const], reaches: { percent: 10 }, action: "halt" as const }];
  const body = { title: hotpatchId, hotpatchId, groupId: "all", rings, errors, verifyMinutes: 60 };
  const { id: rolloutId } = await story.ask("makeRollout", { body });
  await story.ask("startRollout", { params: { rolloutId }, body: {} });
  return rolloutId;
}

/** Waits until it does. */
export async function untilRollout(
  story: Rehearsal,
  rolloutId: string,
  holds: (rollout: Rollout) => boolean,
): Promise<Rollout> {
  let last: Rollout | undefined;
  return await until(
    "the rollout goes on",
    async () => {
      last = await story.ask("getRollout", { params: { rolloutId } });
      return holds(last) && last;
    },
    () => JSON.stringify(last),
  );
}

/** The devices of the ring have it, and the verification pause has passed. */
async function throughRing(story: Rehearsal, rolloutId: string, ring: number): Promise<Rollout> {
  const { hotpatchId } = await untilRollout(story, rolloutId, (rollout) => {
    const counts = rollout.rings[ring];
    return rollout.ring === ring && counts !== undefined && counts.granted === counts.devices;
  });
  const before = (await story.states(hotpatchId)).verified ?? 0;
  await story.work();
  const rollout = await untilRollout(story, rolloutId, ({ state }) => state === "verifying" || state === "finished");
  const expected = rollout.rings.slice(0, ring + 1).reduce((sum, { devices }) => sum + devices, 0);
  assert.deepEqual(await story.states(hotpatchId), { verified: expected }, "nobody of a later ring was offered it");
  assert.ok(expected > before);
  story.tell(`ring ${rollout.rings[ring]?.name}: ${hotpatchId} is verified on ${expected} of ${story.devices.length}`);
  await story.pass(hourMs);
  return rollout;
}

export async function ringByRing(story: Rehearsal): Promise<void> {
  story.chapter("A phased rollout, ring by ring");
  const rolloutId = await begin(story, "four", 4);
  for (const ring of rings.keys()) await throughRing(story, rolloutId, ring);
  await untilRollout(story, rolloutId, ({ state }) => state === "finished");
  await story.untilStates("four", { verified: story.devices.length });
  story.tell(`finished: four is verified on all ${story.devices.length}`);
}

export async function badHotpatch(story: Rehearsal): Promise<void> {
  story.chapter("A bad hotpatch is halted and taken back");
  const rolloutId = await begin(story, "bad", 5);
  const { rings: counts } = await throughRing(story, rolloutId, 0);
  const size = counts[1]?.devices ?? 0;
  await untilRollout(story, rolloutId, ({ ring, rings: [, second] }) => ring === 1 && second?.granted === size);
  const granted = (await story.actions("bad")).filter(({ state }) => state === "offered");
  assert.equal(granted.length, size);
  const failing = new Set(granted.slice(0, Math.ceil(size / 10)).map(({ deviceId }) => deviceId));
  await story.work(({ id }, hotpatchId) => hotpatchId === "bad" && failing.has(id));
  const halted = await untilRollout(story, rolloutId, ({ state }) => state === "halted");
  assert.equal(halted.outcome, "revert");
  story.tell(`${failing.size} of the ${size} of ring early failed, which is the threshold: the rollout is halted`);
  let last: Record<string, number> = {};
  await until(
    "it is taken back everywhere",
    async () => {
      await story.work();
      last = await story.states("bad");
      return (last.verified ?? 0) === 0 && (last.offered ?? 0) === 0 && (last.reverting ?? 0) === 0;
    },
    () => JSON.stringify(last),
  );
  const reached = new Set((await story.actions("bad")).map(({ deviceId }) => deviceId));
  assert.ok(reached.size <= canary + size, "it reached nobody behind the ring in which it was halted");
  assert.equal((await story.states("four")).verified, story.devices.length);
  story.tell(
    `bad is in place nowhere (${JSON.stringify(last)}); ${story.devices.length - reached.size} never saw it; four stays`,
  );
}
