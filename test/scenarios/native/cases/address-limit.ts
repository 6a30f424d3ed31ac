import assert from "node:assert/strict";
import type { Scene } from "../scene.ts";
import { describe } from "../scene.ts";

export async function drive(scene: Scene): Promise<void> {
  await scene.build();
  await scene.start();
  await scene.runs("old", "before");
  const first = scene.state();
  const answer = await scene.process("apply");
  assert.equal(answer.exitCode, 1, describe(answer));
  assert.match(JSON.stringify(answer.data), /"code":"failure\/remote-call".*did not give the process \d+ bytes/);
  await scene.runs("old", "after the failure");
  scene.isAsAtFirst(first);
}
