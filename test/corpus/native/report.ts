/** What a run of the corpus tells at its end. */
import type { CaseResult } from "./run-case.ts";

/** A share of cases that has to be closed; all others have to be refused. */
const wantedShare = 0.95;

/** Finished for good: other states are tried again. */
export function isSettled({ state }: CaseResult): boolean {
  return state === "closed" || state === "refused-at-build";
}

function listed(names: readonly string[], most: number): string {
  const rest = names.length - most;
  return rest > 0 ? `${names.slice(0, most).join(", ")} and ${rest} more` : names.join(", ");
}

/** One paragraph a case: state, build time, pause, functions; then what was seen, and the reason where it is not closed. */
export function table(results: readonly CaseResult[]): string {
  const width = Math.max(4, ...results.map(({ id }) => id.length));
  const head = ["case".padEnd(width), "state".padEnd(16), "build".padStart(8), "pause".padStart(9), "functions"].join(
    "  ",
  );
  const lines = results.flatMap(({ id, state, functions, note, buildMs, pauseMs, seen }) => [
    [
      id.padEnd(width),
      state.padEnd(16),
      (buildMs === undefined ? "" : `${(buildMs / 1000).toFixed(1)} s`).padStart(8),
      (pauseMs === undefined ? "" : `${pauseMs.toFixed(2)} ms`).padStart(9),
      listed(functions, 6),
    ]
      .join("  ")
      .trimEnd(),
    ...(seen.length === 0 ? [] : [`    ${seen.join(" | ")}`]),
    ...(note === "" ? [] : [`    ${note}`]),
  ]);
  const counts = new Map<string, number>();
  for (const { state } of results) counts.set(state, (counts.get(state) ?? 0) + 1);
  const totals = [...counts].map(([state, count]) => `${count} ${state}`).join(", ");
  return [head, ...lines, "", `${results.length} cases: ${totals}`].join("\n");
}

/** Whether enough is closed and the rest refused when the hotpatch was built. */
export function isEnough(results: readonly CaseResult[]): boolean {
  const closed = results.filter(({ state }) => state === "closed").length;
  return results.length > 0 && results.every(isSettled) && closed >= wantedShare * results.length;
}
