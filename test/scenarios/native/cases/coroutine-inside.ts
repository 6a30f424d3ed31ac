import { isRefused, thereAndBack } from "../drive.ts";
import type { Scene } from "../scene.ts";

const inTheWay = /parked.* on a stack that no thread runs on/;

export async function drive(scene: Scene): Promise<void> {
  // The target does it in its next round.
  const tell = async (signal: "SIGUSR1" | "SIGUSR2"): Promise<void> => {
    process.kill(scene.pid, signal);
    await scene.report();
  };
  await scene.build();
  await scene.start();
  await scene.runs("old", "before");
  const first = scene.state();
  await tell("SIGUSR1");
  isRefused(await scene.process("apply"), "plan/active-function", inTheWay);
  await scene.runs("old", "after the refusal");
  scene.isAsAtFirst(first);
  await tell("SIGUSR2");
  await scene.apply();
  await scene.runs("new", "once it has left the function");
  await tell("SIGUSR1");
  isRefused(await scene.process("revert"), "plan/active-function", inTheWay);
  await scene.runs("new", "after the refusal of the revert");
  await tell("SIGUSR2");
  await scene.revert();
  await scene.runs("old", "after the revert");
  scene.isAsAtFirst(first);
  await thereAndBack(scene, first);
}
