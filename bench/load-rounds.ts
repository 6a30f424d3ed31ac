/**
 * A service under load that is patched and reverted again and again: what its clients notice, and what stays in its memory.
 *
 * The yardstick runs side by side: the same client, while commands of the same weight run that do not touch the service.
 * So the share of the machine's processors that any command takes is not mistaken for a cost of the patching.
 */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { attack, holeState } from "../sample/attack.ts";
import { ClientProcess } from "../sample/client-process.ts";
import { CommandLine } from "../sample/command-line.ts";
import { Household } from "../sample/household.ts";
import { median } from "../sample/latency.ts";
import type { LoadReport } from "../sample/load-generator.ts";
import { SettingsService } from "../sample/settings-service.ts";

const memoryProbe = join(import.meta.dirname, "memory-probe.cjs");
const file = "json5.hotpatch";
/** The bench measures pauses; it is not there to refuse them. */
const maxPauseMs = 10_000;
/** Seconds of load before, beside and after. */
const quietSeconds = 5;

export interface Memory {
  readonly heapUsedBytes: number;
  readonly rssBytes: number;
}

export interface Pauses {
  readonly medianMs: number;
  readonly maxMs: number;
}

export interface LoadFigures {
  readonly rounds: number;
  readonly load: LoadReport;
  readonly applyPauses: Pauses;
  readonly revertPauses: Pauses;
  /** After a collection: before the first round, after it (it brings the agent in), and after the last. */
  readonly memory: { readonly before: Memory; readonly afterFirst: Memory; readonly afterLast: Memory };
  /** Rounds in which the attack did not find what it should. */
  readonly wrongStates: readonly string[];
  readonly samePid: boolean;
}

export interface LoadRoundsOptions {
  readonly rounds: number;
  readonly connections: number;
  readonly requestsPerSecond: number;
  /** Called with each line of progress. */
  readonly say: (line: string) => void;
  /** Ends everything early. */
  readonly signal?: AbortSignal;
}

/** Runs the bench; ends everything that it started, whatever happens. */
export async function runLoadRounds(options: LoadRoundsOptions): Promise<LoadFigures> {
  const household = new Household();
  const folder = mkdtempSync(join(tmpdir(), "rebootless-bench-"));
  const commandLine = new CommandLine({ household, folder, apart: true });
  const close = () => void household.close();
  options.signal?.addEventListener("abort", close, { once: true });
  try {
    await buildHotpatch(commandLine, options.say);
    const service = await SettingsService.start(household, {
      port: 0,
      administratorToken: randomBytes(18).toString("base64url"),
      nodeFlags: ["--expose-gc", "--require", memoryProbe],
    });
    const measured = measure({ service, commandLine, household, options });
    return await Promise.race([measured, service.untimelyEnd]).finally(() => service.expectEnd());
  } finally {
    await household.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function buildHotpatch(commandLine: CommandLine, say: (line: string) => void): Promise<void> {
  say("building the hotpatch json5 2.2.1 to 2.2.2");
  await commandLine.run("key", "generate", "--out", "keys/", "--name", "bench");
  await commandLine.run("key", "trust", "keys/bench.pub");
  await commandLine.run("build", "npm", "json5@2.2.1", "--to", "2.2.2", "-o", file, "--key", "keys/bench.key");
}

interface Bench {
  readonly service: SettingsService;
  readonly commandLine: CommandLine;
  readonly household: Household;
  readonly options: LoadRoundsOptions;
}

async function measure({ service, commandLine, household, options }: Bench): Promise<LoadFigures> {
  const { connections, requestsPerSecond, rounds, say } = options;
  const client = await ClientProcess.start(household, { port: service.port, connections, requestsPerSecond });
  const quiet = quietSeconds * requestsPerSecond;
  say("warming up, then load alone, then load beside commands that do not touch the service");
  await client.untilAnswered("start", quiet);
  const before = await memoryOf(service);
  await enterAndWait(client, "before", quiet);
  await client.enterPhase("beside");
  await idleCommands(commandLine, client, quiet);
  const results = { apply: [] as number[], revert: [] as number[], wrongStates: [] as string[] };
  let afterFirst = before;
  for (let round = 1; round <= rounds; round += 1) {
    await client.enterPhase("during");
    await runRound({ service, commandLine, round }, results);
    if (round === 1) {
      await client.enterPhase("collecting");
      afterFirst = await memoryOf(service);
    }
    if (round % 10 === 0 || round === rounds)
      say(`round ${round} of ${rounds}: ${(await client.report()).failed} failed`);
  }
  await client.enterPhase("collecting");
  const afterLast = await memoryOf(service);
  await enterAndWait(client, "after", quiet);
  const { pid } = await service.status();
  return {
    rounds,
    load: await client.stop(),
    applyPauses: pausesOf(results.apply),
    revertPauses: pausesOf(results.revert),
    memory: { before, afterFirst, afterLast },
    wrongStates: results.wrongStates,
    samePid: pid === service.pid,
  };
}

async function enterAndWait(client: ClientProcess, phase: string, requests: number): Promise<void> {
  await client.enterPhase(phase);
  await client.untilAnswered(phase, requests);
}

/** `inspect` starts, reads and checks the same file, and touches no process. */
async function idleCommands(commandLine: CommandLine, client: ClientProcess, requests: number): Promise<void> {
  while (((await client.report()).phases.beside?.requests ?? 0) < requests) await commandLine.run("inspect", file);
}

interface ChangeAnswer {
  readonly outcomes: readonly { readonly pauseMs: number }[];
}

async function runRound(
  { service, commandLine, round }: { service: SettingsService; commandLine: CommandLine; round: number },
  results: { apply: number[]; revert: number[]; wrongStates: string[] },
): Promise<void> {
  for (const verb of ["apply", "revert"] as const) {
    const budget = verb === "apply" ? ["--max-pause", String(maxPauseMs)] : [];
    const answer = await commandLine.run<ChangeAnswer>(verb, file, "--pid", String(service.pid), ...budget);
    results[verb].push(answer.outcomes[0]?.pauseMs ?? 0);
    const hole = holeState(await service.send(attack));
    const expected = verb === "apply" ? "closed" : "open";
    if (hole !== expected) results.wrongStates.push(`round ${round}: the hole is ${hole} after ${verb}`);
  }
}

function pausesOf(pausesMs: readonly number[]): Pauses {
  return { medianMs: median(pausesMs), maxMs: Math.max(...pausesMs) };
}

/** What the service keeps after a collection. */
async function memoryOf(service: SettingsService): Promise<Memory> {
  const answer = once(service.child, "message");
  const sent = new Promise<void>((resolve, reject) => {
    service.child.send("memory", (error) => (error === null ? resolve() : reject(error)));
  });
  const [[memory]] = await Promise.all([answer as Promise<[Memory]>, sent]);
  return memory;
}
