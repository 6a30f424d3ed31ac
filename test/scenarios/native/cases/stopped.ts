import { readFileSync } from "node:fs";
import type { Scene } from "../scene.ts";

const stateOf = (pid: number): string | undefined =>
  /^State:\s+(\S)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];

export async function drive(scene: Scene): Promise<void> {
  await scene.build();
  await scene.start();
  await scene.runs("old", "before");
  const first = scene.state();
  for (const [act, version] of [
    [() => scene.apply(), "new"],
    [() => scene.revert(), "old"],
  ] as const) {
    process.kill(scene.pid, "SIGSTOP");
    await scene.waitUntil(() => stateOf(scene.pid) === "T");
    await act();
    // Each thread goes back into the stop by itself, on the kernel's time.
    await scene.waitUntil(() => stateOf(scene.pid) === "T");
    process.kill(scene.pid, "SIGCONT");
    await scene.runs(version, `after ${version === "new" ? "apply" : "revert"}`);
  }
  scene.isAsAtFirst(first);
}
