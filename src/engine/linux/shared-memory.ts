/**
 * Processes that are none of a process's threads and share its memory all the same: made by clone(2) with CLONE_VM, or by vfork(2) until they execute a program.
 *
 * A stop does not hold them, so that they could run code while it is being changed.
 */
import { readdirSync } from "node:fs";
import { readStat } from "../../process/process.ts";
import { sharesMemory } from "./system-calls.ts";

/** Another process that runs in this memory now, if there is one. */
export function memorySharer(pid: number): number | undefined {
  const own = readStat(pid)?.addressSpace;
  for (const name of readdirSync("/proc")) {
    const other = Number(name);
    if (!Number.isInteger(other) || other === pid) continue;
    // Forked processes begin at the same places; only the kernel knows whether the memory is the same.
    if (readStat(other)?.addressSpace === own && sharesMemory(pid, other)) return other;
  }
  return undefined;
}
