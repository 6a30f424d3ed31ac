import assert from "node:assert/strict";
import type { Scene } from "../scene.ts";
import { describe } from "../scene.ts";

export async function drive(scene: Scene): Promise<void> {
  await scene.build();
  await scene.start();
  await scene.runs("old", "before");
  process.kill(scene.pid, "SIGUSR1");
  const codes = new Map<string, number>();
  for (let round = 0; round < 10; round++) {
    const answer = await scene.process(round % 4 === 3 ? "revert" : "apply");
    assert.ok([0, 1, 3].includes(answer.exitCode), describe(answer));
    assert.ok(
      answer.exitCode === 0 || /"code":"(failure|target|plan)\//.test(JSON.stringify(answer.data)),
      describe(answer),
    );
    const code = answer.exitCode === 0 ? "done" : (answer.refused[0]?.code ?? "failed");
    codes.set(code, (codes.get(code) ?? 0) + 1);
    assert.equal(scene.target.ending, undefined, `the target died: ${scene.target.ending}, at ${describe(answer)}`);
  }
  assert.ok((codes.get("done") ?? 0) > 0, `never applied: ${JSON.stringify([...codes])}`);
}
