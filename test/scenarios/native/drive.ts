/** The steps of most scenarios: old, apply, new and no old, verified, revert, old and no new, bytes as at first. */
import assert from "node:assert/strict";
import { type Answer, describe, type Scene } from "./scene.ts";

export type Drive = (scene: Scene) => Promise<void>;

export async function drive(scene: Scene): Promise<void> {
  const { refuses } = scene.scenario;
  const built = await scene.buildHotpatch();
  if (refuses?.stage === "build") return isRefused(built, refuses.code, refuses.words);
  assert.equal(built.exitCode, 0, `build: ${describe(built)}`);
  await scene.start();
  await scene.runs("old", "before");
  const first = scene.state();
  if (refuses !== undefined) {
    isRefused(await scene.process("apply"), refuses.code, refuses.words);
    await scene.runs("old", "after the refusal");
    return scene.isAsAtFirst(first);
  }
  await thereAndBack(scene, first);
}

/** From the old code to the new and back, with the proof of each. */
export async function thereAndBack(scene: Scene, first: ReturnType<Scene["state"]>): Promise<void> {
  await scene.apply();
  await scene.runs("new", "after apply");
  const verified = await scene.process("verify");
  assert.equal(verified.exitCode, 0, `verify: ${JSON.stringify(verified.data)}`);
  await scene.revert();
  await scene.runs("old", "after revert");
  scene.isAsAtFirst(first);
}

export function isRefused(answer: Answer, code: string, words: RegExp = /./): void {
  assert.equal(answer.exitCode, 3, `it was to be refused with ${code}: ${describe(answer)}`);
  // Several functions may be refused for one reason.
  assert.deepEqual([...new Set(answer.refused.map((one) => one.code))], [code], describe(answer));
  assert.match(answer.refused[0]?.message ?? "", words);
}
