/** A phased rollout that goes on while servers are killed: each ring opens once, and each device is granted once. */
import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import type { Action } from "../../../src/api/schemas/actions.ts";
import type { Event } from "../../../src/api/schemas/events.ts";
import { ask } from "../../../src/cli/server-client.ts";

/** Nobody decides anything else about it. */
export const rolledOut = "five";
const rings = [
  { name: "canary", takes: { devices: 2 }, opensAt: null },
  { name: "half", takes: { percent: 50 }, opensAt: null },
  { name: "rest", takes: null, opensAt: null },
];

/** Answers its id. */
export async function beginRollout(state: string): Promise<string> {
  const body = { title: rolledOut, hotpatchId: rolledOut, groupId: "all", rings, verifyMinutes: 0 };
  const { id: rolloutId } = await ask(state, "makeRollout", { body });
  await ask(state, "startRollout", { params: { rolloutId }, body: {} });
  return rolloutId;
}

/** Once the servers are left alone. */
export async function untilFinished(state: string, rolloutId: string): Promise<void> {
  for (let left = 240; left > 0; left--) {
    const { state: now } = await ask(state, "getRollout", { params: { rolloutId } });
    if (now === "finished") return;
    assert.ok(now === "running" || now === "verifying", now);
    await delay(250);
  }
  assert.fail("the rollout is not finished");
}

export function checkRollout(events: readonly Event[], actions: readonly Action[], devices: readonly string[]): void {
  const own = events.filter(({ kind }) => kind.startsWith("rollout-"));
  const count = (kind: string) => own.filter((event) => event.kind === kind).length;
  assert.deepEqual(
    [count("rollout-started"), count("rollout-ring-opened"), count("rollout-finished")],
    [1, rings.length - 1, 1],
  );
  const granted = own.filter(({ kind }) => kind === "rollout-granted").map(({ data }) => Number(data.devices));
  assert.equal(
    granted.reduce((sum, some) => sum + some, 0),
    devices.length,
    "each device was granted once",
  );
  const verified = actions.filter(({ hotpatchId, state }) => hotpatchId === rolledOut && state === "verified");
  assert.deepEqual(verified.map(({ deviceId }) => deviceId).toSorted(), devices.toSorted());
}
