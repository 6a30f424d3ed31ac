/** An agent is killed with -9 at points of its course, one after the other, and must end right each time that it is started again. */
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { openScene, type Running, type Scene, type Vulnerable } from "./scene.ts";

export const around = (name: string) => [`before ${name}`, `after ${name}`];

async function killedAt(scene: Scene, folder: string, point: string): Promise<void> {
  const agent = scene.startAgent(folder, point);
  await agent.ended;
  assert.equal(agent.child.signalCode, "SIGKILL", `${point}: ${agent.said}`);
}

async function finished(scene: Scene, state: "verified" | "reverted", agent: Running, service: Vulnerable) {
  await scene.untilState(state, agent);
  assert.equal(await service.hole(), state === "verified" ? "closed" : "open");
  assert.equal(service.child.exitCode, null);
}

export interface Points {
  readonly there: readonly string[];
  readonly back: readonly string[];
}

/** Of the journal, on the way in and on the way back. */
export const journalPoints: Points = {
  there: [
    ...["offered", "fetching", "fetched", "planned", "applying", "applied", "verifying", "verified"]
      .map((stage) => `journal ${stage}`)
      .flatMap(around),
    ...around("journal told"),
  ],
  back: ["journal reverting", "journal reverted", "journal told"].flatMap(around),
};

/** Of the effects and the reports. */
export const effectPoints: Points = {
  there: [
    ...["begin", "fetch", "plan", "prepare", "apply", "verify"].map((effect) => `effect ${effect}`).flatMap(around),
    ...around("process apply"),
    ...["fetch-started", "fetch-done", "plan-done", "apply-started", "apply-done", "verify-started", "verify-done"]
      .map((event) => `report ${event}`)
      .flatMap(around),
  ],
  back: ["effect revert", "report revert-done"].flatMap(around),
};

/** Goes there and back for each point; for the first ones a point on the way back as well. */
export async function killAtEach(
  t: TestContext,
  { there, back }: Points,
  start: (scene: Scene) => Promise<Vulnerable> = async (scene) => await scene.startService(),
): Promise<void> {
  const scene = await openScene(t);
  const service = await start(scene);
  const folder = await scene.enrol("web-1");
  await scene.approve();
  for (const [index, point] of there.entries()) {
    if (index > 0) await scene.request("offer");
    await killedAt(scene, folder, point);
    let agent = scene.startAgent(folder);
    await finished(scene, "verified", agent, service);
    const pointBack = back[index];
    if (pointBack !== undefined) await agent.end();
    await scene.request("revert");
    if (pointBack !== undefined) {
      await killedAt(scene, folder, pointBack);
      agent = scene.startAgent(folder);
    }
    await finished(scene, "reverted", agent, service);
    await agent.end();
  }
}
