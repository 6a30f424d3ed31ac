/** CVSS vectors and the scores that are told beside them: whether the one follows from the other. */
import cvssCalculator from "ae-cvss-calculator";

export interface Cvss {
  readonly vector: string;
  readonly score: number;
}

/** The base score of a vector of CVSS 2.0, 3.0, 3.1 or 4.0, and that with all metrics that it has; undefined for what is no whole vector. */
export function scoresOf(vector: string): { readonly base: number; readonly overall: number } | undefined {
  const metrics = vector.split("/").map((part) => part.split(":")[0]);
  // The calculator takes the last of two values, and an unknown version for the oldest one.
  if (new Set(metrics).size < metrics.length || !/^(CVSS:(3\.[01]|4\.0)\/|AV:)/.test(vector)) return undefined;
  const read = cvssCalculator.fromVector(vector);
  if (read === null || !read.isBaseFullyDefined()) return undefined;
  const { base, overall } = read.calculateScores();
  return base === undefined ? undefined : { base, overall };
}

/** Why a vector and a score do not belong together; undefined when they do. */
export function ratingProblem({ vector, score }: Cvss): string | undefined {
  const scores = scoresOf(vector);
  if (scores === undefined) return "its CVSS vector cannot be read";
  if (score === scores.base || score === scores.overall) return undefined;
  return `its CVSS vector gives ${scores.base}, and not ${score}`;
}
