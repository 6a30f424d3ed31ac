/**
 * Stopping all threads of a process for a moment, and letting them go as if nothing had been.
 *
 * Threads are seized while they run, which does not stop them; the stop itself is an interrupt and a wait.
 * Invariant: whatever happens, every thread that was stopped is let go; and should this process die, the kernel does it.
 */
import { closeSync, openSync, readdirSync } from "node:fs";
import { refuse } from "../../base/refusal.ts";
import { readProcText } from "../../process/proc-file.ts";
import { parseStatus } from "../../process/proc-format.ts";
import { readStat } from "../../process/process.ts";
import { leaveOutStops } from "./child-signals.ts";
import { interruptionOf, putBackOntoCall } from "./registers.ts";
import { linkCount, pauseBetweenLooks } from "./system-calls.ts";
import { Tracee } from "./tracee.ts";
import { clearWaitAlarm, prepareWaitAlarm, setWaitAlarm } from "./wait-alarm.ts";

/** A thread in the kernel that does not come out (a vfork, a dead file server) is given so long before the others run again. */
const patienceMs = 100;
/** A thread on another processor stops within microseconds; to fall asleep and be woken takes longer. So many looks a stop, since those who need this very processor wait for them. */
const eagerLooks = 40;
/** Threads that did not stop are waited for once more before they are left to the kernel, which lets them go when this program ends. */
const lastPatienceMs = 3000;

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
  readonly #known = new Set<number>();
  readonly #threads: Tracee[] = [];
  readonly #caught: bigint;
  /** Of /proc/PID/task. */
  readonly #folder: number;
  /** Undefined until a wait has needed it. */
  #hasAlarm: boolean | undefined;
  #eagerLooksLeft = eagerLooks;
  #stoppedAtMs = 0;
  #releasedAtMs = 0;

  private constructor(pid: number) {
    this.#pid = pid;
    this.#caught = caughtSignals(pid);
    this.#folder = openTaskFolder(pid);
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
    if (stop.threads.every(({ state }) => state === "gone")) {
      stop.#abandon();
      refuse("target/gone", `Process ${pid} has ended.`);
    }
    return stop;
  }

  /** All threads that were seen, those that have ended meanwhile included. */
  get threads(): readonly Tracee[] {
    return this.#threads;
  }

  /** Milliseconds from the first interrupt to the last thread let go. */
  get pauseMs(): number {
    return this.#releasedAtMs - this.#stoppedAtMs;
  }

  /** Whether every thread stands still, with its registers read; false when one did not stop in time, and then `release` is due. */
  stopAll(): boolean {
    leaveOutStops();
    prepareWaitAlarm();
    try {
      return this.#stopAll();
    } finally {
      if (this.#hasAlarm === true) clearWaitAlarm();
    }
  }

  #stopAll(): boolean {
    const threads = this.#threads;
    this.#stoppedAtMs = performance.now();
    const deadlineMs = this.#stoppedAtMs + patienceMs;
    for (let first = 0; first < threads.length; ) {
      const count = threads.length;
      for (let index = first; index < count; index++) {
        const thread = threads[index] as Tracee;
        if (thread.state === "running") thread.interrupt();
      }
      for (let index = first; index < count; index++)
        if (!this.#waitFor(threads[index] as Tracee, deadlineMs)) return false;
      first = count;
      if (!this.#isComplete()) this.#seizeNew();
    }
    for (const thread of threads) if (thread.state === "stopped") thread.readRegisters();
    return true;
  }

  /** One after the other, since while one is waited for the others stop as well. */
  #waitFor(thread: Tracee, deadlineMs: number): boolean {
    for (let looks = 0; thread.state === "running"; looks++) {
      if (this.#eagerLooksLeft-- > 0 ? thread.poll() : this.#waitLonger(thread, looks)) return true;
      if (performance.now() > deadlineMs) return false;
    }
    return true;
  }

  /** Asleep, since the thread may need this very processor. */
  #waitLonger(thread: Tracee, looks: number): boolean {
    this.#hasAlarm ??= setWaitAlarm();
    if (this.#hasAlarm) return thread.wait();
    pauseBetweenLooks(looks);
    return thread.poll();
  }

  /** Lets all threads go; those whose system call the stop would end with EINTR make it again. */
  release(): void {
    for (const thread of this.#threads) {
      if (thread.state !== "stopped") continue;
      // Where a thread did not stop in time, those that did have not been read yet.
      if (thread.hasRegisters || thread.readRegisters()) settle(thread);
      thread.detach();
    }
    this.#releasedAtMs = performance.now();
    this.#abandon();
  }

  /** Threads that run, or hang in the kernel: stopped as soon as they can be, and let go. */
  #abandon(): void {
    closeSync(this.#folder);
    let left = this.#threads.filter(isHeld);
    for (const thread of left) if (thread.state === "running") thread.interrupt();
    const deadlineMs = performance.now() + lastPatienceMs;
    for (let looks = 0; left.length > 0 && performance.now() < deadlineMs; looks++) {
      for (const thread of left) {
        if (!thread.poll() || thread.state !== "stopped") continue;
        if (thread.readRegisters()) settle(thread);
        thread.detach();
      }
      left = left.filter(isHeld);
      if (left.length > 0) pauseBetweenLooks(looks);
    }
  }

  /**
   * Whether the kernel counts just the threads that stand still: then nobody is there to make another.
   *
   * The folder of the threads has a link for each of them and two of its own (fs/proc/base.c, proc_task_getattr); a first thread that has ended counts as well, and the list has to be read then.
   */
  #isComplete(): boolean {
    let stopped = 0;
    for (const thread of this.#threads) if (thread.state === "stopped") stopped++;
    return linkCount(this.#folder) - ownLinks === stopped;
  }

  /** Until a look finds no thread that was not known before. */
  #seizeNew(): void {
    for (;;) {
      const unknown = threadIds(this.#pid).filter((tid) => !this.#known.has(tid));
      if (unknown.length === 0) return;
      for (const tid of unknown) {
        const thread = new Tracee(tid, this.#caught);
        const errno = thread.seize();
        if (errno !== undefined) refuseSeize(this.#pid, tid, errno);
        this.#known.add(tid);
        this.#threads.push(thread);
      }
    }
  }
}

const ownLinks = 2;

function openTaskFolder(pid: number): number {
  try {
    return openSync(`/proc/${pid}/task`, "r");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ENOENT" && code !== "ESRCH") throw error;
    return refuse("target/gone", `Process ${pid} has ended.`);
  }
}

function isHeld({ state }: Tracee): boolean {
  return state === "running" || state === "stopped";
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
