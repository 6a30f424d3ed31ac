/** The results of the suites as a table, and each difference in full. */
import type { Difference } from "./comparison.ts";
import { comparisons } from "./suite-cases.ts";
import type { SuiteResult } from "./suite-run.ts";

const columns = ["suite", "versions", "Node", "tests", "checks", "equal", "equal warm", "reverted", "fix seen in"];
const rightAligned = new Set(["checks", "equal", "equal warm", "reverted", "fix seen in"]);

export function table(results: readonly SuiteResult[]): string {
  const rows = results.map(row);
  const widths = columns.map((_, index) => Math.max(...[columns, ...rows].map((cells) => (cells[index] ?? "").length)));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, index) => {
        const width = widths[index] ?? 0;
        return rightAligned.has(columns[index] ?? "") ? cell.padStart(width) : cell.padEnd(width);
      })
      .join("  ")
      .trimEnd();
  return [line(columns), widths.map((width) => "─".repeat(width)).join("  "), ...rows.map(line)].join("\n");
}

function row(result: SuiteResult): readonly string[] {
  const { id, vulnerable, fixed, tests, suite } = result.case;
  const about = [id, `${vulnerable} → ${fixed}`, result.nodeVersion];
  const kinds = [...(tests === undefined ? [] : ["its own"]), ...(suite ? ["ours"] : [])].join(" + ");
  if (result.failure !== undefined) return [...about, kinds, "failed", "–", "–", "–", "–"];
  if (result.refusal !== undefined) return [...about, kinds, "refused", "–", "–", "–", "–"];
  const equal = (found: readonly Difference[]) => {
    const explained = found.filter(({ reason }) => reason !== undefined).length;
    return `${result.checks - found.length}${explained === 0 ? "" : ` (+${explained})`}`;
  };
  const { found } = result;
  const counts = [equal(found.patched), equal(found["patched when warm"]), equal(found.reverted)];
  return [...about, kinds, String(result.checks), ...counts, String(result.visible.length)];
}

/** Everything that is not equal, with the reason where there is one. */
export function differencesText(results: readonly SuiteResult[]): string {
  return results.flatMap(ofResult).join("\n");
}

function ofResult(result: SuiteResult): readonly string[] {
  const where = `${result.case.id}, Node ${result.nodeVersion}`;
  if (result.failure !== undefined) return [`${where}: ${result.failure}`];
  if (result.refusal !== undefined) return [`${result.case.id}: refused at build: ${result.refusal}`];
  return comparisons.flatMap((name) =>
    result.found[name].flatMap((difference) => [
      `${where}, ${name}: ${difference.name}`,
      `  expected  ${difference.expected ?? "no such check"}`,
      `  but       ${difference.actual ?? "no such check"}`,
      `  ${difference.reason === undefined ? "NOT EXPLAINED" : `explained: ${difference.reason}`}`,
    ]),
  );
}

/** One sentence over all. */
export function summary(results: readonly SuiteResult[]): string {
  const sum = (count: (result: SuiteResult) => number) => results.reduce((total, one) => total + count(one), 0);
  const checks = sum((result) => result.checks);
  const equal = sum((result) => result.checks - result.found.patched.length);
  const own = new Set(
    results
      .filter((one) => one.refusal === undefined)
      .filter((one) => one.case.tests !== undefined)
      .map((one) => one.case.id),
  ).size;
  const compared = results.filter((one) => one.refusal === undefined);
  return `${compared.length} suites (${own} with the package's own tests), ${checks} checks: ${equal} equal in a patched process and on the fixed version.`;
}
