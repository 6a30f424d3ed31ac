/** What came of one case on one Node.js. */
import type { CorpusCase } from "./cases.ts";

/**
 * `wrong`: something was called applied while the hole was open, the one thing that must never happen.
 * `probe unusable`: the probe cannot tell the vulnerable version from the fixed one, so nothing is said about the product.
 */
export const resultKinds = [
  "closed",
  "refused at build",
  "refused at apply",
  "wrong",
  "failed",
  "probe unusable",
] as const;
export type ResultKind = (typeof resultKinds)[number];

/** As the command reports it. */
export interface AppliedFigures {
  readonly pauseMs: number;
  readonly predictedPauseMs: number;
  readonly windowMs: number;
  readonly totalMs: number;
  readonly heapUsedBytes: number;
  /** Files that were changed by a live edit, each by one call. */
  readonly calls: number;
  /** The budget that the case was given after the command's own had refused it, in milliseconds. */
  readonly grantedPauseMs?: number;
}

export interface RevertedFigures {
  readonly pauseMs: number;
  readonly totalMs: number;
}

export interface CaseResult {
  readonly case: CorpusCase;
  readonly nodeVersion: string;
  readonly kind: ResultKind;
  /** Why it is not closed; empty where it is. */
  readonly reason: string;
  readonly notes: readonly string[];
  readonly applies: readonly AppliedFigures[];
  readonly reverts: readonly RevertedFigures[];
  /** What the probes said, in order. */
  readonly answers: readonly string[];
}

/** Ends a case with its result; the message is the reason. */
export class CaseEnd extends Error {
  readonly kind: ResultKind;

  constructor(kind: ResultKind, reason: string) {
    super(reason);
    this.kind = kind;
  }
}
