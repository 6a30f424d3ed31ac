/** What a running agent says of itself in its folder, for `agent status`; written whole, and never needed to go on. */
import { readFile } from "node:fs/promises";
import { writeFileAtomically } from "../base/stored-file.ts";
import { isAlive, readStat } from "../process/process.ts";
import type { AgentFolder } from "./agent-folder.ts";
import type { Contact } from "./conversation.ts";
import { type Identity, readIdentity } from "./identity.ts";
import { readJournal } from "./journal.ts";

export interface StatusFile {
  readonly pid: number;
  readonly startTicks: string;
  readonly startedAt: string;
  readonly server: Contact;
  readonly processes: readonly ProtectedProcess[];
}

export interface ProtectedProcess {
  readonly pid: number;
  readonly command: string;
  readonly hotpatches: readonly string[];
}

export async function writeStatus(folder: AgentFolder, status: Omit<StatusFile, "pid" | "startTicks">): Promise<void> {
  const startTicks = String(readStat(process.pid)?.startTicks ?? 0n);
  const text = JSON.stringify({ pid: process.pid, startTicks, ...status });
  await writeFileAtomically(folder.status, text, { mode: 0o600, replace: true });
}

export interface AgentStatus {
  readonly folder: string;
  readonly running: boolean;
  readonly pid?: number;
  readonly server: string;
  readonly device: string;
  readonly name: string;
  readonly certificateExpiresAt: string;
  readonly contact: Contact;
  readonly actions: readonly {
    readonly hotpatch: string;
    readonly state: string;
    readonly reason: string;
  }[];
  /** Reports that the server has not acknowledged yet. */
  readonly unreported: number;
  /** As the agent saw them last. */
  readonly processes: readonly ProtectedProcess[];
}

/** From the folder alone, whether the agent runs or not. Throws `agent/not-enrolled` and `agent/state-damaged`. */
export async function statusOf(folder: AgentFolder): Promise<AgentStatus> {
  const identity: Identity = await readIdentity(folder);
  const { state } = readJournal(folder.journal);
  const last = await lastStatus(folder);
  const running = last !== undefined && isAlive(last.pid, BigInt(last.startTicks));
  return {
    folder: folder.root,
    running,
    ...(running ? { pid: last.pid } : {}),
    server: identity.server,
    device: identity.deviceId,
    name: identity.name,
    certificateExpiresAt: identity.expiresAt,
    contact: last?.server ?? { state: "unknown" },
    actions: [...state.courses.values()].map(({ hotpatchId, stage, reason }) => ({
      ...{ hotpatch: hotpatchId, state: stage, reason },
    })),
    unreported: state.reports.length,
    processes: last?.processes ?? [],
  };
}

async function lastStatus(folder: AgentFolder): Promise<StatusFile | undefined> {
  try {
    return JSON.parse(await readFile(folder.status, "utf8")) as StatusFile;
  } catch {
    // The agent never ran, or its file was damaged: what counts is in the journal.
    return undefined;
  }
}
