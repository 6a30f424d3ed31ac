/** How it stands with an action in each process, as lines. Pure. */
import type { NativeEvidence } from "../api/schemas/actions.ts";

/** What an agent tells of one process. */
export interface ToldOutcome {
  readonly pid: number;
  readonly state: string;
  readonly command?: string;
  readonly code?: string;
  readonly pauseMs?: number;
  readonly native?: NativeEvidence;
}

/** Of an action whose agent tells of processes. */
export interface WithOutcomes {
  readonly processes?: readonly ToldOutcome[];
}

/** How many processes are in which state, such as `2 processes: 1 verified, 1 refused`, and then each in which it did not hold, with the reason's code, and what was proven of native programs. */
export function outcomeLines({ processes = [] }: WithOutcomes): readonly string[] {
  if (processes.length === 0) return [];
  const counts = Map.groupBy(processes, ({ state }) => state);
  const states = [...counts].map(([state, list]) => `${list.length} ${state}`).join(", ");
  const proven = processes.flatMap(({ pid, command = "", pauseMs, native }) =>
    native === undefined ? [] : [`PID ${pid} ${command}: ${proof(native, pauseMs)}`.replaceAll(/ +/g, " ")],
  );
  const open = processes.filter(({ code }) => code !== undefined);
  return [
    `${processes.length === 1 ? "1 process" : `${processes.length} processes`}: ${states}`,
    ...open.map(({ pid, state, command = "", code = "" }) =>
      `PID ${pid} ${command} ${state} (${code})`.replaceAll(/ +/g, " "),
    ),
    ...proven.slice(0, shownProofs),
    ...(proven.length > shownProofs ? [`and ${proven.length - shownProofs} more native processes with proof`] : []),
  ];
}

const shownProofs = 5;

function proof({ functions, comparedBytes, buildIds, rehearsed }: NativeEvidence, pauseMs: number | undefined): string {
  const count = functions === 1 ? "1 function" : `${functions} functions`;
  const pause = pauseMs === undefined ? "" : `, stood still for ${pauseMs.toFixed(2)} ms`;
  const rehearsal = rehearsed ? "" : ", without a rehearsal";
  return `${count} exchanged${pause}, ${comparedBytes} bytes compared with build-id ${buildIds.join(", ")}${rehearsal}`;
}
