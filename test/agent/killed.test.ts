/** An agent that is killed with -9 before and after each journal entry, effect and report ends right once it is started again. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { confine, isConfined } from "./support/confined.ts";
import { openScene, type Running, type Scene, type Service } from "./support/scene.ts";

const around = (name: string) => [`before ${name}`, `after ${name}`];

const onTheWay = [
  ...["offered", "fetching", "fetched", "planned", "applying", "applied", "verifying", "verified"]
    .map((stage) => `journal ${stage}`)
    .flatMap(around),
  ...["begin", "fetch", "plan", "apply", "verify"].map((effect) => `effect ${effect}`).flatMap(around),
  ...around("process apply"),
  ...["fetch-started", "fetch-done", "plan-done", "apply-started", "apply-done", "verify-started", "verify-done"]
    .map((event) => `report ${event}`)
    .flatMap(around),
  ...around("journal told"),
];

const onTheWayBack = [
  ...["journal reverting", "effect revert", "journal reverted", "report revert-done", "journal told"].flatMap(around),
];

async function killedAt(scene: Scene, folder: string, point: string): Promise<void> {
  const agent = scene.startAgent(folder, point);
  await agent.ended;
  assert.equal(agent.child.signalCode, "SIGKILL", `${point}: ${agent.said}`);
}

async function finished(scene: Scene, state: "verified" | "reverted", agent: Running, services: readonly Service[]) {
  await scene.untilState(state, agent);
  for (const service of services) {
    assert.equal(await service.hole(), state === "verified" ? "closed" : "open");
    assert.equal(service.child.exitCode, null);
  }
}

confine("an agent that is killed at each step", import.meta.filename);

if (isConfined) {
  test("on the way in and on the way back", { timeout: 530_000 }, async (t) => {
    const scene = await openScene(t);
    const services = [await scene.startService()];
    const folder = await scene.enrol("web-1");
    await scene.approve();
    for (const [index, point] of onTheWay.entries()) {
      if (index > 0) await scene.request("offer");
      await killedAt(scene, folder, point);
      let agent = scene.startAgent(folder);
      await finished(scene, "verified", agent, services);
      const back = onTheWayBack[index];
      if (back !== undefined) await agent.end();
      await scene.request("revert");
      if (back !== undefined) {
        await killedAt(scene, folder, back);
        agent = scene.startAgent(folder);
      }
      await finished(scene, "reverted", agent, services);
      await agent.end();
    }
    t.diagnostic(`killed at ${onTheWay.length + onTheWayBack.length} points`);
  });
}
