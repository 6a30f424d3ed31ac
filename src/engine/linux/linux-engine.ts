/**
 * The engine for native programs on Linux x86-64.
 *
 * All state of a hotpatch is in the process itself, in the record at the beginning of patch memory.
 * Invariant: until the flag in that record is written the process runs the old code, from then on the new; whatever ends this program in between, either holds.
 */

import { RefusalError, refuse } from "../../base/refusal.ts";
import type { Hotpatch } from "../../hotpatch/hotpatch.ts";
import { elfChangeOf } from "../../hotpatch/manifest.ts";
import type { ProcessInfo } from "../../process/process.ts";
import type { Engine, Outcome, PlanPolicy, ProcessReference, Verdict } from "../engine.ts";
import { type DoneAction, doAfterApply } from "./after-apply.ts";
import { absenceOf, evidenceOf } from "./evidence.ts";
import { rangesForApply, rangesForRevert } from "./guarded-ranges.ts";
import { type LinuxPlan, planApply } from "./linux-plan.ts";
import { type LinuxProbe, openProcess, probeProcess } from "./linux-probe.ts";
import { pageBytes } from "./memory-map.ts";
import { hotpatchesIn } from "./native-processes.ts";
import { mapArea, mapCall, readRecords, unmapAreas, unmapCall, withRemoteThread } from "./patch-memory.ts";
import { BinaryLooks } from "./process-binaries.ts";
import type { ProcessMemory } from "./process-memory.ts";
import {
  flagOffset,
  flagValue,
  isInEffect,
  isOn,
  type PatchRecord,
  type RecordedCalls,
  type RecordedHook,
  supersedes,
} from "./record.ts";
import { findGadgets, type Gadgets } from "./remote-call.ts";
import { switchFunctions } from "./switch-functions.ts";
import { FixedBytes } from "./system-calls.ts";
import {
  askResolvers,
  callsOf,
  deregisterFrames,
  prepareHeldHooks,
  registerFrames,
  runHooks,
  type TargetCallsInput,
} from "./target-calls.ts";
import { type TextWrite, TextWrites } from "./text-writes.ts";
import { verifyRecord } from "./verify-record.ts";

export interface LinuxEngineOptions {
  /** How long to wait for calls of changed functions to end. */
  readonly waitMs: number;
  readonly progress: (text: string) => void;
  /** Milliseconds since 1970; for the record. */
  readonly now: () => number;
  readonly binaryLooks?: BinaryLooks;
  /** Treats every function as `immediate`: threads may go on in the old code after the switch. For the person who knows better. */
  readonly forceImmediate?: boolean;
}

export interface LinuxOutcome extends Outcome {
  readonly threads: number;
  readonly functions: number;
  /** Stops that were needed until no thread was inside what changes. */
  readonly tries: number;
  /** Ids of hotpatches whose place it has taken. */
  readonly superseded?: readonly string[];
  /** It was not waited for threads inside of the functions. */
  readonly forced?: boolean;
  /** What the author asked to be done once the code is in place, and what came of it; absent where nothing was put in. */
  readonly actions?: readonly DoneAction[];
}

