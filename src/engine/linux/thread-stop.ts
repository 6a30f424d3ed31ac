/**
 * Stopping all threads of a process for a moment, and letting them go as if nothing had been.
 *
 * Threads are seized while they run, which does not stop them; the stop itself is an interrupt and a wait.
 * Invariant: whatever happens, every thread that was stopped is let go; and should this process die, the kernel does it.
 */
import { readdirSync } from "node:fs";
import { refuse } from "../../base/refusal.ts";
import { readProcText } from "../../process/proc-file.ts";
import { parseStatus } from "../../process/proc-format.ts";
import { readStat } from "../../process/process.ts";
import { interruptionOf, putBackOntoCall } from "./registers.ts";
import { pauseBetweenLooks } from "./system-calls.ts";
import { Tracee } from "./tracee.ts";

/** A thread in the kernel that does not come out (a vfork, a dead file server) is given so long before the others run again. */
const patienceNs = 100_000_000n;
/** Threads that did not stop are waited for once more before they are left to the kernel, which lets them go when this program ends. */
const lastPatienceNs = 3_000_000_000n;

/** Signals that the process has handlers for, bit n-1 for signal n; all of them when it does not tell. */
export function caughtSignals(pid: number): bigint {
  return parseStatus(readProcText(`/proc/${pid}/status`, 65_536) ?? "")?.signalsCaught ?? (1n << 64n) - 1n;
}

export function threadIds(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).map(Number);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ESRCH") return [];
    throw error;
  }
}

export class ThreadStop {
  readonly #pid: number;
  readonly #threads = new Map<number, Tracee>();
  readonly #caught: bigint;
  #stoppedAt = 0n;

  private constructor(pid: number) {
    this.#pid = pid;
    this.#caught = caughtSignals(pid);
  }

  /**
   * Seizes every thread, also those that appear meanwhile; they run on.
   *
   * Refuses with `target/gone`, `target/debugger-attached` or `target/not-permitted`; nothing is held then.
   */
  static seize(pid: number): ThreadStop {
    const stop = new ThreadStop(pid);
    try {
      stop.#seizeNew();
    } catch (error) {
      stop.#abandon();
      throw error;
    }
    if (stop.threads.length === 0) refuse("target/gone", `Process ${pid} has ended.`);
    return stop;
  }

  get threads(): Tracee[] {
    return [...this.#threads.values()].filter(({ state }) => state !== "gone");
  }

  /** Nanoseconds (process.hrtime) at which the first thread was interrupted. */
  get stoppedAt(): bigint {
    return this.#stoppedAt;
  }

  /** Whether every thread stands still, with its registers read; false when one did not stop in time, and then `release` is due. */
  stopAll(): boolean {
    this.#stoppedAt = process.hrtime.bigint();
    const deadline = this.#stoppedAt + patienceNs;
    let fresh = this.threads;
    while (fresh.length > 0) {
      for (const thread of fresh) thread.interrupt();
      if (!waitForAll(fresh, deadline)) return false;
      fresh = this.#seizeNew();
    }
    for (const thread of this.#threads.values()) if (thread.state === "stopped") thread.readRegisters();
    return true;
  }

  /** Lets all threads go; those whose system call the stop would end with EINTR make it again. */
  release(): void {
    for (const thread of this.#threads.values()) {
      if (thread.state !== "stopped") continue;
      // Where a thread did not stop in time, those that did have not been read yet.
      if (thread.hasRegisters || thread.readRegisters()) settle(thread);
      thread.detach();
    }
    this.#abandon();
  }

  /** Threads that run, or hang in the kernel: stopped as soon as they can be, and let go. */
  #abandon(): void {
    const left = () => [...this.#threads.values()].filter(({ state }) => state === "running" || state === "stopped");
    for (const thread of left()) if (thread.state === "running") thread.interrupt();
    const deadline = process.hrtime.bigint() + lastPatienceNs;
    for (let looks = 0; left().length > 0 && process.hrtime.bigint() < deadline; looks++) {
      for (const thread of left()) {
        if (!thread.poll() || thread.state !== "stopped") continue;
        if (thread.readRegisters()) settle(thread);
        thread.detach();
      }
      pauseBetweenLooks(looks);
    }
  }

  /** Answers the threads that were not known before. */
  #seizeNew(): Tracee[] {
    const added: Tracee[] = [];
    for (;;) {
      const unknown = threadIds(this.#pid).filter((tid) => !this.#threads.has(tid));
      if (unknown.length === 0) return added;
      for (const tid of unknown) {
        const thread = new Tracee(tid, this.#caught);
        const errno = thread.seize();
        if (errno !== undefined) refuseSeize(this.#pid, tid, errno);
        this.#threads.set(tid, thread);
        if (thread.state !== "gone") added.push(thread);
      }
    }
  }
}

function waitForAll(threads: readonly Tracee[], deadline: bigint): boolean {
  let waiting = threads;
  for (let looks = 0; ; looks++) {
    waiting = waiting.filter((thread) => thread.state === "running" && !thread.poll());
    if (waiting.length === 0) return true;
    if (process.hrtime.bigint() > deadline) return false;
    pauseBetweenLooks(looks);
  }
}

/** Puts a call that the kernel would not restart back, unless a signal with a handler waits: then EINTR is what the program expects. */
export function settle(thread: Tracee): void {
  const { registers } = thread;
  if (interruptionOf(registers) !== "ends-with-eintr" || thread.hasPendingSignal()) return;
  putBackOntoCall(registers);
  thread.writeRegisters();
}

/** EPERM says both "somebody traces it" and "not yours"; TracerPid tells which. */
export function refuseSeize(pid: number, tid: number, errno: string): never {
  if (errno !== "EPERM") refuse("target/not-permitted", `Thread ${tid} of process ${pid} cannot be traced: ${errno}.`);
  const tracer = parseStatus(readProcText(`/proc/${pid}/task/${tid}/status`, 65_536) ?? "")?.tracerPid ?? 0;
  if (tracer !== 0) {
    const name = readStat(tracer)?.comm ?? "another process";
    refuse(
      "target/debugger-attached",
      `Process ${pid} is traced by ${name} (PID ${tracer}); a process has one tracer. End or detach it first.`,
      { tracerPid: tracer, tracer: name },
    );
  }
  refuse(
    "target/not-permitted",
    `Process ${pid} may not be traced by this user: it belongs to another user, changed its credentials, or kernel.yama.ptrace_scope forbids it. Run the command as root (CAP_SYS_PTRACE).`,
  );
}
