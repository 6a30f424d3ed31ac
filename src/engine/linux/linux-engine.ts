/**
 * The engine for native programs on Linux x86-64.
 *
 * All state of a hotpatch is in the process itself, in the record at the beginning of patch memory.
 * Invariant: until the flag in that record is written the process runs the old code, from then on the new; whatever ends this program in between, either holds.
 */

import { refuse } from "../../base/refusal.ts";
import type { Hotpatch } from "../../hotpatch/hotpatch.ts";
import { elfChangeOf } from "../../hotpatch/manifest.ts";
import type { ProcessInfo } from "../../process/process.ts";
import type { Engine, Outcome, PlanPolicy, ProcessReference, Verdict } from "../engine.ts";
import { absenceOf, evidenceOf } from "./evidence.ts";
import { type LinuxPlan, planApply } from "./linux-plan.ts";
import { type LinuxProbe, openProcess, probeProcess } from "./linux-probe.ts";
import { hotpatchesIn } from "./native-processes.ts";
import { mapArea, mapCall, readRecords, unmapAreas, unmapCall, withRemoteThread } from "./patch-memory.ts";
import { BinaryLooks } from "./process-binaries.ts";
import type { ProcessMemory } from "./process-memory.ts";
import { flagOffset, type PatchRecord, type RecordedFunction } from "./record.ts";
import { findGadgets, type Gadgets } from "./remote-call.ts";
import type { GuardedRange } from "./stack-scan.ts";
import { rangesForApply, switchFunctions } from "./switch-functions.ts";
import { FixedBytes } from "./system-calls.ts";
import { type TextWrite, TextWrites } from "./text-writes.ts";
import { verifyRecord } from "./verify-record.ts";

export interface LinuxEngineOptions {
  /** How long to wait for calls of changed functions to end. */
  readonly waitMs: number;
  readonly progress: (text: string) => void;
  /** Milliseconds since 1970; for the record. */
  readonly now: () => number;
  readonly binaryLooks?: BinaryLooks;
}

export interface LinuxOutcome extends Outcome {
  readonly threads: number;
  readonly functions: number;
  /** Stops that were needed until no thread was inside what changes. */
  readonly tries: number;
}

const on = Buffer.from([1]);
const off = Buffer.from([0]);

export class LinuxEngine implements Engine<LinuxProbe, LinuxPlan> {
  readonly runtime = "linux" as const;
  readonly #options: LinuxEngineOptions;
  readonly #digest: string;
  readonly #looks: BinaryLooks;

  /** `digest`: of the hotpatch, which tells one build of an id from another. */
  constructor(options: LinuxEngineOptions, digest: string) {
    this.#options = options;
    this.#digest = digest;
    this.#looks = options.binaryLooks ?? new BinaryLooks();
  }

  /** By the build-ids of what it has mapped. */
  mayLoad(info: ProcessInfo, { manifest }: Hotpatch): boolean {
    const wanted = new Set(elfChangeOf(manifest).binaries.map(({ buildId }) => buildId));
    return this.#looks.of(info).some(({ buildId }) => wanted.has(buildId));
  }

  /** The library may have been unloaded since; the record stays. */
  mayCarry(info: ProcessInfo, hotpatch: Hotpatch): boolean {
    return this.mayLoad(info, hotpatch) || hotpatchesIn(info.pid).some(({ id }) => id === hotpatch.manifest.id);
  }

