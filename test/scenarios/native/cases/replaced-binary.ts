import { copyFileSync, renameSync } from "node:fs";
import { thereAndBack } from "../drive.ts";
import type { Scene } from "../scene.ts";

export async function drive(scene: Scene): Promise<void> {
  await scene.build();
  await scene.start();
  copyFileSync("/bin/true", `${scene.app}.new`);
  renameSync(`${scene.app}.new`, scene.app);
  await scene.runs("old", "before");
  await thereAndBack(scene, scene.state());
}
