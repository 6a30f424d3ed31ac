import assert from "node:assert/strict";
import { sources } from "../scenario.ts";
import type { Scene } from "../scene.ts";

export async function drive(scene: Scene): Promise<void> {
  await scene.build();
  const text = sources(scene.scenario, 1)["main.c"] ?? "";
  const newer = await scene.buildOther(
    "newer",
    { "main.c": text.replace("return x + VERSION;", "return x + VERSION + (x > 100);").replace("x * 2", "x + x") },
    ["--supersedes", scene.file],
  );
  await scene.start();
  await scene.runs("old", "before");
  const first = scene.state();
  await scene.apply();
  await scene.runs("new", "with the older one");
  await scene.apply(newer);
  await scene.runs("new", "with the newer one");
  assert.equal((await scene.process("verify", newer)).exitCode, 0);
  assert.notEqual((await scene.process("verify")).exitCode, 0, "the older one is still there");
  await scene.revert(newer);
  await scene.runs("old", "after the revert of the newer one");
  scene.isAsAtFirst(first);
}
