/**
 * A system call made by a thread of the target, such that the death of the patcher at any moment does not matter.
 *
 * Below the thread's red zone goes a signal frame with its true registers, and a return address that makes rt_sigreturn; then one PTRACE_SETREGSET puts it onto a `syscall; ret`.
 * Before that one call nothing has changed; after it the thread makes the call and restores itself, whoever watches.
 * While the patcher lives it gives the registers back itself, which keeps what a signal frame cannot: the rest of an interrupted wait.
 */
import { RebootlessError } from "../../base/errors.ts";
import { refuse } from "../../base/refusal.ts";
import { type Mapping, mappingAt } from "./memory-map.ts";
import type { ProcessMemory } from "./process-memory.ts";
import {
  interruptionOf,
  putBackOntoCall,
  readSigned,
  registerOffset,
  userCodeSelector,
  writeAddress,
  writeSigned,
} from "./registers.ts";
import { buildSignalFrame, frameRoom, type SavedThread } from "./signal-frame.ts";
import { IoVector, lastErrno, pauseBetweenLooks, ptraceBuffer, ptraceRequest, registerSet } from "./system-calls.ts";
import type { Tracee } from "./tracee.ts";

/** Where instructions are that a remote call goes through. */
export interface Gadgets {
  /** `syscall; ret` */
  readonly systemCall: number;
  /** `mov $15, %eax; syscall` */
  readonly signalReturn: number;
  /** All places like `signalReturn`. */
  readonly signalReturns: readonly number[];
}

const systemCallReturn = Buffer.from([0x0f, 0x05, 0xc3]);
/** In glibc's and musl's `__restore_rt`, which every program with a signal handler has, and in Go's. */
const signalReturnPatterns = [
  Buffer.from([0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05]),
  Buffer.from([0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05]),
];
/** Larger mappings of code are searched up to here. */
const searchedBytes = 64 * 1024 * 1024;

/** Undefined when the target's code has them nowhere. */
export function findGadgets(memory: ProcessMemory, mappings: readonly Mapping[]): Gadgets | undefined {
  let systemCall: number | undefined;
  const signalReturns: number[] = [];
  for (const { start, end } of mappings.filter(({ permissions }) => /^r.x/.test(permissions))) {
    const bytes = memory.readSome(start, Math.min(end - start, searchedBytes));
    const at = bytes.indexOf(systemCallReturn);
    if (at >= 0) systemCall ??= start + at;
    for (const pattern of signalReturnPatterns) {
      for (let found = bytes.indexOf(pattern); found >= 0; found = bytes.indexOf(pattern, found + 1))
        signalReturns.push(start + found);
    }
  }
  const [signalReturn] = signalReturns;
  if (systemCall === undefined || signalReturn === undefined) return undefined;
  return { systemCall, signalReturn, signalReturns };
}

/** Whether the instructions are still where they were found. */
export function hasGadgets(memory: ProcessMemory, { systemCall, signalReturn }: Gadgets): boolean {
  const isThere = (pattern: Buffer, address: number): boolean =>
    memory.readSome(address, pattern.length).equals(pattern);
  return (
    isThere(systemCallReturn, systemCall) && signalReturnPatterns.some((pattern) => isThere(pattern, signalReturn))
  );
}

export interface SystemCall {
  readonly name: string;
  readonly number: number;
  readonly arguments: readonly number[];
}

/** Larger than any extended state of today's processors (AMX: 11 KiB). */
const extendedStateBytes = 64 * 1024;
const redZoneBytes = 128;
const argumentRegisters = ["rdi", "rsi", "rdx", "r10", "r8", "r9"] as const;
const allBlocked = Buffer.alloc(8, 0xff);

export interface CapturedThread {
  /** For the signal frame: what the kernel would have done is in it already. */
  readonly saved: SavedThread;
  /** As we set the registers ourselves, where the kernel finishes what our coming has interrupted. */
  readonly resumed: Buffer;
}

/** All that a thread in an event stop has. Refuses with `target/no-thread` when it has ended or runs in 32-bit mode. */
export function captureThread(tracee: Tracee): CapturedThread {
  const state = new IoVector(extendedStateBytes);
  const signalMask = Buffer.alloc(8);
  const { tid } = tracee;
  const isRead =
    tracee.readRegisters() &&
    ptraceBuffer(ptraceRequest.getRegisterSet, tid, registerSet.extendedState, state.prepared()) >= 0 &&
    ptraceBuffer(ptraceRequest.getSignalMask, tid, 8, signalMask) >= 0;
  if (!isRead) refuse("target/no-thread", `Thread ${tid} has ended.`);
  if (tracee.registers.readUInt16LE(registerOffset.cs) !== userCodeSelector)
    refuse("target/no-thread", `Thread ${tid} runs in 32-bit mode.`);
  const registers = Buffer.from(tracee.registers);
  const resumed = Buffer.from(tracee.registers);
  prepareResumption(registers, resumed, tracee.hasPendingSignal());
  return {
    saved: { registers, extendedState: state.buffer.subarray(0, state.filledBytes), signalMask },
    resumed,
  };
}

