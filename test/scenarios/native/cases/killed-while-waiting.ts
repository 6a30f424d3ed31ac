import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { Scene } from "../scene.ts";

const program = join(import.meta.dirname, "..", "..", "..", "..", "src", "cli", "main.ts");

export async function drive(scene: Scene): Promise<void> {
  await scene.build();
  await scene.start();
  const first = scene.state();
  for (let round = 0; round < 3; round++) {
    const words = ["apply", scene.file, "--pid", String(scene.pid), "--allow-unsigned", "--wait", "60"];
    const patcher = spawn(process.execPath, [program, ...words], { stdio: ["ignore", "ignore", "pipe"] });
    // Patch memory is mapped by then, and it waits for the thread to leave the function.
    await scene.waitUntil(() => scene.state().map.length > first.map.length || patcher.exitCode !== null);
    assert.equal(patcher.exitCode, null, "the patcher ended by itself");
    patcher.kill("SIGKILL");
    await once(patcher, "exit");
    const before = await scene.report();
    let after = before;
    while (after.rounds < before.rounds + 20) after = await scene.report();
    assert.deepEqual([after.faults, after.new, scene.state().text], [0, 0, first.text]);
  }
  await scene.revert();
  scene.isAsAtFirst(first);
}
