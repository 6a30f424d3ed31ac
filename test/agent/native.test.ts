/** A native hotpatch the whole way: built from source and a fix, published, approved, applied by the agent to a running C program, verified, taken back. */
import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { ask } from "../../src/cli/server-client.ts";
import { confine, isConfined, made } from "./support/confined.ts";
import { buildService, makeNative, NativeService } from "./support/native-service.ts";
import { openScene, until } from "./support/scene.ts";

const limits = { timeout: 240_000 };

confine("an agent and native programs", import.meta.filename, { make: makeNative });

if (isConfined) {
  test(
    "approve, and it is closed in the same process; later ones follow, forked ones have it; revert, and it is as before",
    limits,
    async (t) => {
      const scene = await openScene(t);
      const one = await NativeService.start(scene);
      const before = await one.holeInChild();
      assert.deepEqual([await one.hole(), before.hole], ["open", "open"]);
      const agent = scene.startAgent(await scene.enrol("web-1"));
      await scene.approve();
      const verified = await scene.untilState("verified", agent);
      assert.equal(await one.hole(), "closed");
      const pids = verified.processes.map(({ pid, state }) => [pid, state]).toSorted();
      assert.deepEqual(
        pids,
        [one.pid, before.pid].toSorted().map((pid) => [pid, "verified"]),
        "both, and no other",
      );

      const [hotpatch] = (await ask(scene.state, "listHotpatches", { query: {} })).items;
      const [binary] = hotpatch?.binaries ?? [];
      const outcome = verified.processes.find(({ pid }) => pid === one.pid);
      assert.deepEqual(
        { ...outcome?.native, comparedBytes: (outcome?.native?.comparedBytes ?? 0) > 0 },
        { buildIds: [binary?.buildId], functions: binary?.functionCount, comparedBytes: true, rehearsed: false },
      );
      assert.ok((outcome?.pauseMs ?? 0) > 0);
      const { items } = await ask(scene.state, "listEvents", { query: { limit: 200 } });
      const event = items.find(({ kind, data }) => kind === "action-changed" && data.event === "verify-done");
      assert.deepEqual(event?.data.processes, verified.processes, "the event has the evidence");

      const late = await NativeService.start(scene);
      await until(
        "a process that started later is closed",
        async () => (await late.hole()) === "closed",
        () => agent.said,
      );
      const forked = await one.holeInChild();
      assert.equal(forked.hole, "closed", "it was born with the hotpatch in it");
      const all = [one.pid, before.pid, late.pid, forked.pid];
      const facts = await until("the facts tell of all of them", async () => {
        const told = await ask(scene.state, "getFacts", { params: { deviceId: verified.deviceId } });
        return all.every((pid) => String(told.facts[`process.${pid}.hotpatches`]) === scene.hotpatchId) && told.facts;
      });
      assert.deepEqual(facts[`process.${one.pid}.buildIds`], [binary?.buildId]);
      assert.deepEqual(facts[`binary.${binary?.buildId}`], [made().program]);
      const libc = Object.values(facts).find((value) => Array.isArray(value) && value[1] === "libc6");
      assert.match(String(Array.isArray(libc) && libc[2]), /^2\./, "dpkg knows whose the C library is");

      await scene.request("revert");
      const reverted = await scene.untilState("reverted", agent);
      assert.deepEqual(reverted.processes.map(({ pid }) => pid).toSorted(), all.toSorted());
      assert.deepEqual([await one.hole(), await late.hole()], ["open", "open"]);
      const after = await NativeService.start(scene);
      await agent.end("SIGTERM");
      assert.equal(agent.child.exitCode, 0, agent.said);
      assert.equal(await after.hole(), "open", "what was taken back is put into no process");
    },
  );

  test("a program whose file was deleted, and one that executes itself anew", limits, async (t) => {
    const scene = await openScene(t);
    const program = path.join(scene.folder, "gone", "service");
    mkdirSync(path.dirname(program));
    copyFileSync(made().program ?? "", program);
    const service = await NativeService.start(scene, { program });
    rmSync(path.dirname(program), { recursive: true });
    const agent = scene.startAgent(await scene.enrol("web-1"));
    await scene.approve();
    const { processes } = await scene.untilState("verified", agent);
    assert.deepEqual(
      processes.map(({ pid }) => pid),
      [service.pid],
    );
    assert.equal(await service.hole(), "closed");
    await service.execute();
    await until(
      "the program that it executed anew is closed",
      async () => (await service.hole()) === "closed",
      () => agent.said,
    );
  });

  test("a device without the build is told so, and enters no process of it", limits, async (t) => {
    const scene = await openScene(t);
    const other = buildService(
      scene.folder,
      "-DANOTHER_BUILD -Wl,--build-id=0x00112233445566778899aabbccddeeff00112233",
    );
    const service = await NativeService.start(scene, { program: other.program });
    const maps = readFileSync(`/proc/${service.pid}/maps`, "utf8");
    const agent = scene.startAgent(await scene.enrol("web-1"));
    await scene.approve();
    const { processes, reason } = await scene.untilState("verified", agent);
    assert.deepEqual(processes, []);
    assert.match(
      reason,
      /^No process has service with the build-id [0-9a-f]{40} loaded now; 1 process has another build of service \(00112233445566778899aabbccddeeff00112233\); processes that start with it later/,
    );
    assert.equal(await service.hole(), "open");
    assert.equal(readFileSync(`/proc/${service.pid}/maps`, "utf8"), maps);
  });
}
