/** What a run of the corpus comes to: a table, totals for each Node.js, and whether it is good enough. */
import { type CaseResult, type ResultKind, resultKinds } from "./case-result.ts";

export interface Totals {
  readonly nodeVersion: string;
  readonly cases: number;
  readonly counts: Readonly<Record<ResultKind, number>>;
  /** Of the cases whose probe is usable. */
  readonly closedShare: number;
  /** Closed, but only with a larger budget for the pause than the command's own. */
  readonly overBudget: number;
  /** Of each apply that was carried out; undefined where there was none. */
  readonly pauseMs?: { readonly median: number; readonly max: number };
  readonly revertPauseMs?: { readonly median: number; readonly max: number };
  readonly windowMs?: { readonly median: number; readonly max: number };
}

const wantedShare = 0.9;

export function totalsOf(nodeVersion: string, results: readonly CaseResult[]): Totals {
  const counts = Object.fromEntries(
    resultKinds.map((kind) => [kind, results.filter((result) => result.kind === kind).length]),
  ) as Record<ResultKind, number>;
  const usable = results.length - counts["probe unusable"];
  const spread = (name: string, values: readonly number[]) =>
    values.length === 0 ? {} : { [name]: { median: median(values), max: Math.max(...values) } };
  const applies = results.flatMap((result) => result.applies);
  return {
    nodeVersion,
    cases: results.length,
    counts,
    closedShare: usable === 0 ? 0 : counts.closed / usable,
    overBudget: results.filter(
      ({ kind, applies: made }) => kind === "closed" && made.some(({ grantedPauseMs }) => grantedPauseMs !== undefined),
    ).length,
    ...spread(
      "pauseMs",
      applies.map(({ pauseMs }) => pauseMs),
    ),
    ...spread(
      "revertPauseMs",
      results.flatMap(({ reverts }) => reverts.map(({ pauseMs }) => pauseMs)),
    ),
    // The second apply finds the agent in its place and opens no window.
    ...spread(
      "windowMs",
      results.flatMap(({ applies: [first] }) => (first === undefined ? [] : [first.windowMs])),
    ),
  };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other);
  const middle = sorted.length / 2;
  const [low = 0, high = low] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]];
  return (low + high) / 2;
}

/** What stands in the way of success, as sentences; empty where nothing does. */
export function shortcomings(totals: readonly Totals[]): readonly string[] {
  return totals.flatMap(({ nodeVersion, counts, closedShare }) => {
    const found: string[] = [];
    const on = `Node ${nodeVersion}`;
    if (counts.wrong > 0) found.push(`${on}: ${counts.wrong} called applied while the hole was open`);
    if (closedShare < wantedShare) {
      found.push(`${on}: ${percent(closedShare)} closed, fewer than ${percent(wantedShare)}`);
    }
    const neither = counts.failed + counts["refused at apply"];
    if (neither > 0) found.push(`${on}: ${neither} neither closed nor refused at build`);
    return found;
  });
}

function percent(share: number): string {
  return `${Math.floor(share * 1000) / 10} %`;
}

export function totalsLine(totals: Totals): string {
  const { counts, cases, nodeVersion } = totals;
  const usable = cases - counts["probe unusable"];
  const others = resultKinds
    .filter((kind) => kind !== "closed" && (counts[kind] > 0 || kind === "wrong"))
    .map((kind) => `${counts[kind]} ${kind}`);
  const spreads = [
    ["pause", totals.pauseMs],
    ["revert", totals.revertPauseMs],
    ["window", totals.windowMs],
  ] as const;
  const figures = spreads.flatMap(([name, spread]) =>
    spread === undefined ? [] : [`${name} median ${whole(spread.median)} ms, max ${whole(spread.max)} ms`],
  );
  const over = totals.overBudget > 0 ? `, ${totals.overBudget} of them over the command's own budget` : "";
  const closed = `${counts.closed} of ${usable} closed (${percent(totals.closedShare)}${over})`;
  return [`Node ${nodeVersion}: ${[closed, ...others].join(", ")}`, ...figures].join("; ");
}

const columns = ["case", "package", "hole", "Node", "result", "pause ms", "predicted", "window ms", "calls"] as const;
const rightAligned = new Set<string>(["pause ms", "predicted", "window ms", "calls"]);

/** One line for each case and Node.js; reasons and notes stand below, each with the number of its line's mark. */
export function table(results: readonly CaseResult[]): string {
  const remarks: string[] = [];
  const mark = (result: CaseResult): string => {
    const all = [firstLine(result.reason), ...result.notes].filter((text) => text !== "");
    const marks = all.map((text) => {
      const remark = `${result.case.id}: ${text}`;
      if (!remarks.includes(remark)) remarks.push(remark);
      return remarks.indexOf(remark) + 1;
    });
    return marks.length === 0 ? result.kind : `${result.kind} [${marks.join(",")}]`;
  };
  const ids = [...new Set(results.map((result) => result.case.id))];
  const rows = ids.flatMap((id) =>
    results.filter((result) => result.case.id === id).map((result, index) => row(result, mark(result), index === 0)),
  );
  const widths = columns.map((_, index) => Math.max(...[columns, ...rows].map((cells) => (cells[index] ?? "").length)));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, index) => {
        const width = widths[index] ?? 0;
        return rightAligned.has(columns[index] ?? "") ? cell.padStart(width) : cell.padEnd(width);
      })
      .join("  ")
      .trimEnd();
  const rule = widths.map((width) => "─".repeat(width)).join("  ");
  const notes = remarks.map((remark, index) => `[${index + 1}] ${remark}`);
  return [line(columns), rule, ...rows.map(line), ...(notes.length > 0 ? ["", ...notes] : [])].join("\n");
}

function row(result: CaseResult, kind: string, first: boolean): readonly string[] {
  const { id, package: name, vulnerable, fixed, cve } = result.case;
  const about = first ? [id, `${name} ${vulnerable} → ${fixed}`, cve] : ["", "", ""];
  // The longer of the two applies, with what was predicted for that one.
  const longest = result.applies.toSorted((one, other) => other.pauseMs - one.pauseMs)[0];
  const [opening] = result.applies;
  const figures =
    longest === undefined || opening === undefined
      ? ["–", "–", "–", "–"]
      : [whole(longest.pauseMs), whole(longest.predictedPauseMs), whole(opening.windowMs), String(longest.calls)];
  return [...about, result.nodeVersion, kind, ...figures];
}

/** The rest of a reason, such as a stack, stands in the JSON. */
export function firstLine(text: string): string {
  return text.split("\n", 1)[0] ?? "";
}

function whole(milliseconds: number): string {
  return String(Math.round(milliseconds));
}
