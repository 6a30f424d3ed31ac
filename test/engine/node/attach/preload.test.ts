/** The preload: a way in with no signal and no port, which never disturbs the application. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { on } from "node:events";
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { openAgent } from "../../../../src/engine/node/attach/open-agent.ts";
import { unixListeners } from "../../../../src/process/sockets.ts";
import { nodeBinary, nodeMajors } from "../../../support/node-versions.ts";
import { agentFolder, patient, referenceOf, startTarget } from "./target.ts";

const sources = join(import.meta.dirname, "..", "..", "..", "..", "src", "engine", "node", "agent");

/** The real preload and channel beside the small agent of the tests. */
function preloadFile(context: TestContext, agent?: string): string {
  const folder = agentFolder(context, agent);
  for (const name of ["channel.cjs", "preload.cjs"]) copyFileSync(join(sources, name), join(folder, name));
  return join(folder, "preload.cjs");
}

for (const major of nodeMajors) {
  test(`a hardened process of Node ${major} is reached with no port`, { timeout: 400_000 }, async (context) => {
    const flags = major === 20 ? [] : ["--disable-sigusr1"];
    const target = await startTarget(context, {
      major,
      flags,
      environment: { NODE_OPTIONS: `--require=${preloadFile(context)}` },
    });
    const agent = await openAgent(target.reference, patient(context));
    assert.equal(agent.windowMs, 0);
    assert.equal(await agent.call("double", { number: 21 }), 42);
    agent.close();
    assert.ok(await target.works());
    assert.doesNotMatch(target.stderr(), /Debugger/);
  });
}

test("worker threads serve nothing; child processes serve themselves", async (context) => {
  const code = `
    const { Worker } = require("node:worker_threads");
    const worker = new Worker("require('node:worker_threads').parentPort.postMessage('up'); setInterval(() => {}, 1000)", { eval: true });
    const inner = "process.send('up'); process.on('disconnect', () => process.exit())";
    const child = require("node:child_process").spawn(process.execPath, ["-e", inner], { stdio: ["ignore", "ignore", "inherit", "ipc"] });
    globalThis.kept = { child, worker };
    const both = [new Promise((resolve) => worker.once("message", resolve)), new Promise((resolve) => child.once("message", resolve))];
    process.once("message", () => Promise.all(both).then(() => process.send(String(child.pid))));
  `;
  const target = await startTarget(context, {
    code,
    environment: { NODE_OPTIONS: `--require=${preloadFile(context)}` },
  });
  const messages = on(target.child, "message", { signal: AbortSignal.timeout(20_000) });
  target.child.send("both up?");
  // The application's own echo comes first.
  await messages.next();
  const childPid = Number((await messages.next()).value?.[0]);
  assert.equal(unixListeners(target.reference.pid).length, 1);
  const agent = await openAgent(referenceOf(childPid), patient(context));
  assert.equal(agent.windowMs, 0);
  agent.close();
});

test("an application with the preload ends by itself, with its own exit code and output", async (context) => {
  const preload = preloadFile(context);
  const run = spawnSync(await nodeBinary(26), ["-e", "console.log('done'); process.exitCode = 7"], {
    env: { ...process.env, NODE_OPTIONS: `--require=${preload}` },
    encoding: "utf8",
    timeout: 30_000,
  });
  assert.deepEqual([run.status, run.stdout, run.stderr], [7, "done\n", ""]);
});

test("a preload that fails says one line and lets the application run", async (context) => {
  const preload = preloadFile(context, "throw new Error('broken agent');");
  const run = spawnSync(await nodeBinary(26), ["-e", "console.log('done')"], {
    env: { ...process.env, NODE_OPTIONS: `--require=${preload}` },
    encoding: "utf8",
    timeout: 30_000,
  });
  assert.deepEqual([run.status, run.stdout], [0, "done\n"]);
  assert.match(run.stderr, /^rebootless: .*broken agent\n$/);
});
