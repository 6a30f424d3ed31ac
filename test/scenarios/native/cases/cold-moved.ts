import assert from "node:assert/strict";
import { thereAndBack } from "../drive.ts";
import type { Scene } from "../scene.ts";

export async function drive(scene: Scene): Promise<void> {
  const { data } = await scene.build();
  const names = (data.binaries as { code: { name: string }[] }[]).flatMap(({ code }) => code.map(({ name }) => name));
  assert.deepEqual([...new Set(names.map((name) => name.replace(/\.cold$/, "")))], ["answer"]);
  await scene.start();
  await scene.runs("old", "before");
  await thereAndBack(scene, scene.state());
}
