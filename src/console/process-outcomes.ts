/** How it stands with an action in each process, as lines. Pure. */

/** What an agent tells of one process. */
export interface ToldOutcome {
  readonly pid: number;
  readonly state: string;
  readonly command?: string;
  readonly code?: string;
}

/** Of an action whose agent tells of processes. */
export interface WithOutcomes {
  readonly processes?: readonly ToldOutcome[];
}

/** How many processes are in which state, such as `2 processes: 1 verified, 1 refused`, and then each in which it did not hold, with the reason's code. */
export function outcomeLines({ processes = [] }: WithOutcomes): readonly string[] {
  if (processes.length === 0) return [];
  const counts = Map.groupBy(processes, ({ state }) => state);
  const states = [...counts].map(([state, list]) => `${list.length} ${state}`).join(", ");
  const open = processes.filter(({ code }) => code !== undefined);
  return [
    `${processes.length === 1 ? "1 process" : `${processes.length} processes`}: ${states}`,
    ...open.map(({ pid, state, command = "", code = "" }) =>
      `PID ${pid} ${command} ${state} (${code})`.replaceAll(/ +/g, " "),
    ),
  ];
}
