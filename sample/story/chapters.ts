/**
 * The chapters of the story, in the order in which they are told.
 *
 * Each does something for real, tells what came of it with the true figures, and throws when it is not what the chapter claims.
 */
import { attack, clumsyAttack, expectOrdinaryService, type HoleState, holeState, honestSettings } from "../attack.ts";
import { ClientProcess } from "../client-process.ts";
import { SettingsService } from "../settings-service.ts";
import { approve, offerAgain, takeBack } from "./rollout.ts";
import { hold, type Stage } from "./stage.ts";
import { grouped, milliseconds } from "./teller.ts";

/** Plenty for a service of this size, and a rate that leaves two processor cores room for the commands. */
const load = { connections: 8, requestsPerSecond: 400 } as const;

export async function startService(stage: Stage): Promise<void> {
  const { teller, options, administratorToken } = stage;
  stage.enterStep("start the service");
  stage.service = await SettingsService.start(stage.household, { port: options.port, administratorToken });
  const { pid, port, url } = stage.service;
  stage.figures.service = { pid, port, url, node: process.version };
  teller.say(`A settings service runs at ${url}: PID ${pid}, Node ${process.version}.`);
  teller.say("It reads its requests with json5 2.2.1 from npm, in which CVE-2022-46175 is open.");
}

export async function showHole(stage: Stage): Promise<void> {
  const { teller, service } = stage;
  stage.enterStep("show that the hole is open");
  await expectOrdinaryService(service, stage.administratorToken);
  for (const [who, settings] of [
    ["A user sends", honestSettings],
    ["An attacker sends", clumsyAttack],
  ] as const) {
    const { status, text } = await service.send(settings);
    teller.wire(who, settings);
    teller.wire("and is answered", `${status} ${text}`);
  }
  await expectHole(stage, { when: "before", expected: "open", tellAll: true });
}

/** Attacks the service and holds that the hole is as it should be. */
async function expectHole(
  stage: Stage,
  { when, expected, tellAll = false }: { when: string; expected: HoleState; tellAll?: boolean },
): Promise<void> {
  const { teller, service } = stage;
  const answer = await service.send(attack);
  const hole = holeState(answer);
  const { pid } = await service.status();
  const gotPassword = answer.body.administration !== undefined;
  stage.figures.attacks.push({ when, hole, httpStatus: answer.status, gotPassword, servedBy: pid });
  teller.wire(tellAll ? "He tries again" : "The attacker sends", attack);
  teller.wire("and is answered", `${answer.status} ${answer.text}`);
  hold(pid === service.pid, `The answer came from PID ${pid}, not from PID ${service.pid}.`);
  hold(hole === expected, `The hole is ${hole}, and should be ${expected}.`);
  if (hole === "open") teller.bad(`The hole is OPEN in PID ${pid}: he has the password that only administrators get.`);
  else teller.good(`The hole is CLOSED in PID ${pid}: he is refused, and learns nothing.`);
}

export async function startClient(stage: Stage): Promise<void> {
  const { teller, service } = stage;
  stage.enterStep("start the client");
  const status = await service.status();
  stage.figures.status = { first: status, last: status };
  stage.client = await ClientProcess.start(stage.household, { port: service.port, ...load });
  stage.figures.client = { pid: stage.client.pid, ...load };
  teller.say(
    `${load.connections} keep-alive connections, ${load.requestsPerSecond} requests a second, every answer checked, until the end of the story.`,
  );
  // The first requests run code that is not yet compiled; they are counted, but are no yardstick.
  await stage.client.untilAnswered("start", load.requestsPerSecond / 4);
  await stage.client.enterPhase("before");
  const { phases } = await stage.client.untilAnswered("before", load.requestsPerSecond / 2);
  const { requests = 0, p50Ms = 0, p99Ms = 0 } = phases.before ?? {};
  teller.say(`${grouped(requests)} requests later: median ${milliseconds(p50Ms)}, p99 ${milliseconds(p99Ms)}.`);
}

export async function rollOut(stage: Stage): Promise<void> {
  await approve(stage);
  await expectHole(stage, { when: "patched", expected: "closed" });
  await expectOrdinaryService(stage.service, stage.administratorToken);
  stage.teller.say("Users and the true administrator are served as before.");
  await verify(stage, "patched");
}

export async function revertAndApplyAgain(stage: Stage): Promise<void> {
  await takeBack(stage);
  await expectHole(stage, { when: "reverted", expected: "open" });
  await offerAgain(stage);
  await expectHole(stage, { when: "patched again", expected: "closed" });
  await expectOrdinaryService(stage.service, stage.administratorToken);
  await verify(stage, "patched again");
}

interface VerifyAnswer {
  readonly verdicts: readonly {
    readonly pid: number;
    readonly state: string;
    readonly findings: readonly { readonly subject: string; readonly state: string; readonly evidence: string }[];
  }[];
}

async function verify(stage: Stage, when: string): Promise<void> {
  const { teller, service, commandLine } = stage;
  stage.enterStep(`verify (${when})`);
  const answer = await commandLine.run<VerifyAnswer>(
    "verify",
    stage.figures.hotpatch?.file ?? "",
    "--pid",
    String(service.pid),
  );
  const verdict = answer.verdicts.find(({ pid }) => pid === service.pid);
  hold(verdict !== undefined, `The command says nothing of PID ${service.pid}.`);
  stage.figures.verdicts.push({ when, state: verdict.state, findings: verdict.findings.length });
  hold(verdict.state === "in-place", `The hotpatch is ${verdict.state}, and should be in place.`);
  const proven = verdict.findings.filter((finding) => finding.state === "proven");
  hold(proven.length > 0, "Nothing proves that the hotpatch is in place.");
  const [first] = proven;
  teller.good(
    `Verified in memory: ${proven.length} of ${verdict.findings.length} findings proven${first === undefined ? "." : `, such as`}`,
  );
  if (first !== undefined) teller.say(`${first.subject}: ${first.evidence}`);
}

export async function sumUp(stage: Stage): Promise<void> {
  const { teller, service, figures } = stage;
  stage.enterStep("sum up");
  figures.load = await stage.client.stop();
  const { first } = figures.status ?? { first: await service.status() };
  const last = await service.status();
  figures.status = { first, last };
  const { requests, failed, failures, connectionsOpened } = figures.load;
  hold(failed === 0, `${failed} requests failed: ${failures.join("; ")}`);
  hold(connectionsOpened === load.connections, `${connectionsOpened - load.connections} connections were opened anew.`);
  hold(last.pid === first.pid && last.startedAt === first.startedAt, "The service is another process than at first.");
  hold(last.served >= requests, `The service counts ${last.served} requests, the client ${requests}.`);
  teller.table([
    ["requests due", "count", "median", "p99", "slowest", "pause"],
    ...Object.entries(figures.load.phases).map(([name, { requests: count, p50Ms, p99Ms, maxMs }]) => {
      const pause = figures.changes.find(({ when }) => when === name)?.pauseMs;
      return [
        name,
        grouped(count),
        ...[p50Ms, p99Ms, maxMs].map(milliseconds),
        typeof pause === "number" ? milliseconds(pause) : "",
      ];
    }),
  ]);
  teller.good(
    `${grouped(requests)} requests, ${failed} failed; ${connectionsOpened} connections, 0 opened anew; PID ${last.pid} for ${Math.round(last.uptimeSeconds)} s, 0 restarts.`,
  );
}
