import assert from "node:assert/strict";
import { isRefused } from "../drive.ts";
import type { Scene } from "../scene.ts";

export async function drive(scene: Scene): Promise<void> {
  await scene.build();
  await scene.start();
  const before = await scene.report();
  const first = scene.state();
  const answer = await scene.command(
    "apply",
    scene.file,
    "--pid",
    String(scene.pid),
    "--allow-unsigned",
    "--wait",
    "3",
  );
  isRefused(answer, "plan/active-function", /Thread \d+ of process \d+ was in wait_for_ever .*its stack: .*app\+0x/);
  const after = await scene.report();
  assert.deepEqual([after.faults, after.first], [0, ""]);
  assert.ok(after.rounds > before.rounds + 100, "the other threads worked on while it was waited for");
  scene.isAsAtFirst(first);
}
