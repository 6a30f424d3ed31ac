import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import type { Scene } from "../scene.ts";

export async function drive(scene: Scene): Promise<void> {
  await scene.build();
  await scene.start();
  await scene.runs("old", "before");
  const first = scene.state();
  await scene.apply();
  const child = await forkOne(scene);
  const listed = await scene.command("ps");
  const patched = (listed.data.native as { pid: number }[]).map(({ pid }) => pid);
  assert.ok(patched.includes(child), `ps does not list the child ${child}`);
  const verified = await scene.process("verify", scene.file, child);
  assert.equal(verified.exitCode, 0, JSON.stringify(verified.data));
  assert.equal((await scene.process("apply", scene.file, child)).data.outcomes[0].state, "unchanged");
  // The parent first: what is done to one leaves the other as it is.
  await scene.revert();
  assert.equal((await scene.process("verify", scene.file, child)).exitCode, 0);
  await scene.revert(scene.file, child);
  await scene.runs("old", "after both reverts");
  scene.isAsAtFirst(first);
  assert.equal(scene.state(child).text, first.text);
  process.kill(child, "SIGKILL");
}

async function forkOne({ pid }: Scene): Promise<number> {
  process.kill(pid, "SIGUSR1");
  for (;;) {
    for (const task of readdirSync(`/proc/${pid}/task`)) {
      const children = readFileSync(`/proc/${pid}/task/${task}/children`, "utf8").split(" ").filter(Boolean);
      if (children.length > 0) return Number(children[0]);
    }
    await new Promise(setImmediate);
  }
}