/** A thread that is stopped and ready for calls; `finish` gives it its registers back. */
export class RemoteCaller {
  readonly #tracee: Tracee;
  readonly #memory: ProcessMemory;
  readonly #gadgets: Gadgets;
  readonly #mask: Buffer;
  readonly #resumed: Buffer;
  readonly #covered: Buffer;
  readonly #frameAddress: number;
  readonly #framePointer: number;

  /** Refuses with `target/no-thread` where this thread cannot make calls; nothing is changed then. */
  constructor(tracee: Tracee, memory: ProcessMemory, gadgets: Gadgets, mappings: readonly Mapping[]) {
    this.#tracee = tracee;
    this.#memory = memory;
    this.#gadgets = gadgets;
    const { tid } = tracee;
    const { saved, resumed } = captureThread(tracee);
    const { extendedState } = saved;
    this.#mask = saved.signalMask;
    this.#resumed = resumed;
    const top = tracee.stackPointer - redZoneBytes;
    const room = frameRoom({ extendedState });
    const stack = mappingAt(mappings, top);
    if (stack === undefined || !stack.permissions.startsWith("rw") || stack.start > top - room)
      refuse("target/no-thread", `Thread ${tid} has too little room on its stack for a call.`);
    const frame = buildSignalFrame(saved, top, gadgets.signalReturn);
    this.#frameAddress = frame.address;
    this.#framePointer = frame.stackPointer;
    // A coroutine's stack may end right below, in memory that is somebody else's.
    this.#covered = memory.read(frame.address, frame.bytes.length);
    memory.write(frame.address, frame.bytes);
  }

  /** The result as the kernel gives it: negative for an error. Throws `failure/remote-call` when the thread ended in it. */
  call({ name, number, arguments: given }: SystemCall): number {
    const tracee = this.#tracee;
    const { registers } = tracee;
    writeAddress(registers, "rip", this.#gadgets.systemCall);
    writeAddress(registers, "rsp", this.#framePointer);
    writeAddress(registers, "rax", number);
    writeSigned(registers, "originalRax", -1);
    for (const [index, register] of argumentRegisters.entries()) writeSigned(registers, register, given[index] ?? 0);
    if (!tracee.writeRegisters()) this.#fail(name);
    // Only now: should we end, the frame brings the mask back as well.
    ptraceBuffer(ptraceRequest.setSignalMask, tracee.tid, 8, allBlocked);
    // Stops at the beginning and at the end of a call are no signals, so that our death in between leaves none behind; a single step would leave SIGTRAP.
    this.#runToStop(name, () => tracee.runToSystemCall());
    this.#runToStop(name, () => tracee.runToSystemCall());
    if (!tracee.readRegisters()) this.#fail(name);
    return readSigned(registers, "rax");
  }

  /** Gives the thread back what it had; it is stopped still, where the kernel restarts what our coming has interrupted. */
  finish(): void {
    const tracee = this.#tracee;
    tracee.interrupt();
    this.#runToStop("the way back", () => tracee.resume(), true);
    ptraceBuffer(ptraceRequest.setSignalMask, tracee.tid, 8, this.#mask);
    this.#resumed.copy(tracee.registers);
    tracee.writeRegisters();
    this.#memory.write(this.#frameAddress, this.#covered);
  }

  /** Until the next stop; one of a process that is being stopped as a whole is passed over, and holds when the thread is let go. */
  #runToStop(name: string, run: () => void, wantsEvent = false): void {
    const tracee = this.#tracee;
    do {
      run();
      for (let looks = 0; !tracee.poll(); looks++) pauseBetweenLooks(looks);
      if (tracee.state !== "stopped") this.#fail(name);
    } while (tracee.inEventStop !== wantsEvent);
  }

  #fail(name: string): never {
    throw new RebootlessError(
      "failure/remote-call",
      `Thread ${this.#tracee.tid} ended while it made the call ${name} for us (${lastErrno()}).`,
      { details: { tid: this.#tracee.tid, call: name } },
    );
  }
}

/**
 * `frame`: as the signal frame is to have it; `resumed`: as we set it ourselves.
 *
 * What we set is what was there: the last stop is one within get_signal, from which the kernel restarts an interrupted call or handles a signal as if nothing had been.
 */
function prepareResumption(frame: Buffer, resumed: Buffer, hasSignal: boolean): void {
  const interruption = interruptionOf(frame);
  if (interruption === "ends-with-eintr") {
    // With a signal to handle, EINTR is what the program expects.
    if (hasSignal) return;
    putBackOntoCall(resumed);
  }
  if (interruption !== "none") putBackOntoCall(frame);
}
