/**
 * The story of `npm start`: a hole in a running service is closed in its memory, opened again, and closed again.
 *
 * Whatever ends the story (its end, a step that does not hold, a signal, a reader that went away), everything that it started ends with it, and its folder goes.
 */
import { randomBytes } from "node:crypto";
import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { CommandLine } from "./command-line.ts";
import { Household } from "./household.ts";
import { helpText, parseStoryArguments, type StoryOptions, UsageError } from "./story/arguments.ts";
import {
  applyWhileServing,
  makeHotpatch,
  revertAndApplyAgain,
  showHole,
  startClient,
  startService,
  sumUp,
} from "./story/chapters.ts";
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
  try {
    stage.teller.title("Rebootless: a hole in a running service, closed while it serves");
    await startService(stage);
    await showHole(stage);
    await makeHotpatch(stage);
    await startClient(stage);
    await applyWhileServing(stage);
    await revertAndApplyAgain(stage);
    await sumUp(stage);
    return { kind: "told" };
  } catch (error) {
    return { kind: "failed", error: error as Error };
  }
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
  // mkdtemp makes it with mode 0700 whatever the umask.
  const folder = mkdtempSync(join(realpathSync(tmpdir()), "rebootless-story-"));
  const untimely = Promise.withResolvers<End>();
  const stage = new Stage({
    household,
    teller,
    commandLine: new CommandLine({ household, folder, onLine: (line) => teller.command(line) }),
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
    leaveRunning(stage);
    const later = await Promise.race(others);
    // Ctrl-C is how the story is meant to end once it has been told.
    return later.kind === "failed" ? conclude(stage, later) : 0;
  } finally {
    stage.expectEnd();
    await household.close();
    rmSync(folder, { recursive: true, force: true });
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
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`npm start: ${error.message}; see npm start -- --help\n`);
    return 2;
  }
}

process.exitCode = await main();
