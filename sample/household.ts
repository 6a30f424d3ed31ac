/**
 * The child processes that a program has started, so that it can end every one of them and leave nothing behind.
 *
 * Each child leads a process group of its own: a Ctrl-C in the terminal reaches only the program, which then ends its children in order.
 * Signals go only to children that have not been waited for yet, so that a process id is never used after it may belong to somebody else.
 */
import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as wait } from "node:timers/promises";

const graceMs = 3000;

export interface StartOptions extends SpawnOptions {
  /** A child that starts others, such as npm, is ended together with them. */
  readonly endWholeGroup?: boolean;
}

export class Household {
  readonly #members = new Map<ChildProcess, { endWholeGroup: boolean }>();
  #closed = false;

  /** Starts a child; once the household is closed, nothing can be started any more. */
  start(command: string, words: readonly string[], options: StartOptions): ChildProcess {
    if (this.#closed) throw new Error(`${words[0]} was not started, since everything is ending`);
    const { endWholeGroup = false, ...rest } = options;
    const child = spawn(command, words, { ...rest, detached: true });
    if (child.pid !== undefined) {
      this.#members.set(child, { endWholeGroup });
      child.once("exit", () => this.#members.delete(child));
    }
    return child;
  }

  /** Ends one child, by force if it does not end within some seconds. */
  async end(child: ChildProcess): Promise<void> {
    const member = this.#members.get(child);
    if (member === undefined) return;
    const exited = once(child, "exit");
    this.#signal(child, member.endWholeGroup ? "SIGINT" : "SIGTERM");
    const late = new AbortController();
    const grace = wait(graceMs, "late", { signal: late.signal }).catch(() => "ended" as const);
    if ((await Promise.race([exited, grace])) === "late") this.#signal(child, "SIGKILL");
    late.abort();
    await exited;
  }

  /** Ends every child, the last one first; resolves when none is left. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const child of [...this.#members.keys()].reverse()) await this.end(child);
  }

  /** For an impatient second Ctrl-C: no child gets time to end by itself. */
  kill(): void {
    this.#closed = true;
    for (const child of this.#members.keys()) this.#signal(child, "SIGKILL");
  }

  #signal(child: ChildProcess, signal: NodeJS.Signals): void {
    const member = this.#members.get(child);
    if (member === undefined || child.pid === undefined) return;
    if (!member.endWholeGroup) {
      child.kill(signal);
      return;
    }
    try {
      process.kill(-child.pid, signal);
    } catch (error) {
      // The group may end between the look and the signal.
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }
}
