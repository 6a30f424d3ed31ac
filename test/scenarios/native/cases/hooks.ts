import { thereAndBack } from "../drive.ts";
import type { Scene } from "../scene.ts";

/** Twice: the hooks of a revert leave the process so that those of an apply do their work again. */
export async function drive(scene: Scene): Promise<void> {
  await scene.build();
  await scene.start();
  await scene.runs("old", "before");
  const first = scene.state();
  await thereAndBack(scene, first);
  await thereAndBack(scene, first);
}
