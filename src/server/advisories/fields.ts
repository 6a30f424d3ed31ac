/** Fields of a document of somebody else, taken one by one: of the right type and within bounds, or not at all. */
import type { AdvisoryNote } from "../../api/schemas/catalog.ts";
import { ratingProblem, scoresOf } from "../../repository/cvss.ts";

export type Fields = Readonly<Record<string, unknown>>;

/** The members of an object; none of anything else. */
export function fields(value: unknown): Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}

export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** A text without control characters, cut to `most` UTF-16 code units and at no half of a pair. */
export function textOf(value: unknown, most = 400): string {
  if (typeof value !== "string") return "";
  const plain = value
    .toWellFormed()
    .replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, " ")
    .trim();
  return plain
    .slice(0, most)
    .toWellFormed()
    .replace(/\ufffd$/, "");
}

export function idOf(value: unknown): string | undefined {
  return typeof value === "string" && /^[0-9A-Za-z-]{1,64}$/.test(value) ? value : undefined;
}

export function ids(values: readonly unknown[], most = 64): string[] {
  return [...new Set(values.flatMap((value) => idOf(value) ?? []))].slice(0, most);
}

export function urls(values: readonly unknown[]): string[] {
  const good = values.filter((value): value is string => {
    return (
      typeof value === "string" && value.length <= 2000 && /^https?:\/\/[^\s"'<>]+$/.test(value) && URL.canParse(value)
    );
  });
  return [...new Set(good)].slice(0, 50);
}

type Severity = AdvisoryNote["severity"];

/** The words of CVSS and of vendors, as ours. */
export function severityOf(word: unknown): Severity {
  const known: Readonly<Record<string, Severity>> = {
    ...{ critical: "critical", high: "high", important: "high", moderate: "moderate", medium: "moderate", low: "low" },
  };
  return known[String(word).toLowerCase()] ?? null;
}

/** CVSS v3.1, section 5: the qualitative severity rating scale. */
export function severityOfScore(score: number): Severity {
  if (score >= 9) return "critical";
  if (score >= 7) return "high";
  if (score >= 4) return "moderate";
  return score > 0 ? "low" : null;
}

interface Rated {
  readonly cvss: AdvisoryNote["cvss"];
  readonly doubts: string[];
}

/** Vectors with their scores; a score that does not follow from its vector is left aside, and one that is not told is worked out. */
export function ratings(told: readonly { readonly vector: unknown; readonly score?: unknown }[]): Rated {
  const cvss: AdvisoryNote["cvss"] = [];
  const doubts: string[] = [];
  for (const { vector, score } of told.slice(0, 64)) {
    if (typeof vector !== "string" || !/^[A-Za-z0-9:./]{1,400}$/.test(vector)) continue;
    const found = typeof score === "number" ? score : scoresOf(vector)?.base;
    const problem = found === undefined ? "its CVSS vector cannot be read" : ratingProblem({ vector, score: found });
    if (problem !== undefined) doubts.push(textOf(`${vector}: ${problem}`));
    else if (found !== undefined && !cvss.some((one) => one.vector === vector)) cvss.push({ vector, score: found });
  }
  return { cvss: cvss.slice(0, 8), doubts: doubts.slice(0, 32) };
}

/** The worst that the scores say. */
export function worst(cvss: AdvisoryNote["cvss"]): Severity {
  return cvss.length === 0 ? null : severityOfScore(Math.max(...cvss.map(({ score }) => score)));
}
