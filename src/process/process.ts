/**
 * Processes as the kernel shows them in /proc.
 *
 * Looking never changes a process and never runs anything of it.
 * Fields that this user may not see are `undefined`; a process that ends while it is read gives `undefined` as a whole, never half a record.
 */
import { type BigIntStats, statSync } from "node:fs";
import { absenceOf, readProcFolder, readProcLink, readProcText } from "./proc-file.ts";
import {
  type ProcessStat,
  type ProcessStatus,
  parseEnvironment,
  parseNulTerminated,
  parseStat,
  parseStatus,
} from "./proc-format.ts";

export interface Executable {
  /** As the process sees it, in its own mount namespace. */
  readonly path: string;
  /** The file was removed or replaced after the process had started. */
  readonly deleted: boolean;
  readonly device: bigint;
  readonly inode: bigint;
  readonly sizeBytes: bigint;
  readonly modifiedNs: bigint;
}

export interface Namespaces {
  /** Such as `net:[4026531840]`: equal text, equal namespace. */
  readonly mount: string | undefined;
  readonly network: string | undefined;
  readonly pid: string | undefined;
}

export interface ProcessInfo extends ProcessStat, ProcessStatus {
  readonly executable: Executable | undefined;
  /** At most 128 KiB of it; empty for kernel threads and zombies. */
  readonly commandLine: readonly string[];
  readonly namespaces: Namespaces;
  /** The root folder, `/` unless the process lives in a chroot. */
  readonly root: string | undefined;
}

const statBytes = 4096;
const statusBytes = 64 * 1024;
const commandLineBytes = 128 * 1024;
const environmentBytes = 1024 * 1024;

/** The process, or `undefined` when there is none of this id (any more). */
export function readProcess(pid: number): ProcessInfo | undefined {
  const stat = readStat(pid);
  const statusText = readProcText(`/proc/${pid}/status`, statusBytes);
  const status = statusText === undefined ? undefined : parseStatus(statusText);
  if (stat === undefined || status === undefined) return undefined;
  const info: ProcessInfo = {
    ...stat,
    ...status,
    executable: readExecutable(pid),
    commandLine: parseNulTerminated(readProcText(`/proc/${pid}/cmdline`, commandLineBytes) ?? ""),
    namespaces: {
      mount: readProcLink(`/proc/${pid}/ns/mnt`),
      network: readProcLink(`/proc/${pid}/ns/net`),
      pid: readProcLink(`/proc/${pid}/ns/pid`),
    },
    root: readProcLink(`/proc/${pid}/root`),
  };
  // The files were read one after the other: the id must still be the same process.
  return readStat(pid)?.startTicks === stat.startTicks ? info : undefined;
}

/** Only what /proc/PID/stat tells; cheap enough to be asked in a loop. */
export function readStat(pid: number): ProcessStat | undefined {
  const text = readProcText(`/proc/${pid}/stat`, statBytes);
  return text === undefined ? undefined : parseStat(text);
}

/** Whether the very process still lives; a zombie does not. */
export function isAlive(pid: number, startTicks: bigint): boolean {
  const stat = readStat(pid);
  return stat !== undefined && stat.startTicks === startTicks && stat.state !== "Z" && stat.state !== "X";
}

/** Every process that this user can see, by rising id. */
export function listProcesses(): ProcessInfo[] {
  const processes: ProcessInfo[] = [];
  for (const pid of listPids()) {
    const info = readProcess(pid);
    if (info !== undefined) processes.push(info);
  }
  return processes;
}

export function listPids(): number[] {
  const names = readProcFolder("/proc");
  if (typeof names === "string") return [];
  return names
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .sort((left, right) => left - right);
}

/** The environment that the process was started with (it may have changed its own since), or `undefined` when it is not ours to read. */
export function readEnvironment(pid: number): Map<string, string> | undefined {
  const text = readProcText(`/proc/${pid}/environ`, environmentBytes);
  return text === undefined ? undefined : parseEnvironment(text);
}

function readExecutable(pid: number): Executable | undefined {
  const link = readProcLink(`/proc/${pid}/exe`);
  if (link === undefined) return undefined;
  let stats: BigIntStats;
  try {
    // Through /proc, so that a removed file and one of another mount namespace are found as well.
    stats = statSync(`/proc/${pid}/exe`, { bigint: true });
  } catch (error) {
    absenceOf(error);
    return undefined;
  }
  const suffix = " (deleted)";
  const deleted = stats.nlink === 0n && link.endsWith(suffix);
  return {
    path: deleted ? link.slice(0, -suffix.length) : link,
    deleted,
    device: stats.dev,
    inode: stats.ino,
    sizeBytes: stats.size,
    modifiedNs: stats.mtimeNs,
  };
}
