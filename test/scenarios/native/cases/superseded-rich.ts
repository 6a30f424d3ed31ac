import assert from "node:assert/strict";
import { isRefused } from "../drive.ts";
import { sources } from "../scenario.ts";
import type { Scene } from "../scene.ts";

export async function drive(scene: Scene): Promise<void> {
  await scene.build();
  const files = sources(scene.scenario, 1);
  const text = (files["main.cc"] ?? "").replaceAll("mine", "ours").replace("x * 2", "x + x").replaceAll("30", "40");
  const newer = await scene.buildOther("newer", { ...files, "main.cc": text }, ["--supersedes", scene.file]);
  await scene.start();
  await scene.runs("old", "before");
  const first = scene.state();
  for (let round = 0; round < 2; round++) {
    await scene.apply();
    await scene.runs("new", "with the older one");
    await scene.apply(newer);
    await scene.runs("new", "with the newer one");
    assert.equal((await scene.process("verify", newer)).exitCode, 0, "the newer one is not whole");
    isRefused(await scene.process("revert"), "target/not-applied");
    isRefused(await scene.process("apply"), "target/conflicting-hotpatch");
    await scene.runs("new", "after the older one was refused");
    await scene.revert(newer);
    await scene.runs("old", "after the revert of the newer one");
    scene.isAsAtFirst(first);
    await scene.apply(newer);
    await scene.runs("new", "with the newer one alone");
    await scene.revert(newer);
    await scene.runs("old", "after its revert");
    scene.isAsAtFirst(first);
  }
}
