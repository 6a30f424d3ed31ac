/** What goes wrong around the agent, and where it ends all the same. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { ask } from "../../src/cli/server-client.ts";
import { confine, isConfined } from "./support/confined.ts";
import { openScene, until } from "./support/scene.ts";

const limits = { timeout: 240_000 };

/** A file system of 2 MiB of this test's own. */
function mountSmall(t: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), "rebootless-small-"));
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=2m", "none", folder], { encoding: "utf8" });
  assert.equal(mounted.status, 0, mounted.stderr);
  t.after(() => {
    spawnSync("umount", ["-l", folder]);
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

confine("trouble around the agent", import.meta.filename);

if (isConfined) {
  test("the server dies in the middle and comes back; meanwhile everything goes on", limits, async (t) => {
    const scene = await openScene(t);
    const service = await scene.startService();
    const folder = await scene.enrol("web-1");
    let agent = scene.startAgent(folder, "after report plan-done");
    await scene.approve();
    await agent.ended;
    await scene.server?.end();
    agent = scene.startAgent(folder);
    await until(
      "closed, with the server away",
      async () => (await service.hole()) === "closed",
      () => agent.said,
    );
    await agent.end();
    agent = scene.startAgent(folder);
    const late = await scene.startService();
    await until(
      "a later one, by a restarted agent",
      async () => (await late.hole()) === "closed",
      () => agent.said,
    );
    const { out } = await scene.say(["agent", "status", "--state", folder, "--json"]);
    const status = JSON.parse(out);
    assert.deepEqual([status.contact.state, status.running, status.unreported > 0], ["away", true, true], out);
    await scene.startServer();
    await scene.untilState("verified", agent);
    const kinds = (await ask(scene.state, "listEvents", { query: { limit: 200 } })).items
      .filter(({ kind }) => kind === "action-changed")
      .map(({ data }) => data.event);
    assert.deepEqual(kinds, [
      ...["fetch-started", "fetch-done", "plan-done", "apply-started", "apply-done", "verify-started", "verify-done"],
    ]);
  });

  test("one changed byte in the catalog is refused by its name; whole again, it is taken", limits, async (t) => {
    const scene = await openScene(t);
    const service = await scene.startService();
    const agent = scene.startAgent(await scene.enrol("web-1"));
    const folder = path.join(scene.shop.repository.publicFolder, "targets", "hotpatches");
    const file = path.join(folder, readdirSync(folder)[0] ?? "");
    const genuine = readFileSync(file);
    const altered = Buffer.from(genuine);
    altered[altered.length >> 1] = (altered[altered.length >> 1] ?? 0) ^ 1;
    writeFileSync(file, altered);
    await scene.approve();
    const refused = await scene.untilState("refused", agent);
    assert.match(refused.reason, /^catalog\/altered: /);
    assert.equal(await service.hole(), "open");
    writeFileSync(file, genuine);
    await scene.request("offer");
    await scene.untilState("verified", agent);
    assert.equal(await service.hole(), "closed");
  });

  test("a process that is in the way is named, and once it is gone the action heals", limits, async (t) => {
    const scene = await openScene(t);
    const service = await scene.startService();
    const debugged = await scene.startService({ env: { NODE_OPTIONS: "--inspect=127.0.0.1:9333" } });
    const agent = scene.startAgent(await scene.enrol("web-1"));
    await scene.approve();
    const refused = await scene.untilState("refused", agent);
    assert.match(refused.reason, new RegExp(`^${debugged.pid}: target/inspector-open: `));
    assert.deepEqual(
      refused.processes.map(({ pid, state }) => [pid, state]),
      [
        [debugged.pid, "refused"],
        [service.pid, "patched"],
      ],
    );
    assert.deepEqual([await service.hole(), await debugged.hole()], ["closed", "open"]);
    const late = await scene.startService();
    await until(
      "later ones are protected still",
      async () => (await late.hole()) === "closed",
      () => agent.said,
    );
    await debugged.end();
    await scene.untilState("verified", agent);
  });

  test("with no process at all it is verified, and says so; one that ends midway is no trouble", limits, async (t) => {
    const scene = await openScene(t);
    const folder = await scene.enrol("web-1");
    const service = await scene.startService();
    const dying = scene.startAgent(folder, "before effect apply");
    await scene.approve();
    await dying.ended;
    await service.end();
    const agent = scene.startAgent(folder);
    const { reason, processes } = await scene.untilState("verified", agent);
    assert.match(reason, /^No process has the package now/);
    assert.deepEqual(processes, []);
    const late = await scene.startService();
    await until(
      "one that starts then is closed",
      async () => (await late.hole()) === "closed",
      () => agent.said,
    );
  });

  test("a machine that is cut off keeps what it has, and its server in peace", limits, async (t) => {
    const scene = await openScene(t);
    const folder = await scene.enrol("web-1");
    const agent = scene.startAgent(folder);
    await scene.approve();
    const { deviceId } = await scene.untilState("verified", agent);
    await ask(scene.state, "revokeDevice", { params: { deviceId } });
    await until(
      "the agent has noticed",
      () => agent.said.includes("has cut this machine off"),
      () => agent.said,
    );
    const late = await scene.startService();
    await until(
      "later ones are protected still",
      async () => (await late.hole()) === "closed",
      () => agent.said,
    );
    const shown = await until("its status says so", async () => {
      const { out } = await scene.say(["agent", "status", "--state", folder]);
      return out.includes("has cut this machine off") && out;
    });
    assert.match(shown, /verified/);
    assert.equal(agent.said.match(/has cut this machine off/g)?.length, 1);
  });

  test("one agent for one folder; leaving takes out what it is told to", limits, async (t) => {
    const scene = await openScene(t);
    const service = await scene.startService();
    const folder = await scene.enrol("web-1");
    const state = ["--state", folder];
    const agent = scene.startAgent(folder);
    await scene.approve();
    await scene.untilState("verified", agent);
    const second = await scene.say(["agent", "run", ...state, "--json"]);
    assert.deepEqual([second.code, JSON.parse(second.out).error.code], [1, "agent/state-busy"]);
    assert.equal((await scene.say(["agent", "leave", ...state, "--yes"])).code, 1, "while the agent runs");
    await agent.end("SIGTERM");
    assert.match((await scene.say(["agent", "status", ...state])).out, /^The agent does not run;.*\n(.*\n)*.*verified/);
    const asked = await scene.say(["agent", "leave", ...state, "--revert"]);
    assert.deepEqual([asked.code, await service.hole()], [3, "closed"]);
    const left = await scene.say(["agent", "leave", ...state, "--revert", "--yes", "--json"]);
    const { reverted, told } = JSON.parse(left.out);
    assert.deepEqual([left.code, reverted, told], [0, [service.pid], true], left.error);
    const [device] = (await ask(scene.state, "listDevices", { query: {} })).items;
    assert.equal(device?.state, "revoked", "the server knows");
    const { items } = await ask(scene.state, "listEvents", { query: { limit: 200 } });
    assert.equal(items.find(({ kind }) => kind === "device-revoked")?.by?.kind, "device");
    const alone = await scene.enrol("web-3");
    await scene.server?.end();
    const untold = await scene.say(["agent", "leave", "--state", alone, "--yes", "--json"]);
    assert.deepEqual([untold.code, JSON.parse(untold.out).told], [0, false], untold.error);
    assert.match(untold.error, /revoke the device there/);
    assert.equal(await service.hole(), "open");
    const gone = await scene.say(["agent", "run", ...state, "--json"]);
    assert.deepEqual([gone.code, JSON.parse(gone.out).error.code], [1, "agent/not-enrolled"]);
  });

  test("on a full disk nothing is begun; with room again it goes on", limits, async (t) => {
    const scene = await openScene(t);
    const service = await scene.startService();
    const folder = path.join(mountSmall(t), "web-1");
    await scene.enrolInto(folder);
    const agent = scene.startAgent(folder);
    await until(
      "the agent is there",
      () => agent.said.includes("the server answers"),
      () => agent.said,
    );
    const ballast = path.join(path.dirname(folder), "ballast");
    assert.throws(() => writeFileSync(ballast, Buffer.alloc(4 * 1024 * 1024)), /ENOSPC/);
    await scene.approve();
    await until(
      "the agent says so",
      () => /nothing can be written|put off/.test(agent.said),
      () => agent.said,
    );
    assert.equal(await service.hole(), "open");
    rmSync(ballast);
    await scene.untilState("verified", agent);
    assert.equal(await service.hole(), "closed");
  });

  // Within a namespace of users there is nobody else to be.
  if (/^\s*0\s+0\s+4294967295/.test(readFileSync("/proc/self/uid_map", "utf8"))) {
    test("an ordinary user's agent looks after his own processes, and no others", limits, async (t) => {
      const uid = 65_534;
      const scene = await openScene(t);
      const folder = await scene.enrol("web-1");
      chmodSync(scene.folder, 0o711);
      assert.equal(spawnSync("chown", ["-R", `${uid}:${uid}`, folder]).status, 0);
      const [own, roots] = [await scene.startService({ uid }), await scene.startService()];
      const agent = scene.startAgentWith({ uid }, folder);
      await scene.approve();
      const { processes } = await scene.untilState("verified", agent);
      assert.deepEqual(
        processes.map(({ pid }) => pid),
        [own.pid],
      );
      assert.deepEqual([await own.hole(), await roots.hole()], ["closed", "open"]);
    });
  }
}
