/**
 * Which processes are to be looked at, and when, while a hotpatch is in force: a table in memory, for one action.
 *
 * A process is looked at when it is first seen; one without the package may load it later, and is looked at again, less and less often.
 */
import type { KnownProcess } from "./course.ts";
import { keyOf, programOf, type SeenProcess } from "./process-scanner.ts";

/** `clear`: a process that was in the way could take the hotpatch now. */
export type LookState = "verified" | "absent" | "refused" | "clear";

interface Look {
  readonly state: LookState;
  /** Unknown where the journal does not tell it. */
  readonly program?: string;
  readonly looks: number;
  readonly nextMs: number;
}

/** After the first looks, in milliseconds; the last one is kept. */
const absentMs = [1_000, 2_000, 10_000, 60_000, 300_000] as const;
/** A refusal that is gone by the second look was none worth telling. */
const refusedMs = [5_000, 30_000] as const;

export class Watch {
  readonly #looks = new Map<string, Look>();
  /** Ids of processes that refused when the whole course was gone through. */
  readonly #hindrances: ReadonlySet<number>;

  /** `patched` were looked at when the course was gone through, and need no look now. */
  constructor(hindrances: readonly number[], patched: readonly KnownProcess[]) {
    this.#hindrances = new Set(hindrances);
    for (const process of patched) {
      this.#looks.set(keyOf(process), {
        ...{ state: "verified", looks: 1, nextMs: Number.POSITIVE_INFINITY },
        ...(process.program === undefined ? {} : { program: process.program }),
      });
    }
  }

  /** Drops what is known of processes that have ended. */
  forget(seen: readonly SeenProcess[]): void {
    const alive = new Set(seen.map(({ key }) => key));
    for (const key of this.#looks.keys()) if (!alive.has(key)) this.#looks.delete(key);
    this.#alive = new Set(seen.map(({ reference }) => reference.pid));
  }
  #alive: ReadonlySet<number> = new Set();

  nextDue(seen: readonly SeenProcess[], nowMs: number): SeenProcess | undefined {
    return seen.find((process) => {
      const look = this.#looks.get(process.key);
      // What is in a program's memory goes with it when the process executes another one.
      const isAnother = look?.program !== undefined && look.program !== programOf(process);
      return isAnother || (look?.nextMs ?? 0) <= nowMs;
    });
  }

  isKnownHindrance({ reference }: SeenProcess): boolean {
    return this.#hindrances.has(reference.pid);
  }

  /** Whether a process that refused is still there and has not become free since. */
  get isHindered(): boolean {
    const free = new Set([...this.#looks].flatMap(([key, { state }]) => (state === "clear" ? [pidOf(key)] : [])));
    return [...this.#hindrances].some((pid) => this.#alive.has(pid) && !free.has(pid));
  }

  isNews({ key }: SeenProcess, state: LookState): boolean {
    return this.#looks.get(key)?.state !== state;
  }

  /** Notes what a look found; true when a refusal has lasted. */
  note(process: SeenProcess, state: LookState, nowMs: number): boolean {
    const { key } = process;
    const program = programOf(process);
    const before = this.#looks.get(key);
    const isSame = before?.state === state && (before.program ?? program) === program;
    const looks = isSame ? before.looks + 1 : 1;
    const waits: readonly number[] = state === "absent" ? absentMs : refusedMs;
    const waitMs = state === "verified" || state === "clear" ? Number.POSITIVE_INFINITY : waitAt(waits, looks);
    this.#looks.set(key, { state, program, looks, nextMs: nowMs + waitMs });
    return state === "refused" && looks >= 2;
  }
}

function waitAt(waits: readonly number[], looks: number): number {
  return waits[Math.min(looks, waits.length) - 1] ?? 0;
}

function pidOf(key: string): number {
  return Number(key.split(":")[0]);
}
