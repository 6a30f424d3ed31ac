/**
 * Closes the inspector of a process that was too busy to answer, as soon as it opens, or that a command left open which was ended by force.
 *
 * The signal cannot be taken back, so somebody has to wait; the command itself has given its answer long since, or is no more.
 * It holds the lock of the port whenever it looks, so that it never disturbs a command that is just going in.
 */
import { setTimeout as wait } from "node:timers/promises";
import { isAlive } from "../../../process/process.ts";
import { tcpListeners } from "../../../process/sockets.ts";
import { closeInspectorExpression } from "./agent-source.ts";
import { reachable } from "./inject.ts";
import { findInspector, openSession } from "./inspector-client.ts";
import { lockInspectorPort } from "./lock.ts";

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
/** So long at a time it waits for a process that has opened its port and does not answer there, and keeps others from theirs. */
const lookMs = 2000;

/** Returns when the port has been opened and closed, the process has ended, or the time is over. */
export async function guardPort({ pid, startTicks, known, timeoutMs }: GuardRequest): Promise<void> {
  const until = performance.now() + timeoutMs;
  const before = new Set(known);
  let seen = false;
  let pauseMs = pollMs;
  while (performance.now() < until && isAlive(pid, BigInt(startTicks))) {
    const unlock = await lockInspectorPort(until - performance.now());
    const inspectors = await closeInspectors(pid, before, until).finally(unlock);
    if (seen && inspectors === 0) return;
    seen ||= inspectors > 0;
    await wait(pauseMs);
    pauseMs = Math.min(pauseMs * 1.02, pollMsMax);
  }
}

/** Gives how many there were. */
async function closeInspectors(pid: number, before: Set<string>, until: number): Promise<number> {
  let inspectors = 0;
  for (const listener of tcpListeners(pid).filter(({ inode }) => !before.has(inode))) {
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
    const end = Math.min(until, performance.now() + lookMs);
    await Promise.race([session.evaluate(closeInspectorExpression), waitUntilGone(pid, listener.inode, end)]);
    session.close();
  }
  return inspectors;
}

async function waitUntilGone(pid: number, inode: string, until: number): Promise<void> {
  while (performance.now() < until && tcpListeners(pid).some((listener) => listener.inode === inode))
    await wait(pollMs);
}
