/** What a process has cost so far, from /proc (proc(5)). */
import { readdirSync, readFileSync } from "node:fs";

const ticksPerSecond = 100;

/** Of the process and of its children that live or have ended, in seconds of one core. */
export function cpuSeconds(pid: number): number {
  const own = fields(pid);
  const ended = (own[13] ?? 0) + (own[14] ?? 0);
  const living = childrenOf(pid).reduce((sum, child) => sum + cpuSeconds(child), 0);
  return ((own[11] ?? 0) + (own[12] ?? 0) + ended) / ticksPerSecond + living;
}

/** In MiB; of the process alone. */
export function residentMiB(pid: number): number {
  const kiB = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kiB) / 1024;
}

/** From the state on: the name before it may have spaces. */
function fields(pid: number): number[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat
      .slice(stat.lastIndexOf(")") + 2)
      .split(" ")
      .map(Number);
  } catch {
    // A child that has ended meanwhile counts with its parent.
    return [];
  }
}

function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((tid) =>
      readFileSync(`/proc/${pid}/task/${tid}/children`, "utf8").split(" ").filter(Boolean).map(Number),
    );
  } catch {
    // It has ended.
    return [];
  }
}
