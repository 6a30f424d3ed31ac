/**
 * Closes the inspector of a process that was too busy to answer, as soon as it opens.
 *
 * The signal cannot be taken back, so somebody has to wait; the command itself has given its answer long since.
 */
import { setTimeout as wait } from "node:timers/promises";
import { isAlive } from "../../../process/process.ts";
import { tcpListeners } from "../../../process/sockets.ts";
import { closeInspectorExpression } from "./agent-source.ts";
import { reachable } from "./inject.ts";
import { findInspector, openSession } from "./inspector-client.ts";

export interface GuardRequest {
  readonly pid: number;
  readonly startTicks: string;
  /** Inodes of listening sockets that were there before the signal. */
  readonly known: readonly string[];
  readonly timeoutMs: number;
}

const pollMs = 50;
/** The first seconds count most; a process that is blocked for hours is asked less often. */
const pollMsMax = 250;
const answerTimeoutMs = 5000;

/** Returns when the port has been opened and closed, the process has ended, or the time is over. */
export async function guardPort({ pid, startTicks, known, timeoutMs }: GuardRequest): Promise<void> {
  const until = performance.now() + timeoutMs;
  const before = new Set(known);
  let seen = false;
  let pauseMs = pollMs;
  while (performance.now() < until && isAlive(pid, BigInt(startTicks))) {
    const fresh = tcpListeners(pid).filter((listener) => !before.has(listener.inode));
    let inspectors = 0;
    for (const listener of fresh) {
      const url = await findInspector(reachable(listener), answerTimeoutMs);
      if (url === undefined) {
        // The application's own server; it is not asked again.
        before.add(listener.inode);
        continue;
      }
      inspectors += 1;
      const session = await openSession(url, answerTimeoutMs);
      if (session === undefined) continue;
      // The answer comes when the process wakes up, or never when the inspector closes first.
      await Promise.race([session.evaluate(closeInspectorExpression), waitUntilGone(pid, listener.inode, until)]);
      session.close();
    }
    if (seen && inspectors === 0) return;
    seen ||= inspectors > 0;
    await wait(pauseMs);
    pauseMs = Math.min(pauseMs * 1.02, pollMsMax);
  }
}

async function waitUntilGone(pid: number, inode: string, until: number): Promise<void> {
  while (performance.now() < until && tcpListeners(pid).some((listener) => listener.inode === inode))
    await wait(pollMs);
}
