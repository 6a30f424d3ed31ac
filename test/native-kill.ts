/**
 * `npm run kill-test [-- EVERY]`: the patcher is killed right before each of its calls into the target, for apply and for revert, while the target works and checks itself.
 *
 * After each kill the target must be alive, all old or all new, and the next run must repair it. EVERY takes each n-th call only.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { killVariants } from "./engine/linux/support/kill-variants.ts";
import { killOnce, runDying, storeHotpatch } from "./engine/linux/support/killing.ts";
import { apply, revert, stateOf } from "./engine/linux/support/patching.ts";
import { startSelfChecking } from "./engine/linux/support/self-checking.ts";

const every = Math.max(1, Number(process.argv[2] ?? 1));
/** More kills in a row that come too late than this, and every call has had its turn. */
const enough = 3;
const tellEveryMs = 5000;

for (const { name, build } of killVariants) {
  for (const action of ["apply", "revert"] as const) {
    const what = `${name}, ${action}`;
    test(`${what}: killed at each of its calls`, { timeout: 3_600_000 }, async (context) => {
      const built = build(context);
      const target = await startSelfChecking(context, built, ["killed"]);
      const file = storeHotpatch(built.folder, built.hotpatch);
      const before = stateOf(target.pid);
      if (action === "revert") await apply(target.pid, built.hotpatch, 10_000);
      const calls = await runDying(target.pid, action, file, 0);
      if (action === "apply") await revert(target.pid, built.hotpatch, 10_000);
      assert.ok(calls !== undefined);
      const started = performance.now();
      let told = started;
      let killed = 0;
      let late = 0;
      // The number of calls varies with the tries that it takes, so it goes on until kills come too late.
      for (let at = 1; late < enough; at += every) {
        if (await killOnce(target, built, file, action, at)) {
          killed++;
          late = 0;
        } else late++;
        if (performance.now() - told < tellEveryMs) continue;
        told = performance.now();
        process.stderr.write(`kill-test: ${what}: call ${at} of about ${calls}, killed ${killed} times\n`);
      }
      assert.ok(killed >= (calls - 1) / every / 2, `${killed} kills of ${calls} calls`);
      assert.deepEqual(stateOf(target.pid).text, before.text);
      const seconds = ((performance.now() - started) / 1000).toFixed(0);
      process.stderr.write(`kill-test: ${what}: killed ${killed} times in ${seconds} s, and the target lives\n`);
    });
  }
}
