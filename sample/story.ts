/**
 * `npm start`: the control plane, the agent of this machine, and the story of a hole in a running service that is closed in its memory, opened again, and closed again.
 *
 * Whatever ends it (its end, a step that does not hold, a signal, a reader that went away), everything that it started ends with it; the state folder stays for the next start.
 */
import { randomBytes } from "node:crypto";
import { resolve } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { CommandLine } from "./command-line.ts";
import { Household } from "./household.ts";
import { defaultStateFolder, StateFolder, StateFolderError } from "./state-folder.ts";
import { helpText, parseStoryArguments, type StoryOptions, UsageError } from "./story/arguments.ts";
import { revertAndApplyAgain, rollOut, showHole, startClient, startService, sumUp } from "./story/chapters.ts";
import { makeKeys, startAgent, startControlPlane } from "./story/control-plane.ts";
import { beginToBuild, makeHotpatch } from "./story/hotpatch.ts";
import { leaveRunning } from "./story/leave-running.ts";
import { Stage } from "./story/stage.ts";
import { Teller } from "./story/teller.ts";

/** As shells count it: 128 and the number of the signal. */
const signalExitCodes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

type End = { readonly kind: "told" } | { readonly kind: "failed"; readonly error: Error } | Interruption;

interface Interruption {
  readonly kind: "interrupted";
  readonly exitCode: number;
}

async function tell(stage: Stage): Promise<End> {
  const { teller, options } = stage;
  try {
    if (!options.sample) {
      teller.title("Rebootless: the control plane and the agent of this machine");
      await setUp(stage);
      await startAgent(stage);
      return { kind: "told" };
    }
    teller.title("Rebootless: a hole in a running service, closed while it serves");
    teller.chapter("The control plane of this machine");
    await setUp(stage);
    teller.chapter("A service with a hole");
    await startService(stage);
    await showHole(stage);
    teller.chapter("The fix becomes a signed hotpatch in the catalog");
    await makeHotpatch(stage);
    teller.chapter("A client that does not stop");
    await startClient(stage);
    teller.chapter("The hotpatch goes into the running process");
    await startAgent(stage);
    await rollOut(stage);
    teller.chapter("It comes out again, and goes in again");
    await revertAndApplyAgain(stage);
    teller.chapter("What it came to");
    await sumUp(stage);
    return { kind: "told" };
  } catch (error) {
    return { kind: "failed", error: error as Error };
  }
}

async function setUp(stage: Stage): Promise<void> {
  await makeKeys(stage);
  if (stage.options.sample) beginToBuild(stage);
  await startControlPlane(stage);
}

/** Resolves at the first signal, or when nobody reads any more; a second signal ends all children at once. */
function untilInterrupted(household: Household): Promise<Interruption> {
  return new Promise((resolve) => {
    let signals = 0;
    for (const [signal, exitCode] of Object.entries(signalExitCodes)) {
      process.on(signal, () => {
        signals += 1;
        if (signals > 1) household.kill();
        resolve({ kind: "interrupted", exitCode });
      });
    }
    for (const stream of [process.stdout, process.stderr]) {
      stream.on("error", () => resolve({ kind: "interrupted", exitCode: 1 }));
    }
  });
}

/** A connection breaks a moment before the end of its process is seen; the end of the process is the better reason. */
const rootCauseMs = 500;

async function rootCause(failed: End, untimely: Promise<End>): Promise<End> {
  return Promise.race([untimely, wait(rootCauseMs, failed)]);
}

async function run(options: StoryOptions): Promise<number> {
  const household = new Household();
  const interrupted = untilInterrupted(household);
  const teller = new Teller(options.json ? process.stderr : process.stdout);
  const state = await StateFolder.open(resolve(options.state ?? defaultStateFolder(process.env)));
  const untimely = Promise.withResolvers<End>();
  const stage = new Stage({
    household,
    teller,
    state,
    commandLine: new CommandLine({
      ...{ household, folder: state.root, temporaryFolder: state.temporary },
      onLine: (line) => teller.command(line),
    }),
    options,
    administratorToken: randomBytes(18).toString("base64url"),
    onUntimelyEnd: (error) => untimely.resolve({ kind: "failed", error }),
  });
  const others = [untimely.promise, interrupted];
  try {
    const first = await Promise.race([tell(stage), ...others]);
    const end = first.kind === "failed" ? await rootCause(first, untimely.promise) : first;
    const exitCode = conclude(stage, end);
    if (end.kind !== "told" || options.once) return exitCode;
    await leaveRunning(stage);
    const later = await Promise.race(others);
    // Ctrl-C is how the story is meant to end once it has been told.
    return later.kind === "failed" ? conclude(stage, later) : 0;
  } finally {
    stage.expectEnd();
    await household.close();
    state.close();
  }
}

/** Tells how it ended, prints the figures if they were asked for, and gives the exit code. */
function conclude({ teller, figures, options, step }: Stage, end: End): number {
  figures.ok = end.kind === "told";
  if (end.kind === "failed") {
    figures.failure = { step, reason: end.error.message };
    teller.bad(`The story ends here: the step "${step}" did not hold.`);
    teller.say(end.error.message);
  }
  if (end.kind === "interrupted") {
    figures.failure = { step, reason: "interrupted" };
    teller.say(`Interrupted at the step "${step}"; ending everything.`);
  }
  if (options.json) process.stdout.write(`${JSON.stringify(figures, undefined, 2)}\n`);
  if (end.kind === "interrupted") return end.exitCode;
  return end.kind === "told" ? 0 : 1;
}

async function main(): Promise<number> {
  try {
    const options = parseStoryArguments(process.argv.slice(2));
    if (options !== "help") return await run(options);
    process.stdout.write(helpText);
    return 0;
  } catch (error) {
    if (error instanceof StateFolderError) {
      process.stderr.write(`npm start: ${error.message}\n`);
      return 1;
    }
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`npm start: ${error.message}; see npm start -- --help\n`);
    return 2;
  }
}

process.exitCode = await main();
