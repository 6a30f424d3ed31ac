/**
 * The chapters of the story, in the order in which they are told.
 *
 * Each does something for real, tells what came of it with the true figures, and throws when it is not what the chapter claims.
 */
import { attack, clumsyAttack, expectOrdinaryService, type HoleState, holeState, honestSettings } from "../attack.ts";
import { ClientProcess } from "../client-process.ts";
import { SettingsService } from "../settings-service.ts";
import { type HotpatchFigures, hold, type Stage } from "./stage.ts";
import { grouped, milliseconds } from "./teller.ts";

export const hotpatchFile = "json5.hotpatch";
export const advisory = "CVE-2022-46175:high";
/** Plenty for a service of this size, and a rate that leaves two processor cores room for the commands. */
const load = { connections: 8, requestsPerSecond: 400 } as const;
/** Far above what the service needs, so that the story can be told on a machine that is busy with other things. */
const maxPauseMs = 5000;
const shownFunctions = 4;

export async function startService(stage: Stage): Promise<void> {
  const { teller, options, administratorToken } = stage;
  teller.chapter("A service with a hole");
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

export async function makeHotpatch(stage: Stage): Promise<void> {
  const { teller, commandLine } = stage;
  teller.chapter("The fix becomes a signed hotpatch");
  stage.enterStep("make a key");
  teller.say(`Key and hotpatch are kept in ${commandLine.folder}, for this user alone, until the story ends.`);
  const key = await commandLine.run<{ keyId: string }>("key", "generate", "--out", "keys/", "--name", "author");
  stage.enterStep("trust the key");
  await commandLine.run("key", "trust", "keys/author.pub");
  stage.enterStep("build the hotpatch");
  teller.say("json5 2.2.1 and 2.2.2 are fetched from the registry by npm and compared.");
  const words = ["--to", "2.2.2", "-o", hotpatchFile, "--key", "keys/author.key", "--advisory", advisory];
  const built = await commandLine
    .run<Omit<HotpatchFigures, "keyId"> & { signedBy: readonly string[] }>("build", "npm", "json5@2.2.1", ...words)
    .catch((error: Error) => {
      throw new Error(`${error.message} (The story needs the npm registry for this: see that \`npm ping\` works.)`, {
        cause: error,
      });
    });
  hold(built.signedBy.includes(key.keyId), "The hotpatch is not signed by the key that was made for it.");
  const { id, digest, sizeBytes } = built;
  const files = built.files.map(({ path, functions }) => ({ path, functions }));
  stage.figures.hotpatch = { file: hotpatchFile, id, digest, sizeBytes, keyId: key.keyId, files };
  await inspect(stage);
}

interface Inspection {
  readonly target: { readonly name: string; readonly version: string; readonly fixedVersion: string };
  readonly advisories: readonly { readonly id: string; readonly severity?: string }[];
  readonly signatures: { readonly trusted: boolean; readonly signedBy: readonly { readonly keyId: string }[] };
  readonly files: readonly { readonly path: string; readonly functions: readonly string[] }[];
}

async function inspect(stage: Stage): Promise<void> {
  const { teller, commandLine } = stage;
  stage.enterStep("inspect the hotpatch");
  const seen = await commandLine.run<Inspection>("inspect", hotpatchFile);
  hold(seen.signatures.trusted, "The hotpatch is not trusted, though its key is.");
  const { name, version, fixedVersion } = seen.target;
  const closes = seen.advisories.map(({ id, severity }) => `${id} (${severity ?? "unrated"})`).join(", ");
  const keyId = seen.signatures.signedBy[0]?.keyId.slice(0, 16);
  teller.say(
    `It makes ${name} ${version} behave as ${fixedVersion}, closes ${closes}, signed by the trusted key ${keyId}….`,
  );
  const live = seen.files.filter(({ functions }) => functions.length > 0);
  const later = seen.files.length - live.length;
  const changed = live.map(({ path, functions }) => {
    const more = functions.length > shownFunctions ? ` and ${functions.length - shownFunctions} more` : "";
    return `${path} (${functions.slice(0, shownFunctions).join(", ")}${more})`;
  });
  const rest = later === 0 ? "" : `, and ${later} files that take effect only where they are loaded later`;
  teller.say(`It changes ${changed.join(", ")}${rest}.`);
}

export async function startClient(stage: Stage): Promise<void> {
  const { teller, service } = stage;
  teller.chapter("A client that does not stop");
  stage.enterStep("start the client");
  const status = await service.status();
  stage.figures.status = { first: status, last: status };
  stage.client = await ClientProcess.start(stage.household, { port: service.port, ...load });
  stage.figures.client = { pid: stage.client.pid, ...load };
  teller.say(
    `${load.connections} keep-alive connections, ${load.requestsPerSecond} requests a second, every answer checked, until the end of the story.`,
  );
  // The first requests run code that is not yet compiled; they are counted, but are no yardstick.
  await stage.client.untilAnswered("start", load.requestsPerSecond);
  await stage.client.enterPhase("before");
  const { phases } = await stage.client.untilAnswered("before", 3 * load.requestsPerSecond);
  const { requests = 0, p50Ms = 0, p99Ms = 0 } = phases.before ?? {};
  teller.say(`${grouped(requests)} requests later: median ${milliseconds(p50Ms)}, p99 ${milliseconds(p99Ms)}.`);
}

export async function applyWhileServing(stage: Stage): Promise<void> {
  stage.teller.chapter("The hotpatch goes into the running process");
  await change(stage, { verb: "apply", when: "apply", next: "patched" });
  await expectHole(stage, { when: "patched", expected: "closed" });
  await expectOrdinaryService(stage.service, stage.administratorToken);
  stage.teller.say("Users and the true administrator are served as before.");
  await verify(stage, "patched");
}

export async function revertAndApplyAgain(stage: Stage): Promise<void> {
  stage.teller.chapter("It comes out again, and goes in again");
  await change(stage, { verb: "revert", when: "revert", next: "reverted" });
  await expectHole(stage, { when: "reverted", expected: "open" });
  await change(stage, { verb: "apply", when: "apply again", next: "patched again" });
  await expectHole(stage, { when: "patched again", expected: "closed" });
  await expectOrdinaryService(stage.service, stage.administratorToken);
  await verify(stage, "patched again");
}

interface ChangeAnswer {
  readonly outcomes: readonly {
    readonly pid: number;
    readonly state: string;
    readonly pauseMs: number;
    readonly totalMs: number;
  }[];
}

/** Runs `apply` or `revert` while the client is at work; its requests are counted by what was going on when they were due. */
async function change(
  stage: Stage,
  { verb, when, next }: { verb: "apply" | "revert"; when: string; next: string },
): Promise<void> {
  const { teller, service, client, commandLine } = stage;
  stage.enterStep(when);
  await client.enterPhase(when);
  const budget = verb === "apply" ? ["--max-pause", String(maxPauseMs)] : [];
  const answer = await commandLine.run<ChangeAnswer>(verb, hotpatchFile, "--pid", String(service.pid), ...budget);
  await client.enterPhase(next);
  const outcome = answer.outcomes.find(({ pid }) => pid === service.pid);
  hold(outcome !== undefined, `The command says nothing of PID ${service.pid}.`);
  const wanted = verb === "apply" ? "applied" : "reverted";
  hold(outcome.state === wanted, `The command ended well, and yet the state is "${outcome.state}".`);
  const { pid, state, pauseMs, totalMs } = outcome;
  stage.figures.changes.push({ when, state, pid, pauseMs, totalMs, commandMs: answer.commandMs });
  const report = await client.untilAnswered(next, load.requestsPerSecond);
  hold(report.failed === 0, `${report.failed} requests failed: ${report.failures.join("; ")}`);
  const { requests = 0, p99Ms = 0, maxMs = 0 } = report.phases[when] ?? {};
  teller.say(
    `PID ${pid} is ${state}; its event loop stood still for ${milliseconds(pauseMs)} at the longest, the command took ${milliseconds(answer.commandMs)}.`,
  );
  teller.say(
    `${grouped(requests)} requests came in meanwhile: none failed, p99 ${milliseconds(p99Ms)}, the slowest ${milliseconds(maxMs)}.`,
  );
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
  const answer = await commandLine.run<VerifyAnswer>("verify", hotpatchFile, "--pid", String(service.pid));
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
  teller.chapter("What it came to");
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
        pause === undefined ? "" : milliseconds(pause),
      ];
    }),
  ]);
  teller.good(
    `${grouped(requests)} requests, ${failed} failed; ${connectionsOpened} connections, 0 opened anew; PID ${last.pid} for ${Math.round(last.uptimeSeconds)} s, 0 restarts.`,
  );
}
