/** `npm run rounds:native [-- ROUNDS]`: apply and revert over and over in processes that work and check themselves, without hooks and with them; their memory maps and their text must be as at first. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { apply, revert, stateOf } from "./engine/linux/support/patching.ts";
import { buildSelfChecking, reportOf, startSelfChecking } from "./engine/linux/support/self-checking.ts";

const rounds = Number(process.argv[2] ?? 1000);

for (const withHooks of [false, true]) {
  const what = withHooks ? " with hooks of all moments" : "";
  test(`${rounds} rounds of apply and revert${what}`, { timeout: 3_600_000 }, async (context) => {
    const built = buildSelfChecking(context, { withHooks });
    const target = await startSelfChecking(context, built, ["timer"]);
    // What the C library keeps of its first allocations in a thread stays.
    if (withHooks) {
      await apply(target.pid, built.hotpatch, 60_000);
      await revert(target.pid, built.hotpatch, 60_000);
    }
    const before = stateOf(target.pid);
    for (let round = 1; round <= rounds; round++) {
      await apply(target.pid, built.hotpatch, 60_000);
      await revert(target.pid, built.hotpatch, 60_000);
      if (round % 100 === 0) process.stderr.write(`rounds${what}: ${round} of ${rounds}\n`);
    }
    const { faults, mixtures, first } = await reportOf(target);
    assert.deepEqual({ faults, mixtures, first }, { faults: 0, mixtures: 0, first: "" });
    assert.deepEqual(stateOf(target.pid), before);
  });
}
