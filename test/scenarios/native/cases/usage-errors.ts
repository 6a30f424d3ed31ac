import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { run } from "../../../engine/linux/support/target.ts";
import type { Scene } from "../scene.ts";

const digest = (file: string): string => createHash("sha256").update(readFileSync(file)).digest("hex");

export async function drive(scene: Scene): Promise<void> {
  const compilers = ["cc", "gcc", "c++", "ld"].map((name) => realpathSync(run("which", [name]).trim()));
  const tree = (): string[] =>
    (readdirSync(join(scene.folder, "before"), { recursive: true }) as string[])
      .sort()
      .map((file) => `${file} ${digest(join(scene.folder, "before", file))}`);
  const untouched = () => [...compilers.map(digest), ...tree()];
  const before = untouched();
  await scene.build();
  assert.deepEqual(untouched(), before, "the build changed the compiler or the source");
  const code = async (...words: string[]): Promise<number> => (await scene.command(...words)).exitCode;
  assert.equal(await code("build", "elf", "--source", "before", "--", "make"), 2);
  assert.equal(await code("build", "elf", "--patch", "none.diff", "--", "make"), 2);
  assert.equal(await code("build", "elf", "--source", "before", "--to", "after", "--nonsense", "--", "make"), 2);
  const build = ["build", "elf", "--source", "before", "--to", "after", "-o", "x.hotpatch", "--unsigned"];
  assert.equal(await code(...build), 2);
  assert.equal(await code(...build, "--binary", "absent", "--", "make"), 1);
  assert.equal(await code(...build, "--", "false"), 1);
  assert.equal(await code("apply"), 2);
  assert.equal(await code("apply", scene.file), 2);
  assert.equal(await code("apply", scene.file, "--pid", "many"), 2);
  assert.equal(await code("apply", scene.file, "--pid", "1", "--wait", "long", "--allow-unsigned"), 2);
  assert.equal(await code("apply", "absent.hotpatch", "--pid", "1"), 1);
  await scene.start();
  const unsigned = ["apply", scene.file, "--pid", String(scene.pid)];
  assert.equal(await code(...unsigned), 3);
  assert.equal(await code("apply", scene.file, "--pid", String(process.pid), "--allow-unsigned"), 3);
  await scene.runs("old", "after all that");
}
