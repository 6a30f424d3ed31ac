/**
 * One thread under ptrace: seized, interrupted, stopped, resumed, let go.
 *
 * A thread that ends on the way is no error: it becomes `gone`.
 */
import { readProcText } from "../../process/proc-file.ts";
import { parseStat } from "../../process/proc-format.ts";
import { interruptionOf, putBackOntoCall, readAddress, registersBytes } from "./registers.ts";
import {
  type Errno,
  eventStop,
  IoVector,
  lastErrno,
  ptrace,
  ptraceBuffer,
  ptraceBuffers,
  ptraceRequest,
  registerSet,
  waitOption,
  waitpid,
  waitStatus,
} from "./system-calls.ts";

/** `running`: seized, and not known to have stopped. */
export type TraceeState = "untraced" | "running" | "stopped" | "gone";

const sigTrap = 5;
/** PTRACE_O_TRACESYSGOOD: without it our death in a stop at a system call would leave the thread a SIGTRAP (kernel/ptrace.c, ptrace_report_syscall). */
const traceSystemCallsGood = 1;
const systemCallStop = sigTrap | 0x80;

/** Bytes of one `siginfo_t`. */
const signalInfoBytes = 128;
const peeked = 32;
const peekArguments = Buffer.alloc(16);
const signalInfos = Buffer.alloc(signalInfoBytes * peeked);
const maskBuffer = Buffer.alloc(8);
const sharedQueue = 1;

export class Tracee {
  readonly tid: number;
  state: TraceeState = "untraced";
  /** Stopped by SIGSTOP or its like, together with its process. */
  inGroupStop = false;
  /** The last stop was one of PTRACE_INTERRUPT, in which the kernel is ready to restart a system call. */
  inEventStop = false;
  /** Signals (bit n-1 for signal n) that are not let through but end a wait, as faults of code that we make the thread run. */
  heldSignals = 0n;
  /** The signal of `heldSignals` that the last stop was for; 0 for none. It is dropped when the thread is resumed without it. */
  heldSignal = 0;
  /** Whether `registers` are those of the present stop. */
  hasRegisters = false;
  readonly #general = new IoVector(registersBytes);
  readonly #caughtSignals: bigint;

  /** `caughtSignals`: those that its process has handlers for (SigCgt of proc(5)), bit n-1 for signal n. */
  constructor(tid: number, caughtSignals: bigint) {
    this.tid = tid;
    this.#caughtSignals = caughtSignals;
  }

  /** Undefined when it worked, or the thread is gone; otherwise the errno. */
  seize(): Errno | undefined {
    if (ptrace(ptraceRequest.seize, this.tid, 0, traceSystemCallsGood)) {
      this.state = "running";
      return undefined;
    }
    const errno = lastErrno();
    if (errno === "ESRCH" || hasEnded(this.tid)) {
      this.state = "gone";
      return undefined;
    }
    return errno;
  }

  interrupt(): void {
    // Fails only for a thread that has ended, which the wait that follows reports.
    ptrace(ptraceRequest.interrupt, this.tid, 0, 0);
  }

  /**
   * Takes what the thread has to report, without waiting; true once it stands still or is gone.
   *
   * A signal on its way is let through: the stop that was asked for follows before the thread runs a line of its own.
   */
  poll(): boolean {
    return this.#collect(waitOption.all | waitOption.noHang);
  }

  /** As `poll`, and waits; false when a signal for us has ended the wait (wait-alarm.ts). */
  wait(): boolean {
    return this.#collect(waitOption.all);
  }

