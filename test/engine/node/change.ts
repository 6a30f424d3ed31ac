/** A kind of change and what it must do in a process that has loaded the old version: old, new, old again, new again. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { type NodeMajor, nodeMajors } from "../../support/node-versions.ts";
import { type Files, startApplication, temporaryFolder } from "./application.ts";
import { type BuiltFix, buildFix, Patching } from "./patching.ts";

export interface Change {
  readonly name: string;
  readonly before: Files;
  readonly after: Files;
  /** The package and the application are ES modules. */
  readonly esm?: boolean;
  /** Loads `sample`, keeps what applications keep, and gives `answer` a function of no arguments. */
  readonly application: string;
  readonly old: unknown;
  readonly fixed: unknown;
  /** What is known to be wrong with it; the test runs all the same, and says so. */
  readonly fault?: string;
  /** Tested on every version of Node.js, not on the pinned one alone. */
  readonly everywhere?: boolean;
}

export function testChanges(changes: readonly Change[]): void {
  for (const change of changes) {
    test(change.name, { timeout: 300_000, ...(change.fault ? { todo: change.fault } : {}) }, async (context) => {
      const fix = await buildFix(context, {
        before: change.before,
        after: change.after,
        ...(change.esm ? { type: "module" } : {}),
      });
      await control(context, change, fix);
      for (const major of change.everywhere ? nodeMajors : [26 as const])
        await patchAndTakeBack(context, change, fix, major);
    });
  }
}

/** The fixed version, loaded from the disk, is what the patched process has to do. */
async function control(context: TestContext, change: Change, fix: BuiltFix): Promise<void> {
  const folder = temporaryFolder(context);
  fix.install(folder, "after");
  const application = await startApplication(context, folder, change.application, { isModule: change.esm ?? false });
  assert.deepEqual(await application.ask(), change.fixed, "the fixed version itself");
  await application.end();
}

async function patchAndTakeBack(context: TestContext, change: Change, fix: BuiltFix, major: NodeMajor): Promise<void> {
  const folder = temporaryFolder(context);
  fix.install(folder);
  const application = await startApplication(context, folder, change.application, {
    major,
    isModule: change.esm ?? false,
  });
  const patching = new Patching(fix, application);
  const answers = async (expected: unknown, when: string): Promise<void> =>
    assert.deepEqual(await application.ask(), expected, `Node ${major}, ${when}`);
  await answers(change.old, "before");
  for (const round of ["first", "second"]) {
    assert.equal((await patching.apply()).state, "applied");
    await answers(change.fixed, `after the ${round} apply`);
    const verdict = await patching.verify();
    assert.deepEqual([verdict.state, verdict.findings.filter(({ state }) => state === "broken")], ["in-place", []]);
    assert.equal((await patching.revert()).state, "reverted");
    await answers(change.old, `after the ${round} revert`);
    assert.equal((await patching.verify()).state, "absent");
  }
  await application.end();
}
