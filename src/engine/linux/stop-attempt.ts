/**
 * One stop: all threads stand still, a look at their stacks, the act if nothing is in the way, all threads go on.
 *
 * What a process waits for is in here, and nothing else.
 */
import type { ActiveFunction, StackScan } from "./stack-scan.ts";
import { ThreadStop } from "./thread-stop.ts";
import type { Tracee } from "./tracee.ts";

export interface Attempt {
  /** What was in the way; nothing was done then. */
  readonly active: ActiveFunction | undefined;
  /** From the first interrupt to the last thread let go. */
  readonly pauseMs: number;
}

/**
 * `getReady` is called between seizing and stopping, while all threads run; signals that reach them meanwhile wait until the stop.
 *
 * Refuses with what seizing the threads does; what `act` throws comes through, with all threads let go.
 */
export function attemptStop(
  pid: number,
  scan: StackScan,
  act: (threads: readonly Tracee[]) => void,
  getReady: () => void,
): Attempt {
  const stop = ThreadStop.seize(pid);
  let active: ActiveFunction | undefined;
  try {
    getReady();
    if (stop.stopAll()) {
      active = scan.look(stop.threads);
      if (active === undefined) act(stop.threads);
    } else {
      active = stuckThread(stop);
    }
  } finally {
    stop.release();
  }
  return { active, pauseMs: stop.pauseMs };
}

function stuckThread({ threads }: ThreadStop): ActiveFunction {
  const stuck = threads.find(({ state }) => state === "running");
  return { tid: stuck?.tid ?? 0, name: "a system call that does not end", stack: [] };
}