  #collect(options: number): boolean {
    for (;;) {
      const tid = waitpid(this.tid, options);
      if (tid === 0) return false;
      if (tid < 0) {
        if (lastErrno() === "EINTR") return false;
        this.state = "gone";
        return true;
      }
      const status = waitStatus();
      if ((status & 0xff) !== 0x7f) {
        this.state = "gone";
        return true;
      }
      this.state = "stopped";
      this.hasRegisters = false;
      this.inEventStop = status >> 16 === eventStop;
      const signal = (status >> 8) & 0xff;
      const event = status >> 16;
      if (event === eventStop) {
        this.inGroupStop = signal !== sigTrap;
        return true;
      }
      this.heldSignal = 0;
      if (event === 0 && signal !== systemCallStop) {
        if (((this.heldSignals >> BigInt(signal - 1)) & 1n) === 1n) {
          this.heldSignal = signal;
          return true;
        }
        this.#letThrough(signal);
        continue;
      }
      return true;
    }
  }

  /** The kernel wakes a traced thread even for a signal that it ignores; without a tracer its system call would have gone on, and goes on now. */
  #letThrough(signal: number): void {
    if (!this.#catches(signal) && this.readRegisters() && interruptionOf(this.registers) === "ends-with-eintr") {
      putBackOntoCall(this.registers);
      this.writeRegisters();
    }
    this.resume(signal);
  }

  #catches(signal: number): boolean {
    return ((this.#caughtSignals >> BigInt(signal - 1)) & 1n) === 1n;
  }

  /** Makes it run, still traced. */
  resume(signal = 0): void {
    if (ptrace(ptraceRequest.continue, this.tid, 0, signal)) this.state = "running";
    else this.state = "gone";
  }

  /** Makes it run to where its next system call begins or ends. */
  runToSystemCall(): void {
    if (ptrace(ptraceRequest.systemCall, this.tid, 0, 0)) this.state = "running";
    else this.state = "gone";
  }

  /** Lets a stopped thread go; a process that was stopped as a whole stays so (kernel/ptrace.c, __ptrace_unlink). */
  detach(): void {
    if (this.state !== "stopped") return;
    ptrace(ptraceRequest.detach, this.tid, 0, 0);
    this.state = "untraced";
  }

  /** The general registers of a stopped thread, in a buffer that the next call fills anew; false when it is gone. */
  readRegisters(): boolean {
    const ok = ptrace(ptraceRequest.getRegisterSet, this.tid, registerSet.general, this.#general.preparedAddress());
    if (!ok) this.state = "gone";
    this.hasRegisters = ok;
    return ok;
  }

  get registers(): Buffer {
    return this.#general.buffer;
  }

  get stackPointer(): number {
    return readAddress(this.#general.buffer, "rsp");
  }

  /** What fs points to: in the C libraries the thread control block (psABI §3.4.2). */
  get controlBlock(): number {
    return readAddress(this.#general.buffer, "fsBase");
  }

  get instructionPointer(): number {
    return readAddress(this.#general.buffer, "rip");
  }

  /** Writes the buffer of `registers` back; false when the thread is gone. */
  writeRegisters(): boolean {
    return ptrace(ptraceRequest.setRegisterSet, this.tid, registerSet.general, this.#general.preparedAddress());
  }

  /** Whether a signal waits for it, alone or as one of its process, that it does not block and has a handler for; also true where the kernel does not tell. */
  hasPendingSignal(): boolean {
    if (ptraceBuffer(ptraceRequest.getSignalMask, this.tid, 8, maskBuffer) < 0) return true;
    const blocked = maskBuffer.readBigUInt64LE(0);
    for (const flags of [0, sharedQueue]) {
      peekArguments.writeUInt32LE(flags, 8);
      peekArguments.writeInt32LE(peeked, 12);
      const count = ptraceBuffers(ptraceRequest.peekSignals, this.tid, peekArguments, signalInfos);
      if (count < 0 || count === peeked) return true;
      for (let index = 0; index < count; index++) {
        const signal = signalInfos.readInt32LE(index * signalInfoBytes);
        if (((blocked >> BigInt(signal - 1)) & 1n) === 0n && this.#catches(signal)) return true;
      }
    }
    return false;
  }

  get name(): string {
    return readProcText(`/proc/${this.tid}/comm`, 64)?.trim() ?? "";
  }
}

/** A thread that has ended, and is still listed: nothing of it will run again. */
export function hasEnded(tid: number): boolean {
  const stat = readProcText(`/proc/${tid}/stat`, 4096);
  const state = stat === undefined ? undefined : parseStat(stat)?.state;
  return state === undefined || state === "Z" || state === "X";
}
