import { rmSync } from "node:fs";
import { thereAndBack } from "../drive.ts";
import type { Scene } from "../scene.ts";

export async function drive(scene: Scene): Promise<void> {
  await scene.build();
  await scene.start();
  rmSync(scene.app);
  await scene.runs("old", "before");
  await thereAndBack(scene, scene.state());
}
