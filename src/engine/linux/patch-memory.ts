/**
 * Patch memory: mapped and unmapped by a thread of the target, never writable and executable at once, named by the record at its beginning.
 */
import { RebootlessError } from "../../base/errors.ts";
import { RefusalError, refuse } from "../../base/refusal.ts";
import type { AreaKind } from "./link-object.ts";
import type { Mapping } from "./memory-map.ts";
import type { ProcessMemory } from "./process-memory.ts";
import { decodeRecord, type PatchRecord, recordHeaderBytes, recordLength, startsLikeRecord } from "./record.ts";
import { type Gadgets, hasGadgets, RemoteCaller, type SystemCall } from "./remote-call.ts";
import { checkSeccomp } from "./seccomp.ts";
import { pauseBetweenLooks } from "./system-calls.ts";
import { caughtSignals, refuseSeize, settle, threadIds } from "./thread-stop.ts";
import { Tracee } from "./tracee.ts";

/** PROT_READ 1, PROT_WRITE 2, PROT_EXEC 4. */
const protections: Readonly<Record<AreaKind, number>> = { constant: 1, code: 5, data: 3 };
/** MAP_PRIVATE, MAP_ANONYMOUS, MAP_FIXED_NOREPLACE. */
const mapFlags = 0x02 | 0x20 | 0x10_0000;

export interface Area {
  readonly kind: AreaKind;
  readonly address: number;
  readonly sizeBytes: number;
}

export function mapCall({ kind, address, sizeBytes }: Area): SystemCall {
  return { name: "mmap", number: 9, arguments: [address, sizeBytes, protections[kind], mapFlags, -1, 0] };
}

export function unmapCall({ address, sizeBytes }: Area): SystemCall {
  return { name: "munmap", number: 11, arguments: [address, sizeBytes] };
}

/** The records of all hotpatches in a process, damaged ones left out: found by their magic in private read-only memory without a file. */
export function readRecords(memory: ProcessMemory, mappings: readonly Mapping[]): PatchRecord[] {
  const records: PatchRecord[] = [];
  for (const { start, end, permissions, inode } of mappings) {
    if (permissions !== "r--p" || inode !== 0) continue;
    const header = memory.readSome(start, recordHeaderBytes);
    if (!startsLikeRecord(header)) continue;
    const length = recordLength(header);
    if (length === undefined || length > end - start) continue;
    const record = decodeRecord(memory.readSome(start, length), start);
    if (record !== undefined) records.push(record);
  }
  return records;
}

/** What the signal frame ends in, should we not be there to give the registers back. */
const signalReturnCall: SystemCall = { name: "rt_sigreturn", number: 15, arguments: [] };

/** A thread in the kernel that does not come out is passed over; a busy machine may take so long to run it. */
const patienceNs = 1_000_000_000n;
/** It is waited for all the same before the next one is tried, since it would stand still for ever when it comes out and nobody lets it go. */
const lastPatienceNs = 10_000_000_000n;

/**
 * Has one thread of the process make calls, one after the other; `after` may act while the thread still stands.
 *
 * Tries the threads in turn. Refuses with `target/no-thread`, `target/debugger-attached` or `target/not-permitted`.
 */
export function withRemoteThread<T>(
  memory: ProcessMemory,
  gadgets: Gadgets,
  planned: readonly SystemCall[],
  action: (call: (systemCall: SystemCall) => number) => T,
): T {
  const { pid } = memory;
  let last: RefusalError | undefined;
  const caught = caughtSignals(pid);
  for (const tid of threadIds(pid)) {
    const thread = new Tracee(tid, caught);
    const errno = thread.seize();
    if (errno !== undefined) refuseSeize(pid, tid, errno);
    if (!stopped(thread, patienceNs)) {
      if (stopped(thread, lastPatienceNs)) letGo(thread);
      continue;
    }
    let caller: RemoteCaller;
    try {
      refuseOtherProgram(memory, gadgets);
      checkSeccomp(tid, [...planned, signalReturnCall]);
      caller = new RemoteCaller(thread, memory, gadgets, memory.maps());
    } catch (error) {
      letGo(thread);
      if (!(error instanceof RefusalError)) throw error;
      // Its stack or its filter does not allow it; another thread's may. What the last one lacked is the answer when none does.
      last = error;
      continue;
    }
    try {
      return action((systemCall) => caller.call(systemCall));
    } finally {
      caller.finish();
      thread.detach();
    }
  }
  if (last !== undefined) throw last;
  return refuse("target/no-thread", `No thread of process ${pid} can make a system call for us at the moment.`);
}

/**
 * The process may have executed another program since it was looked at; a thread sent to where the instructions were would be its death.
 *
 * Holds from now on: while this thread stands still its memory stays the one that it is.
 */
function refuseOtherProgram(memory: ProcessMemory, gadgets: Gadgets): void {
  if (hasGadgets(memory, gadgets)) return;
  refuse("target/gone", `Process ${memory.pid} has begun another program since it was looked at.`);
}

function stopped(thread: Tracee, patience: bigint): boolean {
  thread.interrupt();
  const deadline = process.hrtime.bigint() + patience;
  for (let looks = 0; thread.state === "running" && !thread.poll(); looks++) {
    if (process.hrtime.bigint() > deadline) return false;
    pauseBetweenLooks(looks);
  }
  return thread.state === "stopped";
}

function letGo(thread: Tracee): void {
  if (thread.readRegisters()) settle(thread);
  thread.detach();
}

/** Throws `failure/remote-call` when the kernel does not give exactly this memory. */
export function mapArea(call: (systemCall: SystemCall) => number, area: Area): void {
  const result = call(mapCall(area));
  if (result === area.address) return;
  throw new RebootlessError(
    "failure/remote-call",
    `The kernel did not give the process ${area.sizeBytes} bytes of ${area.kind} memory at 0x${area.address.toString(16)}: ${result < 0 ? `error ${-result}` : "another place"}.`,
    { details: { result } },
  );
}

/** The record's own area last, so that a death in between leaves it readable. */
export function unmapAreas(memory: ProcessMemory, gadgets: Gadgets, areas: readonly Area[]): void {
  withRemoteThread(memory, gadgets, areas.map(unmapCall), (call) => {
    for (const area of areas.toReversed()) call(unmapCall(area));
  });
}
