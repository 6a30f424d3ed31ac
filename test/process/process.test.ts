/** Real processes as /proc shows them. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdtempSync, realpathSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { classifyNode } from "../../src/process/node-executable.ts";
import { inspectorOptions, splitNodeOptions } from "../../src/process/node-options.ts";
import {
  isAlive,
  listProcesses,
  type ProcessInfo,
  readEnvironment,
  readProcess,
  readStat,
} from "../../src/process/process.ts";
import { findSocketOwner, tcpListeners, unixListeners } from "../../src/process/sockets.ts";
import { nodeBinary, nodeMajors } from "../support/node-versions.ts";

function self(): ProcessInfo {
  const found = readProcess(process.pid);
  assert.ok(found);
  return found;
}

test("this very process is read as it is", () => {
  const found = self();
  assert.equal(found.parentPid, process.ppid);
  assert.equal(found.executable?.path, realpathSync(process.execPath));
  assert.equal(found.executable?.deleted, false);
  assert.equal(found.uid.effective, process.geteuid?.());
  assert.equal(found.commandLine[0], process.argv0);
  assert.equal(found.namespacePids.at(-1), process.pid);
  assert.equal(found.tracerPid, 0);
  assert.ok(found.threads > 1);
  assert.match(found.namespaces.network ?? "", /^net:\[\d+\]$/);
  assert.equal(readEnvironment(process.pid)?.get("PATH"), process.env.PATH);
  assert.ok(listProcesses().some((other) => other.pid === process.pid && other.startTicks === found.startTicks));
});

test("a process that ends is gone, first as a zombie, then wholly", async () => {
  const child = spawn("sleep", ["60"], { stdio: "ignore" });
  await once(child, "spawn");
  const found = readProcess(child.pid as number);
  assert.equal(found?.comm, "sleep");
  assert.ok(isAlive(child.pid as number, found?.startTicks as bigint));
  assert.ok(!isAlive(child.pid as number, (found?.startTicks as bigint) + 1n));
  const exit = once(child, "exit");
  child.kill("SIGKILL");
  await exit;
  assert.equal(readProcess(child.pid as number), undefined);
  assert.equal(readStat(child.pid as number), undefined);
  assert.equal(readEnvironment(child.pid as number), undefined);
});

test("listening sockets are found with their owner", async (context) => {
  const server = createServer().listen(0, "127.0.0.1");
  const folder = mkdtempSync(join(tmpdir(), "rebootless-test-"));
  const local = createServer().listen(join(folder, "s.sock"));
  context.after(() => {
    server.close();
    local.close();
    rmSync(folder, { recursive: true, force: true });
  });
  await Promise.all([once(server, "listening"), once(local, "listening")]);
  const { port } = server.address() as AddressInfo;
  const found = tcpListeners(process.pid).find((listener) => listener.port === port);
  assert.equal(found?.host, "127.0.0.1");
  assert.equal(findSocketOwner(found?.inode as string)?.pid, process.pid);
  assert.ok(unixListeners(process.pid).some((listener) => listener.path === join(folder, "s.sock")));
});

for (const major of nodeMajors) {
  test(`Node ${major} is known by its content, under another name and with its file removed`, {
    timeout: 400_000,
  }, async (context) => {
    const folder = mkdtempSync(join(tmpdir(), "rebootless-test-"));
    context.after(() => rmSync(folder, { recursive: true, force: true }));
    const disguise = join(folder, "python3");
    copyFileSync(await nodeBinary(major), disguise);
    const child = spawn(disguise, ["-e", "console.log(process.version); setInterval(() => {}, 1000)"], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    context.after(() => child.kill("SIGKILL"));
    const [version] = await once(child.stdout, "data");
    unlinkSync(disguise);
    const found = readProcess(child.pid as number) as ProcessInfo;
    assert.equal(found.executable?.deleted, true);
    assert.equal(found.executable?.path, disguise);
    assert.deepEqual(classifyNode(found), { kind: "node", version: String(version).trim().slice(1) });
  });
}

test("a program that is merely called node is none, nor is a large one that speaks of Node", async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "rebootless-test-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  symlinkSync("/bin/sleep", join(folder, "node"));
  const child = spawn(join(folder, "node"), ["60"], { stdio: "ignore" });
  context.after(() => child.kill("SIGKILL"));
  await once(child, "spawn");
  assert.equal(classifyNode(readProcess(child.pid as number) as ProcessInfo).kind, "other");

  // A real ELF program with text appended, large enough that it is read as a whole.
  const large = join(folder, "large");
  copyFileSync("/bin/sleep", large);
  writeFileSync(
    large,
    Buffer.concat([Buffer.alloc(9 * 1024 * 1024), Buffer.from("node.js/version internal/bootstrap/node node.js/v1.2")]),
    { flag: "a" },
  );
  const second = spawn(large, ["60"], { stdio: "ignore" });
  context.after(() => second.kill("SIGKILL"));
  await once(second, "spawn");
  assert.equal(classifyNode(readProcess(second.pid as number) as ProcessInfo).kind, "other");
});

const optionRows: readonly [string[], string | undefined, object][] = [
  [["node", "app.js", "--permission", "--inspect"], undefined, { inspect: false, permissionModel: false, port: 9229 }],
  [["node", "-r", "x.js", "--disable_sigusr1", "app.js"], undefined, { signalDisabled: true }],
  [["node", "--inspect=0.0.0.0:9000", "app.js"], undefined, { inspect: true, host: "0.0.0.0", port: 9000 }],
  [["node", "--inspect-port=9300"], "--inspect-port=9301", { inspect: false, port: 9300 }],
  [["node", "--inspect-port", "[::1]:9300"], undefined, { host: "::1", port: 9300 }],
  [["node", "app.js"], '--require "a b.js" --permission', { permissionModel: true }],
  [["node", "--permission", "--allow-inspector", "app.js"], undefined, { permissionModel: false }],
  [["node", "-e", "--inspect"], undefined, { inspect: false }],
];
for (const [commandLine, nodeOptions, expected] of optionRows) {
  test(`options of ${commandLine.join(" ")} with NODE_OPTIONS ${nodeOptions ?? "unset"}`, () => {
    const options = inspectorOptions(commandLine, nodeOptions) as unknown as Record<string, unknown>;
    for (const [name, value] of Object.entries(expected)) assert.equal(options[name], value, name);
  });
}

test("NODE_OPTIONS is split as Node splits it", () => {
  assert.deepEqual(splitNodeOptions('--a  --b="x y" "--c=\\"q\\\\"  --d'), ["--a", "--b=x y", '--c="q\\', "--d"]);
});
