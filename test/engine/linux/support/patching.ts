/** The engine driven as the command drives it: probe, plan, apply, and the way back. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { type Refusal, RefusalError } from "../../../../src/base/refusal.ts";
import type { ProcessReference } from "../../../../src/engine/engine.ts";
import { LinuxEngine, type LinuxOutcome } from "../../../../src/engine/linux/linux-engine.ts";
import { loadedImages } from "../../../../src/engine/linux/loaded-image.ts";
import { ProcessMemory } from "../../../../src/engine/linux/process-memory.ts";
import type { Hotpatch } from "../../../../src/hotpatch/hotpatch.ts";
import { readProcess } from "../../../../src/process/process.ts";

const digest = "d".repeat(64);

export function engineFor(waitMs = 2000): LinuxEngine {
  return new LinuxEngine({ waitMs, progress: () => undefined, now: () => Date.now() }, digest);
}

export function referenceOf(pid: number): ProcessReference {
  const found = readProcess(pid);
  assert.ok(found !== undefined, `process ${pid} has ended`);
  return { pid, startTicks: found.startTicks };
}

export async function apply(pid: number, hotpatch: Hotpatch, waitMs?: number): Promise<LinuxOutcome> {
  const engine = engineFor(waitMs);
  const plan = engine.plan(await engine.probe(referenceOf(pid), hotpatch), hotpatch, { maxPauseMs: 250 });
  return await engine.apply(plan, hotpatch);
}

export async function revert(pid: number, hotpatch: Hotpatch, waitMs?: number): Promise<LinuxOutcome> {
  return await engineFor(waitMs).revert(referenceOf(pid), hotpatch);
}

export async function refusalOf(action: () => Promise<unknown>): Promise<Refusal> {
  try {
    await action();
  } catch (error) {
    if (error instanceof RefusalError) return error.refusals[0] as Refusal;
    throw error;
  }
  assert.fail("it was not refused");
}

/** What revert must restore: the memory map without sizes of heap and stacks, and the bytes of every executable mapping of a file. */
export function stateOf(pid: number): { map: readonly string[]; text: string } {
  const memory = new ProcessMemory(pid);
  try {
    const mappings = memory.maps();
    const map = readFileSync(`/proc/${pid}/maps`, "utf8")
      .split("\n")
      .filter((line) => !/\[(heap|stack)\]/.test(line))
      .map((line) => line.replace(/\s+/g, " "));
    const hash = createHash("sha256");
    for (const image of loadedImages(memory, mappings)) {
      for (const { start, end } of mappings.filter(
        ({ permissions, start: at }) => permissions.startsWith("r-x") && at >= image.start && at < image.end,
      ))
        hash.update(memory.readSome(start, end - start));
    }
    return { map, text: hash.digest("hex") };
  } finally {
    memory.close();
  }
}
