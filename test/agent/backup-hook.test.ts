/** The backup hook: nothing is changed before it has succeeded, and nothing but the administrator's own is run. */
import assert from "node:assert/strict";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { hasBackupHook, runBackupHook } from "../../src/agent/backup-hook.ts";
import { ask } from "../../src/cli/server-client.ts";
import { refusalOfAsync } from "../hotpatch/support/sample.ts";
import { confine, isConfined } from "./support/confined.ts";
import { openScene } from "./support/scene.ts";

const about = { hotpatchId: "one", actionId: "a-1" };

function openHooks(t: TestContext) {
  const root = mkdtempSync(path.join(tmpdir(), "rebootless-hooks-"));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  const folder = path.join(root, "hooks");
  mkdirSync(folder, { mode: 0o755 });
  const file = path.join(folder, "backup");
  const write = (script: string) => {
    writeFileSync(file, `#!/bin/sh\n${script}\n`);
    chmodSync(file, 0o755);
  };
  const code = async (timeoutMs?: number) => {
    const { code, message } = await refusalOfAsync(() =>
      runBackupHook({ ...about, folder, ...(timeoutMs === undefined ? {} : { timeoutMs }) }),
    );
    return [code, message] as const;
  };
  return { root, folder, file, write, code };
}

confine("a backup before anything is changed, with a real agent", import.meta.filename);

if (isConfined) {
  test("a backup that fails keeps the hotpatch off, and one that succeeds lets it in", {
    timeout: 240_000,
  }, async (t) => {
    const scene = await openScene(t);
    const service = await scene.startService();
    const folder = await scene.enrol("web-1");
    const hook = path.join(folder, "hooks", "backup");
    mkdirSync(path.dirname(hook), { mode: 0o755 });
    const write = (script: string) => {
      writeFileSync(hook, `#!/bin/sh\n${script}\n`);
      chmodSync(hook, 0o755);
    };
    write('echo "no space left for the snapshot" >&2; exit 3');
    const agent = scene.startAgent(folder);
    await scene.approve();
    const refused = await scene.untilState("refused", agent);
    assert.match(refused.reason, /^backup\/failed: .* ended with 3; nothing was changed\. .*no space left/);
    assert.equal(await service.hole(), "open");
    const { facts } = await ask(scene.state, "getFacts", { params: { deviceId: refused.deviceId } });
    assert.equal(facts["agent.backupHook"], true);
    const later = await scene.startService();
    const copy = path.join(scene.folder, "copy");
    write(`echo "$REBOOTLESS_HOTPATCH" > '${copy}'`);
    assert.equal(await later.hole(), "open", "a process that starts later is kept off as well");
    await scene.request("offer");
    await scene.untilState("verified", agent);
    assert.deepEqual([await service.hole(), await later.hole()], ["closed", "closed"]);
    assert.equal(readFileSync(copy, "utf8"), `${scene.hotpatchId}\n`);
    await agent.end("SIGTERM");
  });
} else {
  test("without a hook there is nothing to do; one that succeeds is told what it is for, and nothing else", async (t) => {
    const { folder, file, write } = openHooks(t);
    assert.equal(await hasBackupHook(folder), false);
    await runBackupHook({ ...about, folder });
    write(`env > '${folder}/said'; pwd >> '${folder}/said'`);
    process.env.REBOOTLESS_TEST_SECRET = "secret";
    t.after(() => delete process.env.REBOOTLESS_TEST_SECRET);
    assert.equal(await hasBackupHook(folder), true);
    await runBackupHook({ ...about, folder });
    const said = readFileSync(path.join(folder, "said"), "utf8");
    assert.match(said, /^REBOOTLESS_HOTPATCH=one$/m);
    assert.match(said, /^REBOOTLESS_ACTION=a-1$/m);
    assert.ok(said.trimEnd().endsWith(folder) && !said.includes("secret"), said);
    assert.ok(existsSync(file));
  });

  test("a hook that fails, dies, or takes too long is a refusal with what it said last", async (t) => {
    const { write, code, folder } = openHooks(t);
    write("echo first; echo 'disk\\033[2J full' >&2; exit 7");
    const [failed, message] = await code();
    assert.equal(failed, "backup/failed");
    assert.match(message, /ended with 7; nothing was changed\. It said: first.*full$/s);
    assert.ok(!message.includes("\u001b"), "nothing of it reaches a terminal as it is");
    write("kill -9 $$");
    assert.match((await code())[1], /was ended by SIGKILL/);
    write(`sleep 60 & echo $! > '${folder}/pid'; wait`);
    assert.equal((await code(500))[0], "backup/timeout");
    const pid = Number(readFileSync(path.join(folder, "pid"), "utf8"));
    const state = () => /^State:\s+(\S)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    while (existsSync(`/proc/${pid}`) && state() !== "Z") await new Promise((done) => setTimeout(done, 10));
    write("sleep 60 & exit 0");
    await runBackupHook({ ...about, folder });
  });

  test("a hook that somebody else could have written is not run", async (t) => {
    const { root, folder, file, write, code } = openHooks(t);
    write(`touch '${root}/ran'`);
    for (const [one, mode] of [
      [file, 0o777],
      [file, 0o775],
      [file, 0o644],
      [folder, 0o777],
    ] as const) {
      chmodSync(one, mode);
      assert.equal((await code())[0], "backup/hook-unsafe", `${one} ${mode.toString(8)}`);
      chmodSync(one, 0o755);
    }
    const elsewhere = path.join(root, "elsewhere");
    writeFileSync(elsewhere, "#!/bin/sh\n", { mode: 0o755 });
    rmSync(file);
    symlinkSync(elsewhere, file);
    assert.equal((await code())[0], "backup/hook-unsafe", "a link leads anywhere");
    assert.equal(existsSync(path.join(root, "ran")), false);
  });
}
