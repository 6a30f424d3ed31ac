import assert from "node:assert/strict";
import type { Scene } from "../scene.ts";

export async function drive(scene: Scene): Promise<void> {
  const { data: built } = await scene.build();
  await scene.start();
  await scene.runs("old", "before");
  const first = scene.state();
  const from = Date.now();
  const [applied] = (await scene.apply()).data.outcomes;
  const until = Date.now();
  assert.deepEqual([applied.state, applied.functions, applied.threads], ["applied", 1, 2]);
  const patched = scene.state();
  const [again] = (await scene.apply()).data.outcomes;
  assert.equal(again.state, "unchanged");
  assert.deepEqual(scene.state(), patched, "the second apply changed something");
  const { native } = (await scene.command("ps")).data;
  const found = (native as { pid: number; hotpatches: { id: string; since: number; state: string }[] }[]).find(
    ({ pid }) => pid === scene.pid,
  );
  assert.deepEqual(
    found?.hotpatches.map(({ id, state }) => ({ id, state })),
    [{ id: built.id, state: "applied" }],
  );
  const since = found?.hotpatches[0]?.since ?? 0;
  assert.ok(since >= from && since <= until, `${since} is not between ${from} and ${until}`);
  await scene.revert();
  const absent = await scene.process("revert");
  assert.equal(absent.exitCode, 3);
  assert.equal(absent.refused[0]?.code, "target/not-applied");
  assert.equal((await scene.process("verify")).exitCode, 1);
  await scene.runs("old", "after revert");
  scene.isAsAtFirst(first);
}
