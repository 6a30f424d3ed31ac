import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import type { Scene } from "../scene.ts";

export async function drive(scene: Scene): Promise<void> {
  await scene.build();
  await scene.start();
  await scene.runs("old", "before");
  const { pid } = scene;
  const workers = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean).map(Number);
  assert.equal(workers.length, 3);
  const all = [pid, ...workers];
  const first = all.map((one) => scene.state(one).text);
  const isPatched = async (one: number) => (await scene.process("verify", scene.file, one)).exitCode === 0;
  const tree = async (word: string) =>
    await scene.command(word, scene.file, "--pid", String(pid), "--tree", "--allow-unsigned", "--wait", "20");
  const applied = await tree("apply");
  assert.equal(applied.exitCode, 0, applied.error);
  await scene.runs("new", "with the whole tree patched");
  for (const one of all) assert.ok(await isPatched(one), `process ${one} has the old code`);
  assert.equal((await tree("revert")).exitCode, 0);
  await scene.runs("old", "after the revert");
  for (const one of all) assert.ok(!(await isPatched(one)), `process ${one} has the new code`);
  assert.deepEqual(
    all.map((one) => scene.state(one).text),
    first,
  );
}
