/**
 * The one interface behind which every engine stands: probe → plan → apply → verify → revert.
 *
 * An engine knows one kind of running code (Node.js now; ELF, JVM, PE and the kernel fit the same five steps).
 * `probe` looks and changes nothing.
 * `plan` is pure: it sees only what `probe` found and what the hotpatch says, and its result prints as JSON.
 * `apply`, `verify` and `revert` act on the process; each answers with evidence, throws `RefusalError` when acting would not be safe, and leaves the process entirely on the old code or entirely on the new.
 */
import type { Hotpatch } from "../hotpatch/hotpatch.ts";

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
}

export interface Verdict {
  readonly pid: number;
  readonly hotpatchId: string;
  readonly state: "in-place" | "absent" | "broken";
  readonly findings: readonly Finding[];
}

export interface Engine<Probe, Plan extends PlanSummary> {
  readonly runtime: string;
  probe(target: ProcessReference, hotpatch: Hotpatch): Promise<Probe>;
  plan(probe: Probe, hotpatch: Hotpatch, policy: PlanPolicy): Plan;
  apply(plan: Plan, hotpatch: Hotpatch): Promise<Outcome>;
  verify(target: ProcessReference, hotpatch: Hotpatch): Promise<Verdict>;
  revert(target: ProcessReference, hotpatch: Hotpatch): Promise<Outcome>;
}
