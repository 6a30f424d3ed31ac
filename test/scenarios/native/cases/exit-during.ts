import assert from "node:assert/strict";
import type { Scene } from "../scene.ts";
import { describe } from "../scene.ts";

export async function drive(scene: Scene): Promise<void> {
  await scene.build();
  let refused = 0;
  for (let round = 0; round < 6; round++) {
    const us = 400_000 + round * 50_000;
    const target = await scene.startAnother(`ENDS_AFTER_US=${us} exec "$APP"`);
    while (target.ending === undefined) {
      const answer = await scene.process("apply", scene.file, target.pid);
      if (answer.exitCode !== 0) {
        refused++;
        assert.match(JSON.stringify(answer.data), /"code":"(target|failure|input|plan)\//, describe(answer));
        break;
      }
      const back = await scene.process("revert", scene.file, target.pid);
      if (back.exitCode !== 0) assert.match(JSON.stringify(back.data), /"code":"(target|failure|input|plan)\//);
    }
    assert.equal(await target.ended, "42", `the target that ends after ${us} µs`);
  }
  assert.ok(refused > 0, "no target ended in time");
}
