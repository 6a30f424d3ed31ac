/**
 * The stop, tried on a small child of our own before a process has to wait for it.
 *
 * JavaScript that runs for the first time is interpreted, and looks up its system calls; a stop would take several times as long.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { RefusalError } from "../../base/refusal.ts";
import { ProcessMemory } from "./process-memory.ts";
import { StackScan } from "./stack-scan.ts";
import { attemptStop } from "./stop-attempt.ts";
import { TextWrites } from "./text-writes.ts";

/** Enough for the compiler to have had its turn; more changes nothing that could be measured. */
const rehearsals = 300;
/** A busy machine gets fewer. */
const longestMs = 60;

let rehearsed: Promise<void> | undefined;
let collect: (options: { type: "minor" }) => void = () => undefined;

/** Once for each program that stops processes; does nothing where no child can be had. */
export async function rehearseStop(): Promise<void> {
  rehearsed ??= rehearse();
  await rehearsed;
}

/** So that no collection of garbage falls into a stop. */
export function collectGarbage(): void {
  collect({ type: "minor" });
}

async function rehearse(): Promise<void> {
  setFlagsFromString("--expose-gc");
  collect = runInNewContext("gc") as typeof collect;
  // It waits for its input, which ends when we do.
  const child = spawn("cat", [], { stdio: ["pipe", "ignore", "ignore"], cwd: "/" });
  const exited = once(child, "exit");
  // No such program here: the first stop is a slower one.
  exited.catch(() => undefined);
  try {
    await once(child, "spawn");
    stopOften(child);
  } catch (error) {
    // A child that may not be traced: the processes that are meant will say so themselves.
    if (!(error instanceof RefusalError) && (error as NodeJS.ErrnoException).code === undefined) throw error;
  } finally {
    child.kill("SIGKILL");
    if (child.pid !== undefined) await exited;
  }
}

function stopOften({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  const memory = new ProcessMemory(pid);
  try {
    const mappings = memory.maps();
    const stack = mappings.find(({ name }) => name === "[stack]");
    if (stack === undefined) return;
    const nowhere = [{ name: "nothing", start: 1, end: 2 }];
    const scan = new StackScan(pid, nowhere, mappings, { row: () => undefined }, [3]);
    const bytes = memory.read(stack.start, 8);
    const writes = new TextWrites(memory, [{ name: "nothing", address: stack.start, expected: bytes, bytes }]);
    const until = performance.now() + longestMs;
    for (let round = 0; round < rehearsals && performance.now() < until; round++)
      attemptStop(pid, scan, () => {
        writes.look();
        writes.write();
      });
  } finally {
    memory.close();
  }
}
