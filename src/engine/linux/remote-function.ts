/**
 * Functions called by a thread of the target, such that the death of the patcher at any moment does not matter.
 *
 * As a remote system call: a signal frame with the thread's true registers, and one PTRACE_SETREGSET; after it the thread makes the calls and restores itself, whoever watches.
 * Frame, stack and list of calls are in patch memory, so that nothing of the thread's own stack is touched (its red zone stays), and a small stack is no hindrance.
 * The extended state is fresh for the callees and given back behind them; signals wait meanwhile, but for those of faults, which end the call here and never reach the program.
 */
import { RebootlessError } from "../../base/errors.ts";
import { refuse } from "../../base/refusal.ts";
import type { ProcessMemory } from "./process-memory.ts";
import { readAddress, writeAddress, writeSigned } from "./registers.ts";
import { type CapturedThread, captureThread, type Gadgets, type SystemCall } from "./remote-call.ts";
import { checkSeccomp } from "./seccomp.ts";
import { buildSignalFrame } from "./signal-frame.ts";
import { IoVector, pauseBetweenLooks, ptraceBuffer, ptraceRequest, registerSet } from "./system-calls.ts";
import type { Tracee } from "./tracee.ts";

/**
 * What a thread runs: r12 the list, r13 how many.
 *
 * The system call at the end, `munmap(0, 0)`, fails and does nothing; the stop in it is where the patcher takes over.
 * Behind it the stack has the return address that makes rt_sigreturn, which unwinders and the stack scan know.
 */
export const trampoline = Buffer.from(
  [
    "4d85ed", // 1: test %r13, %r13
    "7431", // je 2f
    "498b7c2408", // mov 8(%r12), %rdi
    "498b742410", // mov 16(%r12), %rsi
    "498b542418", // mov 24(%r12), %rdx
    "498b4c2420", // mov 32(%r12), %rcx
    "31c0", // xor %eax, %eax
    "41ff1424", // call *(%r12)
    "4989442428", // mov %rax, 40(%r12)
    "49c744243001000000", // movq $1, 48(%r12)
    "4983c440", // add $64, %r12
    "49ffcd", // dec %r13
    "ebca", // jmp 1b
    "31ff", // 2: xor %edi, %edi
    "31f6", // xor %esi, %esi
    "b80b000000", // mov $11, %eax
    "0f05", // syscall
    "4883c408", // add $8, %rsp
    "c3", // ret
  ].join(""),
  "hex",
);
/** Behind the `syscall`. */
const endOffset = 0x41;
const endCall: SystemCall = { name: "munmap", number: 11, arguments: [0, 0] };
const signalReturnCall: SystemCall = { name: "rt_sigreturn", number: 15, arguments: [] };

/** Where calls are made from: the trampoline in code, list and stack in writable patch memory. */
export interface CallRoom {
  readonly trampoline: number;
  readonly list: number;
}

const entryBytes = 64;
/** Entries of the list; the caller says which ones it uses. */
const maxCalls = 512;
/** For what callees keep beyond their calls, such as the unwinder's `struct object`. */
const storageBytes = 32 * 1024;
const resultOffset = 40;
const doneOffset = 48;
/** For the signal frame with its extended state and for the callees. */
const stackBytes = 256 * 1024;
export const callRoomBytes = maxCalls * entryBytes + storageBytes + stackBytes;

/** The n-th piece of 256 bytes of the storage, zero at first. */
export function storageAt({ list }: CallRoom, index: number): number {
  return list + maxCalls * entryBytes + index * 256;
}

export interface FunctionCall {
  readonly name: string;
  readonly address: number;
  /** Up to four. */
  readonly arguments: readonly number[];
}

export interface FunctionCaller {
  /** In an event stop. */
  readonly tracee: Tracee;
  readonly memory: ProcessMemory;
  readonly gadgets: Gadgets;
  readonly room: CallRoom;
}

