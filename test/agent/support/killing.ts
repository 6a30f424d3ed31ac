/** An agent is killed with -9 at points of its course, one after the other, and must end right each time that it is started again. */
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { openScene, type Running, type Scene, type Service } from "./scene.ts";

export const around = (name: string) => [`before ${name}`, `after ${name}`];

async function killedAt(scene: Scene, folder: string, point: string): Promise<void> {
  const agent = scene.startAgent(folder, point);
  await agent.ended;
  assert.equal(agent.child.signalCode, "SIGKILL", `${point}: ${agent.said}`);
}

async function finished(scene: Scene, state: "verified" | "reverted", agent: Running, service: Service) {
  await scene.untilState(state, agent);
  assert.equal(await service.hole(), state === "verified" ? "closed" : "open");
  assert.equal(service.child.exitCode, null);
}

/** Goes there and back for each point; for the first ones a point on the way back as well. */
export async function killAtEach(t: TestContext, there: readonly string[], back: readonly string[]): Promise<void> {
  const scene = await openScene(t);
  const service = await scene.startService();
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
