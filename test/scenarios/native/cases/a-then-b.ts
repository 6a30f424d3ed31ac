import assert from "node:assert/strict";
import { isRefused, thereAndBack } from "../drive.ts";
import { sources } from "../scenario.ts";
import type { Scene } from "../scene.ts";

export async function drive(scene: Scene): Promise<void> {
  await scene.build();
  const text = sources(scene.scenario, 1)["main.c"] ?? "";
  // B changes the same function in another way; C another function, and goes beside A.
  const b = await scene.buildOther("b", {
    "main.c": text.replace("return x + VERSION;", "return x + VERSION + (x > 100);"),
  });
  const old = sources(scene.scenario, 0)["main.c"] ?? "";
  const c = await scene.buildOther("c", { "main.c": old.replace("return x * 2;", "return x + x + (x > 100);") });
  await scene.start();
  await scene.runs("old", "before");
  const first = scene.state();
  await scene.apply();
  const second = await scene.process("apply", b);
  isRefused(second, "target/conflicting-hotpatch", /elf-app-[0-9a-f]{12}/);
  await scene.runs("new", "after B was refused");
  await scene.apply(c);
  await scene.runs("new", "with C beside A");
  // Out of the order in which they came.
  await scene.revert();
  await scene.runs("old", "without A");
  assert.equal((await scene.process("revert", b)).exitCode, 3);
  await scene.apply(b);
  await scene.runs("new", "with B");
  await scene.revert(c);
  await scene.runs("new", "without C");
  await scene.revert(b);
  await scene.runs("old", "without B");
  scene.isAsAtFirst(first);
  await thereAndBack(scene, first);
}
