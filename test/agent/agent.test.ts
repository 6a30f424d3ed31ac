/** The agent with a real server, a real catalog and really vulnerable services. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ask } from "../../src/cli/server-client.ts";
import { confine, isConfined } from "./support/confined.ts";
import { hotpatchId, openScene, until } from "./support/scene.ts";

const limits = { timeout: 240_000 };

confine("the agent, among the processes of this test alone", import.meta.filename);

if (isConfined) {
  test("approve, and it is closed; revert, and it is as before; later processes follow", limits, async (t) => {
    const scene = await openScene(t);
    const [one, two] = [await scene.startService(), await scene.startService()];
    assert.deepEqual([await one.hole(), await two.hole()], ["open", "open"]);
    const folder = await scene.enrol("web-1");
    const agent = scene.startAgent(folder);
    await scene.approve();
    const verified = await scene.untilState("verified", agent);
    assert.deepEqual([await one.hole(), await two.hole()], ["closed", "closed"]);
    assert.deepEqual(
      verified.processes.map(({ pid, state }) => [pid, state]).toSorted(),
      [one, two].map(({ pid }) => [pid, "verified"]).toSorted(),
    );
    assert.ok(verified.processes.every(({ pauseMs }) => pauseMs !== undefined && pauseMs > 0));
    const late = await scene.startService();
    await until(
      "a later process is closed",
      async () => (await late.hole()) === "closed",
      () => agent.said,
    );
    const told = await until("the facts tell of all three", async () => {
      const { facts } = await ask(scene.state, "getFacts", { params: { deviceId: verified.deviceId } });
      const has = [one, two, late].every(({ pid }) => String(facts[`process.${pid}.hotpatches`]) === hotpatchId);
      return has && facts;
    });
    assert.deepEqual(told[`process.${one.pid}.packages`], ["json5@2.2.1"]);
    const { code, out } = await scene.say(["agent", "status", "--state", folder, "--json"]);
    const status = JSON.parse(out);
    assert.deepEqual([code, status.running, status.contact.state], [0, true, "connected"]);
    assert.equal(status.processes.length, 3);
    await scene.request("revert");
    const reverted = await scene.untilState("reverted", agent);
    assert.equal(reverted.processes.length, 3);
    for (const service of [one, two, late]) assert.equal(await service.hole(), "open");
    const after = await scene.startService();
    await agent.end("SIGTERM");
    assert.equal(agent.child.exitCode, 0, agent.said);
    assert.equal(await after.hole(), "open", "what was taken back is put into no process");
  });
}