/** SIGILL 4, SIGTRAP 5, SIGBUS 7, SIGFPE 8, SIGSEGV 11, SIGSYS 31; and SIGABRT 6, by which a callee gives up. */
const faultSignals = [4, 5, 6, 7, 8, 11, 31];
const faultMask = faultSignals.reduce((mask, signal) => mask | (1n << BigInt(signal - 1)), 0n);
const signalNames = new Map([
  [4, "SIGILL"],
  [5, "SIGTRAP"],
  [6, "SIGABRT"],
  [7, "SIGBUS"],
  [8, "SIGFPE"],
  [11, "SIGSEGV"],
  [31, "SIGSYS"],
]);
const flagsToClear = 0x100 | 0x400 | 0x4_0000;
/** A thread that does not come out of the kernel after the time of a call is over. */
const patienceNs = 3_000_000_000n;
/** Of the extended state: XSTATE_BV, and the defaults that FNINIT and a reset leave (SDM volume 1, §8.1.5 and §10.2.3). */
const featuresInStateOffset = 512;
const controlWordOffset = 0;
const mxcsrOffset = 24;

/**
 * The results as signed words of 64 bits, rounded beyond 2^53.
 *
 * `first`: the entry of the list from which on they are written; what is done stays marked there.
 * Refuses with `target/call-failed` when a callee faults or does not end within `timeoutMs`; the thread has its registers back and the target lives.
 * The thread is in an event stop again afterwards.
 */
export function callFunctions(
  caller: FunctionCaller,
  calls: readonly FunctionCall[],
  { first, timeoutMs }: { readonly first: number; readonly timeoutMs: number },
): number[] {
  const { tracee, memory, room } = caller;
  if (first + calls.length > maxCalls) throw new RebootlessError("bug/invariant", "The list of calls is too long.");
  checkSeccomp(tracee.tid, [endCall, signalReturnCall]);
  const captured = captureThread(tracee);
  const start = room.list + first * entryBytes;
  memory.write(start, encodeCalls(calls));
  placeOnList(caller, captured, start, calls.length);
  const failure = runToEnd(tracee, room.trampoline + endOffset, timeoutMs);
  giveBack(tracee, captured, failure !== undefined);
  if (failure !== undefined) {
    const at = calls.findIndex((_, index) => !isDone(memory, room, first + index));
    const { name } = calls[Math.max(at, 0)] as FunctionCall;
    refuse("target/call-failed", `${name}, called in thread ${tracee.tid} of process ${memory.pid}, ${failure}.`, {
      function: name,
      tid: tracee.tid,
    });
  }
  return calls.map((_, index) => Number(memory.read(start + index * entryBytes + resultOffset, 8).readBigInt64LE(0)));
}

/** Whether a call of the list has come to its end, in this run or in one that was killed: perhaps before the list had its memory. */
export function isDone(memory: ProcessMemory, { list }: CallRoom, entry: number): boolean {
  const bytes = memory.readSome(list + entry * entryBytes + doneOffset, 4);
  return bytes.length === 4 && bytes.readUInt32LE(0) === 1;
}

function encodeCalls(calls: readonly FunctionCall[]): Buffer {
  const bytes = Buffer.alloc(calls.length * entryBytes);
  for (const [index, { address, arguments: given }] of calls.entries()) {
    for (const [place, value] of [address, ...given].entries())
      bytes.writeBigInt64LE(BigInt(value), index * entryBytes + place * 8);
  }
  return bytes;
}

function placeOnList(
  { tracee, memory, gadgets, room }: FunctionCaller,
  { saved }: CapturedThread,
  list: number,
  count: number,
) {
  const top = room.list + callRoomBytes;
  const frame = buildSignalFrame(saved, top, gadgets.signalReturn);
  memory.write(frame.address, frame.bytes);
  const { registers } = tracee;
  writeAddress(registers, "rip", room.trampoline);
  writeAddress(registers, "rsp", frame.stackPointer - 8);
  writeAddress(registers, "rbp", 0);
  writeAddress(registers, "r12", list);
  writeAddress(registers, "r13", count);
  writeAddress(registers, "eflags", readAddress(registers, "eflags") & ~flagsToClear);
  writeSigned(registers, "originalRax", -1);
  if (!tracee.writeRegisters()) refuse("target/no-thread", `Thread ${tracee.tid} has ended.`);
  // Only now: should we end before, the thread has all that it had; should we end from here on, the frame brings it back.
  const mask = Buffer.alloc(8);
  mask.writeBigUInt64LE(0xffff_ffff_ffff_ffffn & ~faultMask);
  ptraceBuffer(ptraceRequest.setSignalMask, tracee.tid, 8, mask);
  writeExtendedState(tracee, freshState(saved.extendedState));
}

