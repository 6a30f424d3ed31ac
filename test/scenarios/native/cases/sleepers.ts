import { thereAndBack } from "../drive.ts";
import type { Scene } from "../scene.ts";

export async function drive(scene: Scene): Promise<void> {
  await scene.build();
  await scene.start();
  await scene.runs("old", "before");
  const first = scene.state();
  for (let round = 0; round < 10; round++) await thereAndBack(scene, first);
}
