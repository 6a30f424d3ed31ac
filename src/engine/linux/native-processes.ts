/** The hotpatches that are in processes as native programs, read from their records. */
import { RefusalError } from "../../base/refusal.ts";
import { readRecords } from "./patch-memory.ts";
import { ProcessMemory } from "./process-memory.ts";
import { isInEffect } from "./record.ts";

export interface NativeHotpatch {
  readonly id: string;
  readonly digest: string;
  /** Milliseconds since 1970. */
  readonly since: number;
  /** `interrupted`: a patcher ended on the way; the old code runs, and apply or revert takes it out. */
  readonly state: "applied" | "interrupted";
  readonly functions: readonly string[];
  /** It was not waited for threads inside of the functions. */
  readonly forced?: true;
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
    const records = readRecords(memory, memory.maps());
    return records.map((record) => ({
      id: record.id,
      digest: record.digest,
      since: record.preparedAt,
      state: isInEffect(record, records) ? "applied" : "interrupted",
      functions: record.functions.map(({ name }) => name),
      ...(record.forced === true ? { forced: true as const } : {}),
    }));
  } finally {
    memory.close();
  }
}
