/**
 * Which Node.js processes there are, asked about once a second.
 *
 * A process that was looked at is known by its id and its start and costs one small file from then on.
 * A process that runs another program than before (execve) has another name mostly, and is looked at again; one that is young is looked at a few times.
 */
import type { ProcessReference } from "../engine/engine.ts";
import { isTool } from "../engine/installed-packages.ts";
import { mayTouch } from "../engine/sweep.ts";
import { classifyNode } from "../process/node-executable.ts";
import { listPids, type ProcessInfo, readProcess, readStat } from "../process/process.ts";

export interface SeenProcess {
  readonly key: string;
  readonly reference: ProcessReference;
  readonly info: ProcessInfo;
  /** Of the Node.js that it runs. */
  readonly version: string;
}

interface Known {
  readonly comm: string;
  readonly looks: number;
  /** Absent for what is no Node.js process that may be touched. */
  readonly seen?: SeenProcess;
}

/** A new process runs its parent's program for a moment before its own. */
const looksWhileYoung = 3;

export function keyOf({ pid, startTicks }: { pid: number; startTicks: bigint | string }): string {
  return `${pid}:${startTicks}`;
}

export class ProcessScanner {
  #known = new Map<string, Known>();

  /** All of them, by rising id. */
  scan(): SeenProcess[] {
    const known = new Map<string, Known>();
    const parents = new Map<number, number>();
    for (const pid of listPids()) {
      const stat = readStat(pid);
      if (stat === undefined || stat.state === "Z" || stat.state === "X") continue;
      parents.set(pid, stat.parentPid);
      const key = keyOf(stat);
      const before = this.#known.get(key);
      const isSettled = before !== undefined && before.comm === stat.comm && before.looks >= looksWhileYoung;
      known.set(key, isSettled ? before : this.#look(key, stat, before));
    }
    this.#known = known;
    return [...known.values()].flatMap(({ seen }) =>
      seen === undefined || isDescendant(seen.reference.pid, parents) ? [] : [seen],
    );
  }

  #look(key: string, { pid, comm }: { pid: number; comm: string }, before: Known | undefined): Known {
    const looks = before !== undefined && before.comm === comm ? before.looks + 1 : 1;
    const info = readProcess(pid);
    const kind = info === undefined || !mayTouch(info) ? undefined : classifyNode(info);
    if (info === undefined || kind?.kind !== "node" || isTool(info)) return { comm, looks };
    const reference = { pid: info.pid, startTicks: info.startTicks };
    return { comm, looks, seen: { key, reference, info, version: kind.version } };
  }
}

/** The agent's own children are rehearsals, which are nobody's processes. */
function isDescendant(pid: number, parents: ReadonlyMap<number, number>): boolean {
  let ancestor = parents.get(pid);
  for (let depth = 0; ancestor !== undefined && ancestor > 1 && depth < 64; depth++) {
    if (ancestor === process.pid) return true;
    ancestor = parents.get(ancestor);
  }
  return false;
}
