/** Another machine, with a network and an address of its own, is enrolled by the very lines that README.md shows. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { attack } from "../../sample/attack.ts";
import { confine, isConfined, made } from "../agent/support/confined.ts";
import { openScene, type Scene, type Service, until } from "../agent/support/scene.ts";
import { Machine } from "./support/machine.ts";
import { linesOfReadme, mayRunNpx, Shell } from "./support/shell.ts";

/** Of the addresses that RFC 5737 keeps for documentation. */
const cable = { here: "192.0.2.1", there: "192.0.2.2" };
const serverName = "patches.example";

type Lines = readonly [serverRun: string, makeToken: string, enrol: string, agentRun: string, list: string];

/** The five lines, with the placeholders filled in. */
function filledLines({ shop }: Scene): Lines {
  const lines = linesOfReadme(/^## Another machine$/m, 5);
  const filled = lines.map((line) =>
    line
      .replaceAll("SERVER", serverName)
      .replaceAll("CATALOG", shop.repository.publicFolder)
      .replaceAll("AUTHOR.pub", made().author),
  );
  return filled as unknown as Lines;
}

/** Asked from inside, since the service listens on that machine's own loopback. */
function holeOn(machine: Machine, { port, pid }: Service): string {
  const script = `fetch("http://127.0.0.1:${port}/settings", { method: "POST", body: ${JSON.stringify(attack)} }).then(async (answer) => console.log(JSON.stringify({ status: answer.status, body: await answer.json() })))`;
  const { status, body } = JSON.parse(machine.do(process.execPath, "-e", script));
  if (body.servedBy !== undefined) assert.equal(body.servedBy, pid);
  return status === 200 && body.administration !== undefined ? "open" : `${status} ${body.error}`;
}

/** Has the name of the server in its hosts file, and a /var/lib of its own, where an agent of root keeps its state. */
async function openOther(t: TestContext, scene: Scene): Promise<Machine> {
  const machine = await Machine.open(t, { name: "web-2", ownNetwork: true });
  machine.connect(cable);
  const hosts = path.join(scene.folder, "hosts");
  writeFileSync(hosts, `127.0.0.1 localhost\n${cable.here} ${serverName}\n`);
  machine.do("mount", "--bind", hosts, "/etc/hosts");
  machine.do("mount", "-t", "tmpfs", "none", "/var/lib");
  return machine;
}

confine("a second machine", import.meta.filename, {
  hindrance: mayRunNpx ? undefined : "npx needs a checkout of this user's own",
});

if (isConfined) {
  test("README's five lines enrol another machine, and its process is closed", { timeout: 300_000 }, async (t) => {
    const scene = await openScene(t);
    const machine = await openOther(t, scene);
    const service = await scene.startService({ place: machine });
    assert.equal(holeOn(machine, service), "open");
    const [serverRun, makeToken, enrol, agentRun, list] = filledLines(scene);
    const shell = new Shell(t, scene.folder, { REBOOTLESS_STATE: scene.state });
    const inFolder = (line: string) => line.replaceAll(/\btoken$/gm, path.join(scene.folder, "token"));

    const printed = shell.run(inFolder(makeToken));
    assert.equal(printed.code, 0, printed.error);
    // The server of the scene was not told to listen for others.
    const early = shell.run(`${inFolder(enrol)} --json`, machine);
    assert.deepEqual([early.code, JSON.parse(early.out).error.code], [1, "agent/server-away"], early.error);
    await scene.server?.end("SIGTERM");

    const server = shell.start(serverRun);
    await until(
      "the server listens for others",
      () => server.said().includes(`Listening on https://${serverName}:8443`),
      server.said,
    );
    const enrolled = shell.run(inFolder(enrol), machine);
    assert.match(enrolled.out, /^Enrolled as web-2 /, enrolled.error);
    const agent = shell.start(agentRun, machine);
    await until("its device is seen", () => /\bweb-2\b/.test(shell.run(list).out), agent.said);
    await scene.approve();
    const action = await until(
      "the hotpatch is verified there",
      async () => {
        const found = await scene.action();
        // On a busy machine the pause may be predicted beyond the agent's budget; a person offers it again.
        if (found?.state === "refused" && /over-budget|pause/.test(found.reason)) await scene.request("offer");
        return found?.state === "verified" && found;
      },
      () => agent.said(),
    );
    assert.deepEqual(
      action.processes.map(({ pid, state }) => [pid, state]),
      [[service.pid, "verified"]],
    );
    assert.equal(holeOn(machine, service), '400 "__proto__" is not a setting');
    assert.equal(service.hasEnded, false);
  });
}
