/**
 * `--all` looks into every Node.js process that it may touch, so this runs where there are no others: in a process namespace of its own.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { startApplication } from "../engine/node/application.ts";
import { begin } from "./process-story.ts";
import { runProgram } from "./run-program.ts";

const limits = { timeout: 300_000 };
const root = process.geteuid?.() === 0;
const unshare = [
  ...(root ? [] : ["--user", "--map-root-user"]),
  "--mount",
  "--pid",
  "--fork",
  "--mount-proc",
  "--kill-child",
];

if (process.env.REBOOTLESS_TEST_CONFINED !== "1") {
  const possible = spawnSync("unshare", [...unshare, "true"], { encoding: "utf8" });
  const skip =
    possible.status === 0 ? false : `no process namespace can be made here: ${possible.stderr ?? possible.error}`;
  test("--all, among the processes of this test alone", { ...limits, skip }, async () => {
    const { code, out, error } = await runProgram([...unshare, process.execPath, import.meta.filename], {
      command: "unshare",
      env: { REBOOTLESS_TEST_CONFINED: "1" },
      timeoutMs: 280_000,
    });
    assert.equal(code, 0, out + error);
  });
} else {
  test("--all serves every process that has the package, cluster children each by its own id", limits, serveAll);
}

const clusterProgram = `const cluster = require("node:cluster");
cluster.setupPrimary({ exec: __dirname + "/child.cjs" });
const workers = [cluster.fork(), cluster.fork()];
const ask = (worker) => new Promise((resolve) => { worker.once("message", resolve); worker.send("?"); });
answer(async () => [...(await Promise.all(workers.map(ask))), ...workers.map(({ process: { pid } }) => pid)]);
module.exports = Promise.all(workers.map((worker) => new Promise((resolve) => worker.once("online", resolve))));
process.on("exit", () => { for (const worker of workers) worker.process.kill("SIGKILL"); });
`;
const childProgram = `const { say } = require("sample");
process.on("message", () => process.send(say(" x")));
process.on("disconnect", () => process.exit());
`;

async function serveAll(context: import("node:test").TestContext): Promise<void> {
  const { desk, hotpatch, application, folder } = await begin(context);
  const cluster = await startApplication(context, folder, clusterProgram, { files: { "child.cjs": childProgram } });
  const [one, two, ...pids] = (await cluster.ask()) as [string, string, number, number];
  assert.deepEqual([one, two], ["old  x", "old  x"]);
  const applied = await desk.run("apply", hotpatch, "--all");
  assert.equal(applied.code, 0, applied.out + applied.error);
  const served = (applied.data.outcomes ?? []).map(({ pid }) => pid as number).sort();
  assert.deepEqual(served, [...pids, application.pid].sort());
  assert.deepEqual(((await cluster.ask()) as unknown[]).slice(0, 2), ["new x", "new x"]);
  assert.equal(await application.ask(), "new x");
  const verified = await desk.run("verify", hotpatch, "--all");
  assert.deepEqual([verified.code, verified.data.verdicts?.length], [0, 3]);
  assert.equal((await desk.run("revert", hotpatch, "--all")).code, 0);
  assert.deepEqual(((await cluster.ask()) as unknown[]).slice(0, 2), ["old  x", "old  x"]);
  assert.equal(await application.ask(), "old  x");
  await cluster.end();

  const handler = 'process.on("SIGUSR1", () => {}); const { say } = require("sample"); answer(() => say(" x"));';
  const closed = await startApplication(context, folder, handler);
  const partly = await desk.run("apply", hotpatch, "--all");
  const refused = (partly.data.refused ?? []) as unknown as { code: string; details: { pid: number } }[];
  assert.deepEqual(
    [partly.code, partly.data.outcomes?.map(({ pid }) => pid), refused.map(({ details }) => details.pid)],
    [3, [application.pid], [closed.pid]],
    "one process was served and another refused",
  );
  assert.deepEqual([await application.ask(), await closed.ask()], ["new x", "old  x"]);
  assert.equal((await desk.run("revert", hotpatch, "--all")).code, 0);
}