  absence(processes: readonly ProcessInfo[], { manifest }: Hotpatch): string {
    return absenceOf(
      processes.map((info) => this.#looks.of(info)),
      elfChangeOf(manifest),
    );
  }

  async probe(target: ProcessReference, hotpatch: Hotpatch): Promise<LinuxProbe> {
    return probeProcess(target, hotpatch);
  }

  plan(probe: LinuxProbe, hotpatch: Hotpatch, policy: PlanPolicy): LinuxPlan {
    return planApply(probe, hotpatch, this.#digest, policy, this.#options.now());
  }

  async apply(plan: LinuxPlan, hotpatch: Hotpatch): Promise<LinuxOutcome> {
    const started = performance.now();
    const { target, threads, functions } = plan;
    const common = { pid: target.pid, hotpatchId: hotpatch.manifest.id, threads, functions: functions.length };
    if (plan.isInPlace)
      return { ...common, state: "unchanged", pauseMs: 0, totalMs: performance.now() - started, tries: 0 };
    refuseHooks(hotpatch);
    const memory = openProcess(target);
    try {
      for (const leftover of plan.leftovers) await this.#takeOut(memory, leftover, plan.gadgets);
      prepare(memory, plan);
      const { longestPauseMs, tries } = await this.#switchOn(memory, plan);
      return { ...common, state: "applied", pauseMs: longestPauseMs, totalMs: performance.now() - started, tries };
    } finally {
      memory.close();
    }
  }

  async verify(target: ProcessReference, hotpatch: Hotpatch): Promise<Verdict> {
    const { id } = hotpatch.manifest;
    elfChangeOf(hotpatch.manifest);
    const memory = openProcess(target);
    try {
      const records = readRecords(memory, memory.maps());
      const record = records.find((candidate) => candidate.id === id && candidate.flag !== 0);
      if (record === undefined) return { pid: target.pid, hotpatchId: id, state: "absent", findings: [] };
      const findings = verifyRecord(memory, record, records, hotpatch, this.#digest);
      const isBroken = findings.some(({ state }) => state === "broken");
      const native = evidenceOf(hotpatch, record, findings);
      return { pid: target.pid, hotpatchId: id, state: isBroken ? "broken" : "in-place", findings, native };
    } finally {
      memory.close();
    }
  }

  async revert(target: ProcessReference, hotpatch: Hotpatch): Promise<LinuxOutcome> {
    const started = performance.now();
    const { id } = hotpatch.manifest;
    elfChangeOf(hotpatch.manifest);
    const memory = openProcess(target);
    try {
      const mappings = memory.maps();
      const found = readRecords(memory, mappings).filter((record) => record.id === id);
      const [first] = found;
      if (first === undefined) refuse("target/not-applied", `Process ${target.pid} does not carry ${id}.`);
      const gadgets = findGadgets(memory, mappings) as Gadgets;
      let longestPauseMs = 0;
      let tries = 0;
      for (const record of found) {
        const result = await this.#takeOut(memory, record, gadgets);
        longestPauseMs = Math.max(longestPauseMs, result.longestPauseMs);
        tries += result.tries;
      }
      const totalMs = performance.now() - started;
      const functions = first.functions.length;
      return {
        pid: target.pid,
        hotpatchId: id,
        state: "reverted",
        pauseMs: longestPauseMs,
        totalMs,
        threads: 0,
        functions,
        tries,
      };
    } finally {
      memory.close();
    }
  }

  /** Entries first, each harmless while the flag is 0; then the flag. A refusal takes patch memory out again. */
  async #switchOn(memory: ProcessMemory, plan: LinuxPlan) {
    const writes = new TextWrites(memory, plan.functions.map(entryWrite));
    const flag = FixedBytes.from(on);
    try {
      return await switchFunctions({
        memory,
        guarded: [...rangesForApply(plan.functions), ...plan.watched],
        signalReturns: plan.gadgets.signalReturns,
        waitMs: this.#options.waitMs,
        progress: this.#options.progress,
        prepare: () => writes.touch(),
        act: () => {
          const other = writes.look();
          if (other !== undefined) refuseChangedEntry(other.name);
          writes.write();
          memory.writeFixed(plan.flag, flag);
        },
      });
    } catch (error) {
      // Entries that were written before something failed lead through gates to the old code, and have to go before the gates do.
      // Should that fail as well, the old code runs, the record stays, and the next run takes it out; the first error is the one to tell.
      const record = readRecords(memory, memory.maps()).find(({ address }) => address === plan.flag - flagOffset);
      if (record !== undefined) await this.#takeOut(memory, record, plan.gadgets).catch(() => undefined);
      throw error;
    }
  }

  /** The mirror image: the flag, the entries, and once no thread is in it the memory. Also for what an interrupted run has left. */
  async #takeOut(memory: ProcessMemory, record: PatchRecord, gadgets: Gadgets) {
    const writes = new TextWrites(
      memory,
      record.functions.map((found) => {
        const { name, address, expected, bytes } = entryWrite(found);
        return { name, address, expected: bytes, bytes: expected };
      }),
    );
    const flag = FixedBytes.from(off);
    const result = await switchFunctions({
      memory,
      guarded: rangesForRevert(record),
      signalReturns: gadgets.signalReturns,
      waitMs: this.#options.waitMs,
      progress: this.#options.progress,
      prepare: () => writes.touch(),
      act: () => {
        memory.writeFixed(record.address + flagOffset, flag);
        // Entries that the run which was interrupted did not come to are left as they are.
        writes.look();
        writes.write();
      },
    });
    unmapAreas(memory, gadgets, record.areas);
    return result;
  }
}

/** Maps patch memory and fills it, while the process runs: nothing leads to it yet. */
function prepare(memory: ProcessMemory, { areas, gadgets, record }: LinuxPlan): void {
  withRemoteThread(memory, gadgets, [...areas.map(mapCall), ...areas.map(unmapCall)], (call) => {
    for (const [index, area] of areas.entries()) {
      mapArea(call, area);
      // From here on the next run can tell what was mapped, and take it out.
      if (index === 0) memory.write(area.address, record);
    }
  });
  for (const { address, contents } of areas) memory.write(address, contents);
}

function entryWrite({ name, entry, original, jump }: RecordedFunction): TextWrite {
  return { name, address: entry, expected: Buffer.from(original, "hex"), bytes: Buffer.from(jump, "hex") };
}

function refuseChangedEntry(name: string): never {
  refuse("target/foreign-hook", `Somebody has changed the entry of ${name} meanwhile.`, { function: name });
}

/** The new functions by name, and all other code of the hotpatch: gates, helpers, stubs. */
function rangesForRevert({ id, functions, areas }: PatchRecord): GuardedRange[] {
  const replacements = functions.map(({ name, replacement, replacementBytes }) => ({
    name: `${name} (new)`,
    start: replacement,
    end: replacement + replacementBytes,
  }));
  const code = areas
    .filter(({ kind }) => kind === "code")
    .map(({ address, sizeBytes }) => ({ name: `the code of ${id}`, start: address, end: address + sizeBytes }));
  return [...replacements, ...code];
}

function refuseHooks({ manifest }: Hotpatch): void {
  if (Object.keys(elfChangeOf(manifest).hooks).length > 0)
    refuse("plan/no-way", `${manifest.id} has hooks, which this version does not run.`);
}
