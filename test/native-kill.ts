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
import { type SelfChecking, startSelfChecking } from "./engine/linux/support/self-checking.ts";

const every = Math.max(1, Number(process.argv[2] ?? 1));
/** More kills in a row that come too late than this, and every call has had its turn. */
const enough = 3;
const tellEveryMs = 5000;
const cleanRuns = 5;

/** A clean run takes more calls when it needs more tries, so what is judged by is the shortest of a few. */
async function fewestCalls(
  pid: number,
  { hotpatch }: SelfChecking,
  file: string,
  action: "apply" | "revert",
): Promise<number> {
  const counts: number[] = [];
  for (let run = 0; run < cleanRuns; run++) {
    if (action === "revert") await apply(pid, hotpatch, 10_000);
    const calls = await runDying(pid, action, file, 0);
    assert.ok(calls !== undefined, "a run that nobody kills ends by itself");
    counts.push(calls);
    if (action === "apply") await revert(pid, hotpatch, 10_000);
  }
  return Math.min(...counts);
}

for (const { name, build } of killVariants) {
  for (const action of ["apply", "revert"] as const) {
    const what = `${name}, ${action}`;
    test(`${what}: killed at each of its calls`, { timeout: 3_600_000 }, async (context) => {
      const built = build(context);
      const target = await startSelfChecking(context, built, ["killed"]);
      const file = storeHotpatch(built.folder, built.hotpatch);
      const before = stateOf(target.pid);
      const calls = await fewestCalls(target.pid, built, file, action);
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
