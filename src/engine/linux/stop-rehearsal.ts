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
import type { Mapping } from "./memory-map.ts";
import { OtherStacks } from "./other-stacks.ts";
import { ProcessMemory } from "./process-memory.ts";
import { type GuardedRange, StackScan } from "./stack-scan.ts";
import { attemptStop } from "./stop-attempt.ts";
import { sleepFor, unobserved } from "./system-calls.ts";
import { TextWrites } from "./text-writes.ts";
import type { Tracee } from "./tracee.ts";

/** Enough for the compiler to have had its turn; more changes nothing that could be measured. */
const firstRounds = 300;
/** A busy machine gets fewer. */
const longestMs = 60;
/** Right before a stop in earnest, so that code and tables are in the processor's caches; a signal to a seized thread waits so long. */
const lastRounds = 8;
/** Who has worked for milliseconds has used up his share of the processor, and others would run before him in the middle of the stop. */
const restMicroseconds = 2000;

let isCompiled = false;
let collect: ((options: { type: "minor" }) => void) | undefined;

export class StopRehearsal {
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  readonly #memory: ProcessMemory;
  readonly #scan: StackScan;
  readonly #others: OtherStacks;
  readonly #writes: TextWrites;

  private constructor(child: ChildProcess, exited: Promise<unknown>, memory: ProcessMemory) {
    const mappings = memory.maps();
    const ranges = outermost(mappings);
    const ends = ranges.map(({ start }) => start);
    const address = mappings.find(({ name }) => name === "[stack]")?.start ?? 0;
    const bytes = memory.readSome(address, 8);
    this.#child = child;
    this.#exited = exited;
    this.#memory = memory;
    this.#scan = new StackScan(memory, ranges, mappings, noRows, ends);
    this.#others = new OtherStacks(memory, ranges, noRows);
    this.#others.prepare();
    this.#writes = new TextWrites(memory, [{ name: "nothing", address, expected: bytes, bytes }]);
  }

  /** Undefined where no child can be had: the stop is a slower one then. */
  static async start(): Promise<StopRehearsal | undefined> {
    // It waits for its input, which ends when we do.
    const child = spawn("cat", [], { stdio: ["pipe", "ignore", "ignore"], cwd: "/" });
    const exited = once(child, "exit");
    exited.catch(() => undefined);
    try {
      await once(child, "spawn");
      const rehearsal = new StopRehearsal(child, exited, new ProcessMemory(child.pid as number));
      if (!isCompiled) rehearsal.#stopOften(firstRounds);
      isCompiled = true;
      return rehearsal;
    } catch (error) {
      child.kill("SIGKILL");
      // No such program here, or a child that may not be traced: the process that is meant will say so itself.
      if (error instanceof RefusalError || (error as NodeJS.ErrnoException).code !== undefined) return undefined;
      throw error;
    }
  }

  /** To be called before the threads are seized: it may take long. */
  clearUp(): void {
    collectGarbage();
  }

  /** To be called directly before a stop: sleeps for a moment, and comes to it with warm caches. */
  warmUp(): void {
    sleepFor(restMicroseconds);
    this.#stopOften(lastRounds);
  }

  async end(): Promise<void> {
    this.#memory.close();
    this.#child.kill("SIGKILL");
    await this.#exited;
  }

  #stopOften(rounds: number): void {
    const until = performance.now() + longestMs;
    const act = (threads: readonly Tracee[]) => {
      this.#others.look(threads);
      this.#writes.look();
      this.#writes.write();
    };
    unobserved(() => {
      for (let round = 0; round < rounds && performance.now() < until; round++)
        attemptStop(this.#memory.pid, this.#scan, act, () => undefined);
    });
  }
}

const noRows = { row: () => undefined };

/** So that no collection falls into a stop. */
function collectGarbage(): void {
  if (collect === undefined) {
    setFlagsFromString("--expose-gc");
    collect = runInNewContext("gc") as NonNullable<typeof collect>;
  }
  collect({ type: "minor" });
}

/** Code that nobody runs, around all addresses: each pointer on the stack is compared with it, as it will be in earnest. */
function outermost(mappings: readonly Mapping[]): GuardedRange[] {
  const { start } = mappings[0] as Mapping;
  const { end } = mappings.at(-1) as Mapping;
  return [
    { name: "nothing", start: start - 2, end: start - 1 },
    { name: "nothing", start: end + 1, end: end + 2 },
  ];
}
