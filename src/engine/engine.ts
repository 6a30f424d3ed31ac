/**
 * The one interface behind which every engine stands: probe → plan → apply → verify → revert.
 *
 * An engine knows one kind of running code (Node.js now; ELF, JVM, PE and the kernel fit the same five steps).
 * `probe` looks and changes nothing.
 * `plan` is pure: it sees only what `probe` found and what the hotpatch says, and its result prints as JSON.
 * `apply`, `verify` and `revert` act on the process; each answers with evidence, throws `RefusalError` when acting would not be safe, and leaves the process entirely on the old code or entirely on the new.
 */
import type { Hotpatch } from "../hotpatch/hotpatch.ts";
import type { ProcessInfo } from "../process/process.ts";

export interface ProcessReference {
  readonly pid: number;
  /** Clock ticks since boot at which the process started (proc(5), stat field 22): tells a process from a later one of the same id. */
  readonly startTicks: bigint;
}

export interface PlanPolicy {
  /** The longest that the process may stand still at a stretch, in milliseconds. */
  readonly maxPauseMs: number;
}

/** What every plan says, whatever the engine. */
export interface PlanSummary {
  readonly process: { readonly pid: number; readonly description: string };
  /** Predicted before anything is done. */
  readonly predictedPauseMs: number;
  /** The very hotpatch is in the process already, and nothing is to be done. */
  readonly isInPlace: boolean;
  readonly steps: readonly string[];
}

export interface Outcome {
  readonly pid: number;
  readonly hotpatchId: string;
  readonly state: "applied" | "reverted" | "unchanged";
  /** The longest stretch for which the process stood still, measured in it. */
  readonly pauseMs: number;
  readonly totalMs: number;
}

export interface Finding {
  /** What was looked at, such as `lib/parse.js: function push`. */
  readonly subject: string;
  /** `unproven`: nothing speaks against it, and nothing was seen that speaks for it. */
  readonly state: "proven" | "unproven" | "broken";
  readonly evidence: string;
  /** How many bytes of memory were compared for it, where that was counted. */
  readonly comparedBytes?: number;
}

/** What was proven of a native program, in figures. */
export interface NativeEvidence {
  /** Of the binaries that were changed, hexadecimal. */
  readonly buildIds: readonly string[];
  readonly functions: number;
  /** Of the text of these binaries, against their files and the hotpatches in them. */
  readonly comparedBytes: number;
  /** A native hotpatch is tried on no sacrificial process before. */
  readonly rehearsed: false;
}

export interface Verdict {
  readonly pid: number;
  readonly hotpatchId: string;
  readonly state: "in-place" | "absent" | "broken";
  readonly findings: readonly Finding[];
  readonly native?: NativeEvidence;
}

export interface Engine<Probe, Plan extends PlanSummary> {
  readonly runtime: "node" | "linux";
  /** Whether what the hotpatch changes lies within the process's reach, as a look from outside tells: a process for which this is false is not entered. */
  mayLoad(process: ProcessInfo, hotpatch: Hotpatch): boolean;
  /** Whether the hotpatch may be in the process, now or from before; true wherever `mayLoad` is. */
  mayCarry(process: ProcessInfo, hotpatch: Hotpatch): boolean;
  /** Why none of these processes has what the hotpatch changes, as one sentence without its full stop. */
  absence(processes: readonly ProcessInfo[], hotpatch: Hotpatch): string;
  probe(target: ProcessReference, hotpatch: Hotpatch): Promise<Probe>;
  plan(probe: Probe, hotpatch: Hotpatch, policy: PlanPolicy): Plan;
  apply(plan: Plan, hotpatch: Hotpatch): Promise<Outcome>;
  verify(target: ProcessReference, hotpatch: Hotpatch): Promise<Verdict>;
  revert(target: ProcessReference, hotpatch: Hotpatch): Promise<Outcome>;
}

/** An engine of whichever kind: its probes and plans go back to it alone. */
export type AnyEngine = Engine<unknown, PlanSummary>;