/** As a signal handler finds it: every component in its initial state. */
function freshState(extendedState: Buffer): Buffer {
  const fresh = Buffer.from(extendedState);
  fresh.writeBigUInt64LE(0n, featuresInStateOffset);
  fresh.fill(0, controlWordOffset, mxcsrOffset);
  fresh.writeUInt16LE(0x37f, controlWordOffset);
  fresh.writeUInt32LE(0x1f80, mxcsrOffset);
  return fresh;
}

function writeExtendedState(tracee: Tracee, bytes: Buffer): void {
  const vector = new IoVector(bytes.length);
  bytes.copy(vector.buffer);
  ptraceBuffer(ptraceRequest.setRegisterSet, tracee.tid, registerSet.extendedState, vector.prepared());
}

/** Undefined once the list is done and the thread stands behind the system call at its end, else what went wrong. */
function runToEnd(tracee: Tracee, end: number, timeoutMs: number): string | undefined {
  const deadline = process.hrtime.bigint() + BigInt(Math.round(timeoutMs * 1e6));
  tracee.heldSignals = faultMask;
  try {
    for (let stopsAtEnd = 0; stopsAtEnd < 2; ) {
      tracee.runToSystemCall();
      if (!stops(tracee, deadline)) {
        tracee.interrupt();
        if (!stops(tracee, process.hrtime.bigint() + patienceNs)) hangs(tracee);
        return `did not end within ${timeoutMs} ms and was abandoned`;
      }
      if (tracee.heldSignal !== 0) return `ended with ${signalNames.get(tracee.heldSignal)} and was abandoned`;
      if (!tracee.inEventStop && tracee.readRegisters() && tracee.instructionPointer === end) stopsAtEnd++;
    }
    return undefined;
  } finally {
    tracee.heldSignals = 0n;
  }
}

function stops(tracee: Tracee, deadline: bigint): boolean {
  for (let looks = 0; !tracee.poll(); looks++) {
    if (process.hrtime.bigint() > deadline) return false;
    pauseBetweenLooks(looks);
  }
  if (tracee.state === "stopped") return true;
  throw new RebootlessError("failure/remote-call", `Thread ${tracee.tid} ended while it made a call for us.`);
}

function hangs({ tid }: Tracee): never {
  throw new RebootlessError(
    "failure/remote-call",
    `Thread ${tid} hangs in the kernel in a call that it makes for us; it restores itself when it comes out.`,
  );
}

/** Back to an event stop with all that it had, where the kernel restarts what our coming has interrupted. */
function giveBack(tracee: Tracee, { saved, resumed }: CapturedThread, isAbandoned: boolean): void {
  // A callee that was abandoned may have left a wait of its own to be restarted in place of the thread's.
  const registers = isAbandoned ? saved.registers : resumed;
  // At a fault all of it comes back before the thread moves; at the end of the list the frame would still bring it back.
  if (isAbandoned) restore(tracee, saved, registers);
  if (!tracee.inEventStop) {
    tracee.interrupt();
    do {
      tracee.resume();
      if (!stops(tracee, process.hrtime.bigint() + patienceNs)) hangs(tracee);
    } while (!tracee.inEventStop);
  }
  restore(tracee, saved, registers);
}

function restore(tracee: Tracee, saved: CapturedThread["saved"], registers: Buffer): void {
  writeExtendedState(tracee, saved.extendedState);
  ptraceBuffer(ptraceRequest.setSignalMask, tracee.tid, 8, saved.signalMask);
  registers.copy(tracee.registers);
  tracee.writeRegisters();
  tracee.hasRegisters = true;
}