const on = Buffer.from([flagValue.on]);
const off = Buffer.from([flagValue.off]);

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
    const { now, forceImmediate = false } = this.#options;
    return planApply(probe, hotpatch, { digest: this.#digest, policy, now: now(), forceImmediate });
  }

  async apply(plan: LinuxPlan, hotpatch: Hotpatch): Promise<LinuxOutcome> {
    const started = performance.now();
    const { target, threads, functions } = plan;
    const common = { pid: target.pid, hotpatchId: hotpatch.manifest.id, threads, functions: functions.length };
    const memory = openProcess(target);
    try {
      for (const leftover of plan.leftovers) await this.#takeOut(memory, leftover, plan.gadgets);
      if (plan.isInPlace)
        return { ...common, state: "unchanged", pauseMs: 0, totalMs: performance.now() - started, tries: 0 };
      const { longestPauseMs, tries } = await this.#putIn(memory, plan);
      for (const record of plan.superseded) await this.#unmap(memory, record, plan.gadgets, []);
      const superseded = plan.superseded.map(({ id }) => id);
      const { afterApply } = elfChangeOf(hotpatch.manifest);
      const actions = doAfterApply(target, afterApply);
      return {
        ...common,
        state: "applied",
        pauseMs: longestPauseMs,
        totalMs: performance.now() - started,
        tries,
        actions,
        ...(superseded.length === 0 ? {} : { superseded }),
        ...(plan.forced ? { forced: true } : {}),
      };
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
      const record = records.find((candidate) => candidate.id === id && isInEffect(candidate, records));
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
      const records = readRecords(memory, mappings);
      const found = records.filter((record) => record.id === id);
      const [first] = found;
      if (first === undefined) refuse("target/not-applied", `Process ${target.pid} does not carry ${id}.`);
      const gadgets = findGadgets(memory, mappings) as Gadgets;
      let longestPauseMs = 0;
      let tries = 0;
      for (const record of found.flatMap((one) => [...boundTo(one, records), one])) {
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

  /** A refusal or failure on the way takes patch memory out again; so does a hook that runs after the switch and does not answer 0. */
  async #putIn(memory: ProcessMemory, plan: LinuxPlan) {
    try {
      mapMemory(memory, plan);
      const linked = await this.#fill(memory, plan);
      const calls = this.#callsFor(memory, linked);
      await registerFrames(calls, linked.calls);
      const result = await this.#switchOn(memory, linked);
      await runHooks(calls, linked.calls.afterApply);
      return result;
    } catch (error) {
      // Entries that were written before something failed lead through gates to the old code, and have to go before the gates do.
      // Should that fail as well, the record stays, and the next run takes it out; the first error is the one to tell.
      const record = readRecords(memory, memory.maps()).find(({ address }) => address === plan.areas[0]?.address);
      if (record !== undefined) await this.#takeOut(memory, record, plan.gadgets).catch(() => undefined);
      throw error;
    }
  }

  /** Patch memory gets its contents, of which addresses that only the process can choose are a part. */
  async #fill(memory: ProcessMemory, plan: LinuxPlan): Promise<LinuxPlan> {
    writeAreas(memory, plan);
    if (plan.calls.resolvers.length === 0) return plan;
    const linked = plan.linkAgain(await askResolvers(this.#callsFor(memory, plan), plan.calls));
    writeAreas(memory, linked);
    return linked;
  }

  #callsFor(memory: ProcessMemory, { gadgets, calls }: LinuxPlan): TargetCallsInput {
    return { memory, gadgets, calls, waitMs: this.#options.waitMs };
  }

  /** Entries first, each harmless before the switch; then the flag; then what is not needed any more. */
  async #switchOn(memory: ProcessMemory, plan: LinuxPlan) {
    const writes = new TextWrites(memory, [...plan.functions.map(entryWrite), ...plan.dropped.map(entryWrite)]);
    const afterwards = new TextWrites(memory, [
      ...plan.dropped.map(restoringWrite),
      ...plan.superseded.flatMap(({ dropped = [] }) => dropped.map(restoringWrite)),
    ]);
    const turnedOn = FixedBytes.from(on);
    const turnedOff = FixedBytes.from(off);
    const runHeld = prepareHeldHooks(this.#callsFor(memory, plan), plan.calls.beforeApply);
    return await switchFunctions({
      memory,
      guarded: [...rangesForApply(plan.functions), ...plan.watched],
      signalReturns: plan.gadgets.signalReturns,
      waitMs: this.#options.waitMs,
      progress: this.#options.progress,
      prepare: () => writes.touch(),
      act: (threads) => {
        const other = writes.look();
        if (other !== undefined) refuseChangedEntry(other.name);
        runHeld(threads);
        writes.write();
        memory.writeFixed(plan.flag, turnedOn);
        if (plan.superseded.length === 0) return;
        afterwards.look();
        afterwards.write();
        for (const { address } of plan.superseded) memory.writeFixed(address + flagOffset, turnedOff);
      },
    });
  }

  /** Gives patch memory back, once nothing leads to it and what knows of it was told. */
  async #unmap(memory: ProcessMemory, record: PatchRecord, gadgets: Gadgets, hooks: readonly RecordedHook[]) {
    const calls = callsOf(record, memory, gadgets, this.#options.waitMs);
    // A run that was killed may have left neither code nor the list of calls: nothing was called then.
    if (calls !== undefined && isThere(memory, calls.calls)) {
      await runHooks(calls, [...hooks, ...calls.calls.release]).catch((error) => this.#tell(error));
      await deregisterFrames(calls);
    }
    unmapAreas(memory, gadgets, record.areas);
  }

  /** What a hook does once the old code runs can no longer keep it from running; the person is told. */
  #tell(error: unknown): void {
    if (!(error instanceof RefusalError)) throw error;
    this.#options.progress(error.message);
  }

  /** The mirror image: the flag, the entries, and once no thread is in it the memory. Also for what an interrupted run has left. */
  async #takeOut(memory: ProcessMemory, record: PatchRecord, gadgets: Gadgets) {
    const isChained = record.flag === flagValue.chained;
    const newer = readRecords(memory, memory.maps()).filter((other) => isOn(other) && supersedes(other, record));
    const { functions, dropped = [] } = record;
    const writes = new TextWrites(memory, [
      ...[...functions, ...dropped].map(isChained ? returningWrite : restoringWrite),
      ...newer.flatMap(({ dropped: left = [] }) => left.map(restoringWrite)),
    ]);
    const turnedOff = FixedBytes.from(off);
    const calls = callsOf(record, memory, gadgets, this.#options.waitMs);
    // What a newer one has taken the place of is out of effect, whatever its flag says.
    const wasOn = isOn(record) && newer.length === 0;
    const runHeld = calls && wasOn ? prepareHeldHooks(calls, calls.calls.beforeRevert) : undefined;
    const result = await switchFunctions({
      memory,
      guarded: rangesForRevert(record),
      signalReturns: gadgets.signalReturns,
      waitMs: this.#options.waitMs,
      progress: this.#options.progress,
      prepare: () => writes.touch(),
      act: (threads) => {
        runHeld?.(threads);
        // While others are in effect its gates lead to them, and its flag must stay as it is until nothing leads to its gates.
        if (!isChained) memory.writeFixed(record.address + flagOffset, turnedOff);
        // Entries that the run which was interrupted did not come to are left as they are.
        writes.look();
        writes.write();
      },
    });
    await this.#unmap(memory, record, gadgets, wasOn ? (calls?.calls.afterRevert ?? []) : []);
    return result;
  }
}

/** Whether the code of hooks and the list of calls have their memory and contents, which the trampoline gets with them. */
function isThere(memory: ProcessMemory, { trampoline, list }: Pick<RecordedCalls, "trampoline" | "list">): boolean {
  return (memory.readSome(trampoline, 1)[0] ?? 0) !== 0 && memory.readSome(list, 1).length === 1;
}

/** What has to go before this one: what it has superseded and an interrupted run left, or what is about to supersede it and leads to its gates. */
function boundTo(record: PatchRecord, records: readonly PatchRecord[]): readonly PatchRecord[] {
  return records.filter((other) =>
    isOn(record) ? supersedes(record, other) || (other.flag === flagValue.chained && supersedes(other, record)) : false,
  );
}

/** Maps patch memory while the process runs: nothing leads to it yet. */
function mapMemory(memory: ProcessMemory, { areas, gadgets, record }: LinuxPlan): void {
  withRemoteThread(memory, gadgets, [...areas.map(mapCall), ...areas.map(unmapCall)], (call) => {
    for (const [index, area] of areas.entries()) {
      mapArea(call, area);
      // From here on the next run can tell what was mapped, and take it out.
      if (index === 0) memory.write(area.address, record);
    }
  });
}

const pageOfZeros = Buffer.alloc(pageBytes);

/** Pages that are to be zero are so already, and are left to the kernel to give when they are used. */
function writeAreas(memory: ProcessMemory, { areas }: LinuxPlan): void {
  for (const { address, contents } of areas) {
    let from = 0;
    for (let at = 0; at <= contents.length; at += pageBytes) {
      const isEmpty = at === contents.length || contents.subarray(at, at + pageBytes).equals(pageOfZeros);
      if (!isEmpty) continue;
      if (at > from) memory.write(address + from, contents.subarray(from, at));
      from = at + pageBytes;
    }
  }
}

interface Redirected {
  readonly name: string;
  readonly entry: number;
  readonly original: string;
  readonly jump: string;
  readonly previous?: string;
}

function bytesOf(hex: string): Buffer {
  return Buffer.from(hex, "hex");
}

/** Onto the gate, from what stands there now. */
function entryWrite({ name, entry, original, previous = original, jump }: Redirected): TextWrite {
  return { name, address: entry, expected: bytesOf(previous), bytes: bytesOf(jump) };
}

/** From the gate to the code of the binary. */
function restoringWrite({ name, entry, original, jump }: Redirected): TextWrite {
  return { name, address: entry, expected: bytesOf(jump), bytes: bytesOf(original) };
}

/** From the gate to the older gate. */
function returningWrite({ name, entry, original, previous = original, jump }: Redirected): TextWrite {
  return { name, address: entry, expected: bytesOf(jump), bytes: bytesOf(previous) };
}

function refuseChangedEntry(name: string): never {
  refuse("target/foreign-hook", `Somebody has changed the entry of ${name} meanwhile.`, { function: name });
}
