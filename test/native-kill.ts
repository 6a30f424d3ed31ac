/**
 * `npm run kill-test [-- EVERY]`: the patcher is killed right before each of its calls into the target, for apply and for revert, while the target works and checks itself.
 *
 * After each kill the target must be alive, all old or all new, and the next run must repair it. EVERY takes each n-th call only.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { killOnce, runDying, storeHotpatch } from "./engine/linux/support/killing.ts";
import { apply, revert, stateOf } from "./engine/linux/support/patching.ts";
import { buildSelfChecking, startSelfChecking } from "./engine/linux/support/self-checking.ts";

const every = Math.max(1, Number(process.argv[2] ?? 1));
/** More kills in a row that come too late than this, and every call has had its turn. */
const enough = 3;

for (const [action, withHooks] of [
  ["apply", false],
  ["revert", false],
  ["apply", true],
  ["revert", true],
] as const) {
  const what = withHooks ? `${action} with hooks and resolvers` : action;
  test(`${what}, killed at each of its calls`, { timeout: 3_600_000 }, async (context) => {
    const built = buildSelfChecking(context, { withHooks });
    const target = await startSelfChecking(context, built, ["killed"]);
    const file = storeHotpatch(built.folder, built.hotpatch);
    const before = stateOf(target.pid);
    if (action === "revert") await apply(target.pid, built.hotpatch, 10_000);
    const calls = await runDying(target.pid, action, file, 0);
    if (action === "apply") await revert(target.pid, built.hotpatch, 10_000);
    assert.ok(calls !== undefined);
    let killed = 0;
    let late = 0;
    // The number of calls varies with the tries that it takes, so it goes on until kills come too late.
    for (let at = 1; late < enough; at += every) {
      if (await killOnce(target, built, file, action, at)) killed++;
      else late++;
      if (at % (every * 25) === 1) process.stderr.write(`kill-test: ${what}: call ${at} of about ${calls}\n`);
    }
    assert.equal(stateOf(target.pid).text, before.text);
    process.stderr.write(`kill-test: ${what}: killed ${killed} times, and the target lives\n`);
  });
}
