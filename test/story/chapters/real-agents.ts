/** Machines of their own, with the real agent and a real program whose hole is open: closed ring by ring in the running process, and opened again by taking it back. */
import assert from "node:assert/strict";
import path from "node:path";
import type { TestContext } from "node:test";
import type { Service } from "../../agent/support/scene.ts";
import { Machine } from "../../fleet/support/machine.ts";
import { hourMs, type Rehearsal } from "../rehearsal.ts";
import { untilRollout } from "./rollout.ts";

const names = ["real-1", "real-2", "real-3"];

interface Real {
  readonly name: string;
  readonly service: Service;
  /** Of its first answer; another process would have another. */
  readonly pid: number;
}

async function openReal(test: TestContext, story: Rehearsal, name: string): Promise<Real> {
  const machine = await Machine.open(test, { name });
  const service = await story.scene.startService({ place: machine });
  const folder = path.join(story.scene.folder, name);
  const { token } = await story.ask("makeToken", { body: { groupId: "real" } });
  const words = ["agent", "enrol", "--server", story.address, "--state", folder, "--name", name];
  const { code, error } = await story.scene.say(words, { REBOOTLESS_TOKEN: token });
  assert.equal(code, 0, error);
  story.scene.startAgentWith({ place: machine }, folder);
  assert.equal(await service.hole(), "open");
  return { name, service, pid: service.pid };
}

/** How many of the holes are closed, each in the process that it was open in. */
async function closed(reals: readonly Real[]): Promise<number> {
  const holes = await Promise.all(reals.map(async ({ service }) => await service.hole()));
  for (const { service, pid } of reals) assert.equal(service.pid, pid);
  return holes.filter((hole) => hole === "closed").length;
}

export async function realAgents(test: TestContext, story: Rehearsal): Promise<void> {
  story.chapter("Real agents, and real holes");
  await story.ask("makeGroup", { body: { id: "real" } });
  const reals: Real[] = [];
  for (const name of names) reals.push(await openReal(test, story, name));
  story.tell(`${reals.length} machines with the agent and a service each; the hole of CVE-2022-46175 is open in all`);
  const { hotpatchId } = story.scene;
  await story.publishReal();
  const rings = [
    { name: "canary", takes: { devices: 1 }, opensAt: null },
    { name: "rest", takes: null, opensAt: null },
  ];
  const body = { title: "json5", hotpatchId, groupId: "real", rings, verifyMinutes: 60 };
  const { id: rolloutId } = await story.ask("makeRollout", { body });
  await story.ask("startRollout", { params: { rolloutId }, body: {} });
  await untilRollout(story, rolloutId, ({ state }) => state === "verifying");
  assert.equal(await closed(reals), 1);
  story.tell("ring canary: the hole is closed in one running process, and open in the others");
  await story.pass(hourMs);
  await untilRollout(story, rolloutId, ({ ring, state }) => ring === 1 && state === "verifying");
  await story.pass(hourMs);
  await untilRollout(story, rolloutId, ({ state }) => state === "finished");
  assert.equal(await closed(reals), reals.length);
  story.tell(`ring rest: the hole is closed in all ${reals.length}, in the same processes`);
  for (const { id: actionId } of await story.actions(hotpatchId)) {
    await story.ask("requestAction", { params: { actionId }, body: { event: "revert" } });
  }
  await story.untilStates(hotpatchId, { reverted: reals.length });
  assert.equal(await closed(reals), 0);
  story.tell("taken back: the hole is open in all again, still in the same processes");
}
