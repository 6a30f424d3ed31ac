/** `apply`, `verify`, `revert`, `ps` and `--dry-run` as people and programs use them: what they print, how they exit, what they leave. */
import assert from "node:assert/strict";
import path from "node:path";
import { test } from "node:test";
import { startApplication, temporaryFolder, writePackage } from "../engine/node/application.ts";
import { before, begin } from "./process-story.ts";

const limits = { timeout: 300_000 };
test("apply, verify and revert, in words and in JSON", limits, async (context) => {
  const { desk, hotpatch, application } = await begin(context);
  const pid = String(application.pid);
  const absent = await desk.run("verify", hotpatch, "--pid", pid);
  assert.deepEqual([absent.code, absent.data.verdicts?.[0]?.state], [1, "absent"]);

  const applied = await desk.run("apply", hotpatch, "--pid", pid);
  assert.equal(applied.code, 0, applied.out);
  const [outcome] = applied.data.outcomes ?? [];
  assert.equal(outcome?.state, "applied");
  assert.equal(outcome?.pid, application.pid);
  for (const figure of ["pauseMs", "totalMs", "windowMs", "predictedPauseMs", "heapUsedBytes"])
    assert.equal(typeof outcome?.[figure], "number", figure);
  assert.ok(Number(outcome?.pauseMs) <= Number(outcome?.totalMs));
  assert.equal((outcome?.copies as unknown[] | undefined)?.length, 2);
  assert.equal(await application.ask(), "new x");

  const again = await desk.run("apply", hotpatch, "--pid", pid);
  assert.deepEqual([again.code, again.data.outcomes?.[0]?.state], [0, "unchanged"]);
  const verified = await desk.say("verify", hotpatch, "--pid", pid);
  assert.equal(verified.code, 0, verified.error);
  assert.match(verified.out, /in place/);
  const listed = await desk.run("ps");
  const own = (listed.data.processes as { pid: number; hotpatches: { id: string }[] }[]).find(
    (found) => found.pid === application.pid,
  );
  assert.deepEqual(
    own?.hotpatches.map(({ id }) => id),
    ["npm-sample-1.0.0-to-1.0.1"],
  );

  const reverted = await desk.run("revert", hotpatch, "--pid", pid);
  assert.deepEqual([reverted.code, reverted.data.outcomes?.[0]?.state], [0, "reverted"]);
  assert.equal(await application.ask(), "old  x");
  const nothing = await desk.run("revert", hotpatch, "--pid", pid);
  assert.deepEqual([nothing.code, nothing.data.refused?.[0]?.code], [3, "target/not-applied"]);
});

test("a dry run shows the plan and changes nothing", limits, async (context) => {
  const { desk, hotpatch, application } = await begin(context);
  const pid = String(application.pid);
  const told = await desk.say("apply", hotpatch, "--pid", pid, "--dry-run");
  assert.equal(told.code, 0, told.error);
  assert.match(told.out, /Nothing was changed.*predicted pause.*index\.js: live edit of (exports\.)?say/s);
  const { data, code } = await desk.run("apply", hotpatch, "--pid", pid, "--dry-run");
  assert.equal(code, 0);
  assert.equal(data.plans?.[0]?.pid, application.pid);
  assert.equal((data.plans?.[0]?.steps as string[] | undefined)?.length, 2);
  assert.equal(await application.ask(), "old  x");
  assert.equal((await desk.run("verify", hotpatch, "--pid", pid)).data.verdicts?.[0]?.state, "absent");
});

test("refusals: pause, signature, package, process", limits, async (context) => {
  const { desk, hotpatch, application, folder } = await begin(context);
  const pid = String(application.pid);
  const refusal = async (...words: readonly string[]) => {
    const answer = await desk.run(...words);
    assert.equal(answer.code, 3, answer.out + answer.error);
    return answer.data.refused?.[0] ?? { code: "", message: "" };
  };
  const slow = await refusal("apply", hotpatch, "--pid", pid, "--max-pause", "1");
  assert.equal(slow.code, "plan/pause-over-budget");
  assert.match(slow.message, /about \d+ ms .* 1 ms allowed; .*--max-pause \d+/);
  const without = await startApplication(context, temporaryFolder(context), `answer(() => 1);`);
  assert.equal((await refusal("apply", hotpatch, "--pid", String(without.pid))).code, "target/package-absent");
  const untrusting = ["--trust-dir", path.join(folder, "nobody")];
  assert.match((await refusal("apply", hotpatch, "--pid", pid, ...untrusting)).code, /^hotpatch\//);
  assert.equal(
    (await refusal("apply", hotpatch, "--pid", String(process.ppid), "--pid", "1")).code.slice(0, 7),
    "target/",
  );
  const gone = await desk.run("apply", hotpatch, "--pid", "4194303");
  assert.deepEqual([gone.code, gone.data.error?.code], [1, "input/process-missing"]);
  assert.equal((await desk.run("apply", hotpatch)).code, 2);
  assert.equal(await application.ask(), "old  x");
});

test("an unsigned hotpatch is taken only by the one who says so", limits, async (context) => {
  const { desk, hotpatch, application } = await begin(context, ["--unsigned"]);
  const pid = String(application.pid);
  for (const command of ["apply", "verify", "revert"]) {
    const { code, data } = await desk.run(command, hotpatch, "--pid", pid);
    assert.deepEqual([code, data.refused?.[0]?.code], [3, "hotpatch/unsigned"], command);
  }
  assert.equal(await application.ask(), "old  x");
  const applied = await desk.say("apply", hotpatch, "--pid", pid, "--allow-unsigned");
  assert.equal(applied.code, 0, applied.error);
  assert.match(applied.error, /UNSIGNED/);
  assert.equal(await application.ask(), "new x");
});

test("a revert tells which files were loaded fixed and stay so", limits, async (context) => {
  const { desk, hotpatch, application, folder } = await begin(context);
  writePackage(path.join(folder, "later", "node_modules", "sample"), before, { version: "1.0.0" });
  const loading = await startApplication(
    context,
    folder,
    `const { say } = require("sample"); answer((later) => (later ? require("./later/node_modules/sample").say : say)(" x"));`,
  );
  await application.end();
  const pid = String(loading.pid);
  assert.equal((await desk.run("apply", hotpatch, "--pid", pid)).code, 0);
  assert.equal(await loading.ask(true), "new x");
  const { code, error, data } = await desk.run("revert", hotpatch, "--pid", pid);
  assert.equal(code, 0);
  assert.match(error, /stay fixed until the process restarts/);
  assert.equal((data.outcomes?.[0]?.keptFixed as string[] | undefined)?.length, 2);
});
