import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import type { Scene } from "../scene.ts";

export async function drive(scene: Scene): Promise<void> {
  await scene.build();
  await scene.start();
  await scene.runs("old", "before");
  await scene.apply();
  await scene.runs("new", "after apply");
  process.kill(scene.pid, "SIGUSR1");
  while (readFileSync(`/proc/${scene.pid}/maps`, "utf8").includes("libplugin.so")) await new Promise(setImmediate);
  const verified = await scene.process("verify");
  assert.equal(verified.exitCode, 1, "verify says that the library is gone");
  await scene.revert();
  await scene.runs("old", "after revert");
  assert.equal((await scene.process("revert")).exitCode, 3);
}
