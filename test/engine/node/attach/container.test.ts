/** Targets behind namespaces and folders of their own, as containers have them, and hostile neighbours of the agent's socket. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, chownSync, lstatSync, mkdirSync, readdirSync, symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, join } from "node:path";
import { test } from "node:test";
import { openAgent } from "../../../../src/engine/node/attach/open-agent.ts";
import { readProcess } from "../../../../src/process/process.ts";
import { namespaceTcpListeners } from "../../../../src/process/sockets.ts";
import { patient, startTarget, temporaryFolder } from "./target.ts";

const { prepareFolder } = createRequire(import.meta.url)("../../../../src/engine/node/agent/channel.cjs") as {
  prepareFolder(bases: readonly string[]): string;
};

const root = process.geteuid?.() === 0;
const userNamespace = root ? [] : ["--user", "--map-root-user"];
const unshare = ["unshare", ...userNamespace, "--mount", "--net"];
// The program is opened first and run by its descriptor, since the mount hides a checkout that lies in /tmp.
const setUp = "mount -t tmpfs none /tmp && ip link set lo up";
const runTarget = `exec 9<"$1" && shift && ${setUp}`;
const become = 'exec /proc/self/fd/9 "$@"';
const possible = spawnSync(unshare[0] as string, [...unshare.slice(1), "sh", "-c", setUp], { encoding: "utf8" });
const skip = possible.status === 0 ? false : `no namespaces can be made here: ${possible.stderr ?? possible.error}`;

test("a process in a network and a mount namespace of its own", { skip }, async (context) => {
  const prefix = [...unshare, "sh", "-c", `${runTarget} && ${become}`, "sh"];
  const target = await startTarget(context, { prefix });
  assert.notEqual(readProcess(target.reference.pid)?.namespaces.network, readProcess(process.pid)?.namespaces.network);
  const options = patient(context);
  const agent = await openAgent(target.reference, options);
  assert.ok(agent.windowMs > 0 && agent.windowMs < 1000, `a window of ${agent.windowMs} ms`);
  assert.equal(await agent.call("double", { number: 21 }), 42);
  agent.close();
  assert.deepEqual(namespaceTcpListeners(target.reference.pid), []);
  const folder = readdirSync(`/proc/${target.reference.pid}/root/tmp`).filter((name) =>
    name.startsWith(".rebootless-"),
  );
  assert.equal(folder.length, 1, "the socket lies in the target's own /tmp");
  const again = await openAgent(target.reference, options);
  assert.equal(again.windowMs, 0);
  again.close();
  assert.ok(await target.works());
});

test("a link in place of the socket's folder leads nobody astray", { skip }, async (context) => {
  const trap = temporaryFolder(context);
  const uid = root ? process.geteuid?.() : 0;
  const prefix = [
    ...unshare,
    "sh",
    "-c",
    `mkdir -p "$0" && ${runTarget} && mkdir /tmp/trap && ln -s /tmp/trap /tmp/.rebootless-${uid} && ${become}`,
    trap,
  ];
  const target = await startTarget(context, { prefix });
  const agent = await openAgent(target.reference, patient(context));
  assert.equal(await agent.call("double", { number: 4 }), 8);
  agent.close();
  assert.deepEqual(readdirSync(`/proc/${target.reference.pid}/root/tmp/trap`), []);
});

test("a folder that is a link, open to others, or somebody else's is never used", (context) => {
  const base = temporaryFolder(context);
  const usual = join(base, `.rebootless-${process.geteuid?.()}`);
  const elsewhere = join(base, "elsewhere");
  mkdirSync(elsewhere, { mode: 0o700 });
  symlinkSync(elsewhere, usual);
  const first = prepareFolder([base]);
  assert.notEqual(first, usual);
  assert.match(basename(first), /^\.rebootless-\d+-\w{6}$/);
  assert.equal(lstatSync(first).mode & 0o777, 0o700);

  const second = temporaryFolder(context);
  const open = join(second, basename(usual));
  mkdirSync(open);
  chmodSync(open, 0o770);
  assert.notEqual(prepareFolder([second]), open);
  chmodSync(open, 0o700);
  assert.equal(prepareFolder([second]), open);
  if (root) {
    chownSync(open, 65534, 65534);
    assert.notEqual(prepareFolder([second]), open);
  }
  assert.throws(() => prepareFolder([join(base, "absent")]), /no folder can hold/);
});
