/** kill -9 of the patcher at its calls: a sample here, all of them by `npm run kill-test`. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { killOnce, runDying, storeHotpatch } from "./support/killing.ts";
import { apply, revert, stateOf } from "./support/patching.ts";
import { buildSelfChecking, startSelfChecking } from "./support/self-checking.ts";

const samples = 8;

for (const [action, withHooks] of [
  ["apply", false],
  ["revert", false],
  ["apply", true],
  ["revert", true],
] as const) {
  const what = withHooks ? `${action} with hooks and resolvers` : action;
  test(`${what} may be killed at any call: the target lives, all old or all new, and the next run repairs it`, async (context) => {
    const built = buildSelfChecking(context, { withHooks });
    const target = await startSelfChecking(context, built, ["killed"]);
    const before = stateOf(target.pid);
    const file = storeHotpatch(built.folder, built.hotpatch);
    if (action === "revert") await apply(target.pid, built.hotpatch, 10_000);
    const calls = await runDying(target.pid, action, file, 0);
    assert.ok(calls !== undefined && calls > 30, `${calls} calls`);
    if (action === "apply") await revert(target.pid, built.hotpatch, 10_000);
    // How many calls it takes depends on how often a thread was in the way, so the last ones may come too late.
    let killed = 0;
    for (let index = 0; index < samples; index++) {
      const at = 1 + Math.floor((index * calls) / samples);
      if (await killOnce(target, built, file, action, at)) killed++;
    }
    assert.ok(killed >= samples / 2, `${killed} of ${samples} were killed`);
    assert.equal(stateOf(target.pid).text, before.text);
  });
}
