import { isRefused } from "../drive.ts";
import type { Scene } from "../scene.ts";

/** Without a look at the memory, which is not shown under the number of such a process. */
export async function drive(scene: Scene): Promise<void> {
  await scene.build();
  await scene.start();
  await scene.runs("old", "before");
  isRefused(await scene.process("apply"), "target/main-thread-ended", /pthread_exit/);
  await scene.runs("old", "after the refusal");
}
