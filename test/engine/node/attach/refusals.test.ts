/** Every process that cannot or must not be entered gets its own answer, and lives and works on afterwards. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { openAgent } from "../../../../src/engine/node/attach/open-agent.ts";
import { readProcess, readStat } from "../../../../src/process/process.ts";
import { tcpListeners } from "../../../../src/process/sockets.ts";
import { nodeBinary } from "../../../support/node-versions.ts";
import {
  endWith,
  patient,
  referenceOf,
  refusalOf,
  startTarget,
  type Target,
  temporaryFolder,
  until,
} from "./target.ts";

async function refused(context: TestContext, target: Target, options = {}) {
  const refusal = await refusalOf(openAgent(target.reference, { ...patient(context), ...options }));
  assert.match(refusal.message, new RegExp(`\\b${target.reference.pid}\\b`), "the message names the process");
  return refusal;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

for (const major of [22, 24, 26] as const) {
  test(`--disable-sigusr1, on Node ${major}`, { timeout: 400_000 }, async (context) => {
    const target = await startTarget(context, { major, flags: ["--disable-sigusr1"] });
    assert.equal((await refused(context, target)).code, "target/inspector-disabled");
    assert.ok(await target.works());
  });
}

test("--disable-sigusr1 in NODE_OPTIONS", async (context) => {
  const target = await startTarget(context, { environment: { NODE_OPTIONS: "--disable-sigusr1" } });
  assert.equal((await refused(context, target)).code, "target/inspector-disabled");
  assert.ok(await target.works());
});

test("the permission model, under both of its names", { timeout: 400_000 }, async (context) => {
  for (const [major, flag] of [
    [20, "--experimental-permission"],
    [24, "--permission"],
    [26, "--permission"],
  ] as const) {
    const target = await startTarget(context, { major, flags: [flag] });
    assert.equal((await refused(context, target)).code, "target/permission-model");
    assert.ok(await target.works());
  }
});

test("flags that process.title hides are caught by the signal mask", async (context) => {
  const target = await startTarget(context, { flags: ["--disable-sigusr1"], code: "process.title = 'x'.repeat(20)" });
  assert.equal((await refused(context, target)).code, "target/starting");
  assert.ok(await target.works());
});

test("an inspector that is open already", async (context) => {
  for (const flag of [`--inspect=${await freePort()}`, "--inspect=0"]) {
    const target = await startTarget(context, { flags: [flag] });
    assert.equal((await refused(context, target)).code, "target/inspector-open");
    assert.equal(tcpListeners(target.reference.pid).length, 1, "it is still open");
    assert.ok(await target.works());
  }
});

test("a port that another process has taken is named with its owner", async (context) => {
  const server = createServer().listen(0, "127.0.0.1");
  context.after(() => server.close());
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const target = await startTarget(context, { flags: [`--inspect-port=${port}`] });
  const refusal = await refused(context, target);
  assert.equal(refusal.code, "target/port-taken");
  assert.match(refusal.message, new RegExp(`process ${process.pid} `));
  assert.ok(await target.works());
});

test("a process that handles SIGUSR1 itself", async (context) => {
  const target = await startTarget(context, { code: "process.on('SIGUSR1', () => {})" });
  assert.equal((await refused(context, target, { answerTimeoutMs: 1500 })).code, "target/own-signal-handler");
  assert.ok(await target.works());
});

const blockages = {
  "a spinning loop": "const end = Date.now() + 6000; while (Date.now() < end);",
  "a synchronous child": "require('node:child_process').execFileSync('sleep', ['6']);",
  "a lock that nobody opens": "Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 6000);",
};
for (const [name, code] of Object.entries(blockages)) {
  test(`${name}: refused, and the port does not stay open when it ends`, async (context) => {
    const target = await startTarget(context, {
      code: `process.once('message', () => { ${code} process.send('awake'); })`,
    });
    const awake = once(target.child, "message", { signal: AbortSignal.timeout(30_000) });
    target.child.send("block");
    // Until the blockage has begun, the loop would answer.
    await until(() => isBlocked(target.reference.pid), "the target is blocked");
    const refusal = await refused(context, target, { answerTimeoutMs: 1200 });
    assert.equal(refusal.code, "target/unresponsive");
    await awake;
    // A late port opens within the first turns of the loop, which has answered once this is true.
    await until(() => tcpListeners(target.reference.pid).length === 0, "the port is closed");
    assert.ok(await target.works());
    const agent = await openAgent(target.reference, patient(context));
    assert.equal(await agent.call("double", { number: 3 }), 6);
    agent.close();
    assert.deepEqual(tcpListeners(target.reference.pid), []);
  });
}

/** It burns time, or has started a child, or waits for something that is no event loop. */
function isBlocked(pid: number): boolean {
  if (readStat(pid)?.state === "R") return true;
  const place = spawnSync("cat", [`/proc/${pid}/wchan`, `/proc/${pid}/task/${pid}/children`], {
    encoding: "utf8",
  }).stdout;
  return /futex|\d/.test(place);
}

