/** What the parts of a running agent share. */
import type { BinaryLooks } from "../engine/linux/process-binaries.ts";
import type { AgentFolder } from "./agent-folder.ts";
import type { HotpatchStore } from "./hotpatch-store.ts";
import type { Journal } from "./journal.ts";
import type { ProcessScanner } from "./process-scanner.ts";
import type { ServerLink } from "./server-link.ts";

/** A line of the agent's log: words for a person, the same for each occurrence, and particulars for programs. */
export interface LogLine {
  readonly level: "info" | "warning" | "error";
  readonly message: string;
  readonly [field: string]: unknown;
}

export interface AgentContext {
  readonly folder: AgentFolder;
  readonly journal: Journal;
  readonly store: HotpatchStore;
  readonly scanner: ProcessScanner;
  readonly binaryLooks: BinaryLooks;
  /** The way to the server at this moment; another one once the certificate was renewed. */
  link(): ServerLink;
  readonly clock: () => Date;
  /** At least 0, below 1. */
  readonly random: () => number;
  readonly maxPauseMs: number;
  readonly waitMs: number;
  log(line: LogLine): void;
  /** Told before and after each write of the journal and each effect. */
  onPoint(point: string): void;
  /** Processes have other hotpatches than before. */
  noteProcessesChanged(): void;
  /** Something waits to be told to the server. */
  wakeReporter(): void;
  /** There is work to do. */
  wakeWorker(): void;
}
