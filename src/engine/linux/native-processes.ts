/** The hotpatches that are in processes as native programs, read from their records. */
import { RefusalError } from "../../base/refusal.ts";
import { readRecords } from "./patch-memory.ts";
import { ProcessMemory } from "./process-memory.ts";

export interface NativeHotpatch {
  readonly id: string;
  readonly digest: string;
  /** Milliseconds since 1970. */
  readonly since: number;
  /** `interrupted`: a patcher ended on the way; the old code runs, and apply or revert takes it out. */
  readonly state: "applied" | "interrupted";
  readonly functions: readonly string[];
}

/** Nothing for a process that cannot be looked into. */
export function hotpatchesIn(pid: number): NativeHotpatch[] {
  let memory: ProcessMemory;
  try {
    memory = new ProcessMemory(pid);
  } catch (error) {
    // It has ended, or is not ours to read.
    if (error instanceof RefusalError) return [];
    throw error;
  }
  try {
    return readRecords(memory, memory.maps()).map(({ id, digest, preparedAt, flag, functions }) => ({
      id,
      digest,
      since: preparedAt,
      state: flag === 0 ? "interrupted" : "applied",
      functions: functions.map(({ name }) => name),
    }));
  } finally {
    memory.close();
  }
}
