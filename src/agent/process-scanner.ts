/**
 * Which processes there are that this user may touch, asked about once a second.
 *
 * A process that was looked at is known by its id and its start and costs one small file from then on.
 * A process that runs another program than before (execve) has another address space, and is looked at again; one that is young is looked at a few times.
 */
import type { ProcessReference } from "../engine/engine.ts";
import { isTool } from "../engine/installed-packages.ts";
import { mayTouch, runsProgram } from "../engine/sweep.ts";
import { classifyNode } from "../process/node-executable.ts";
import { listPids, type ProcessInfo, readProcess, readStat } from "../process/process.ts";

export interface SeenProcess {
  readonly key: string;
  readonly reference: ProcessReference;
  readonly info: ProcessInfo;
  /** The version of the Node.js that it runs; absent for native programs, Rebootless and package managers. */
  readonly node?: string;
}

/** Tells the program that a process runs from one that it executes later. */
export function programOf({ info: { comm, addressSpace } }: SeenProcess): string {
  return `${addressSpace} ${comm}`;
}

interface Known {
  readonly program: string;
  readonly looks: number;
  /** Absent for what may not be touched, and for kernel threads. */
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
      const program = `${stat.addressSpace} ${stat.comm}`;
      const isSettled = before !== undefined && before.program === program && before.looks >= looksWhileYoung;
      known.set(key, isSettled ? before : look(key, stat.pid, { program, before }));
    }
    this.#known = known;
    return [...known.values()].flatMap(({ seen }) =>
      seen === undefined || isDescendant(seen.reference.pid, parents) ? [] : [seen],
    );
  }
}

interface Before {
  readonly program: string;
  readonly before: Known | undefined;
}

function look(key: string, pid: number, { program, before }: Before): Known {
  const looks = before !== undefined && before.program === program ? before.looks + 1 : 1;
  const info = readProcess(pid);
  if (info === undefined || !mayTouch(info) || !runsProgram(info)) return { program, looks };
  const reference = { pid: info.pid, startTicks: info.startTicks };
  const kind = classifyNode(info);
  const node = kind.kind === "node" && !isTool(info) ? { node: kind.version } : {};
  return { program, looks, seen: { key, reference, info, ...node } };
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