test("a stopped process, which is well again once it continues", async (context) => {
  const target = await startTarget(context);
  target.child.kill("SIGSTOP");
  await until(() => readStat(target.reference.pid)?.state === "T", "the target is stopped");
  const refusal = await refused(context, target);
  target.child.kill("SIGCONT");
  assert.equal(refusal.code, "target/stopped");
  assert.ok(await target.works());
});

test("a process that is still starting would be ended by the signal", async (context) => {
  const pipe = join(temporaryFolder(context), "env");
  assert.equal(spawnSync("mkfifo", [pipe]).status, 0);
  const binary = await nodeBinary(26);
  // Node reads the file before it sets up its signal handler, and waits until somebody writes.
  const child = spawn(binary, [`--env-file=${pipe}`, "-e", "process.send(process.env.STARTED)"], {
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  endWith(context, child);
  const refusal = await refusalOf(openAgent(referenceOf(child.pid as number), patient(context)));
  assert.equal(refusal.code, "target/starting");
  const message = once(child, "message");
  writeFileSync(pipe, "STARTED=well\n");
  assert.deepEqual((await message)[0], "well");
});

test("a process that is no Node.js", async (context) => {
  const child = spawn("sleep", ["60"], { stdio: "ignore" });
  endWith(context, child);
  await once(child, "spawn");
  const refusal = await refusalOf(openAgent(referenceOf(child.pid as number)));
  assert.equal(refusal.code, "target/not-node");
  assert.equal(child.exitCode, null);
});

test("a process that has ended, and one whose id went to another", async (context) => {
  const target = await startTarget(context);
  const later = { pid: target.reference.pid, startTicks: target.reference.startTicks + 1n };
  const reused = await refusalOf(openAgent(later));
  assert.equal(reused.code, "target/gone");
  assert.match(reused.message, /belongs to another process/);
  assert.ok(await target.works());
  const exit = once(target.child, "exit");
  target.child.kill("SIGKILL");
  await exit;
  assert.equal((await refusalOf(openAgent(target.reference))).code, "target/gone");
});

test("another user's process", async (context) => {
  if (process.geteuid?.() !== 0) {
    assert.equal((await refusalOf(openAgent(referenceOf(1)))).code, "target/not-permitted");
    return;
  }
  const target = await startTarget(context);
  const options = patient(context);
  process.seteuid?.(65534);
  try {
    assert.equal((await refusalOf(openAgent(target.reference, options))).code, "target/not-permitted");
  } finally {
    process.seteuid?.(0);
  }
  assert.ok(await target.works());
});

const tracer = spawnSync("strace", ["-V"]).status === 0;
test("a traced process is refused with its tracer's name", {
  skip: tracer ? false : "strace is not installed",
}, async (context) => {
  const target = await startTarget(context);
  const strace = spawn("strace", ["-qq", "-o", "/dev/null", "-p", String(target.reference.pid)], { stdio: "ignore" });
  context.after(async () => {
    strace.kill("SIGTERM");
    if (strace.exitCode === null && strace.signalCode === null) await once(strace, "exit");
  });
  await until(() => readProcess(target.reference.pid)?.tracerPid === strace.pid, "the target is traced");
  const refusal = await refused(context, target);
  assert.equal(refusal.code, "target/debugger-attached");
  assert.match(refusal.message, new RegExp(`process ${strace.pid} \\(strace\\)`));
  assert.ok(await target.works());
});
