/**
 * The system calls by which one process looks into another and stops it: ptrace(2), waitpid(2), process_vm_readv(2), tgkill(2).
 *
 * Every call that touches a target goes through here, from the one thread that runs JavaScript, since the kernel knows a tracer by its thread.
 * Errors are kept as their names; buffers that a stop needs are the caller's, so that nothing is allocated while threads stand still.
 */
import koffi from "koffi";
import { RebootlessError } from "../../base/errors.ts";

const c = koffi.load("libc.so.6");
// As `long` and `uintptr_t`, so that requests with plain numbers (signals, options) convert nothing.
const ptraceNumber = c.func("ptrace", "long", ["long", "int", "uintptr_t", "uintptr_t"]);
const ptracePointer = c.func("ptrace", "long", ["long", "int", "uintptr_t", "void *"]);
const ptraceBoth = c.func("ptrace", "long", ["long", "int", "void *", "void *"]);
const prctl = c.func("prctl", "int", ["int", "ulong", "ulong", "ulong", "ulong"]);
const sleepMicroseconds = c.func("usleep", "int", ["uint"]);
const waitpidCall = c.func("waitpid", "int", ["int", "uintptr_t", "int"]);
const processVmReadv = c.func("process_vm_readv", "long", ["int", "uintptr_t", "ulong", "uintptr_t", "ulong", "ulong"]);
const pread = c.func("pread64", "long", ["int", "uintptr_t", "ulong", "long"]);
const pwrite = c.func("pwrite64", "long", ["int", "uintptr_t", "ulong", "long"]);
/** glibc has `fstat` as a function only since 2.33. */
const systemCall = c.func("syscall", "long", ["long", "long", "uintptr_t"]);
const fstatNumber = 5;
const sigactionCall = c.func("sigaction", "int", ["int", "uintptr_t", "uintptr_t"]);
const kcmp = c.func("syscall", "long", ["long", "long", "long", "long", "long", "long"]);
const kcmpNumber = 312;
const kcmpMemory = 1;

export const ptraceRequest = {
  continue: 7,
  detach: 17,
  systemCall: 24,
  getRegisterSet: 0x4204,
  setRegisterSet: 0x4205,
  seize: 0x4206,
  interrupt: 0x4207,
  listen: 0x4208,
  peekSignals: 0x4209,
  getSignalMask: 0x420a,
  setSignalMask: 0x420b,
  getSeccompFilter: 0x420c,
} as const;

/** `elf_prstatus` sets of registers (linux/elf.h). */
export const registerSet = { general: 1, extendedState: 0x202 } as const;

/** The stop that PTRACE_INTERRUPT and a group-stop of a seized thread report (ptrace(2)). */
export const eventStop = 128;

export const waitOption = { noHang: 1, all: 0x40000000 } as const;

/** Sees each call before it is made; tests end the process here to show that each call may be the last. */
export type CallObserver = (call: string) => void;

let observer: CallObserver | undefined;

export function observeCalls(next: CallObserver | undefined): void {
  observer = next;
}

/** For calls that touch a process of our own only. */
export function unobserved(action: () => void): void {
  const current = observer;
  observer = undefined;
  try {
    action();
  } finally {
    observer = current;
  }
}

/** For calls that are made elsewhere and touch a target as well, such as writes to its memory. */
export function beforeCall(call: string): void {
  observer?.(call);
}

const errnoNames = new Map(Object.entries(koffi.os.errno).map(([name, number]) => [number as number, name]));

/** Such as `ESRCH`; never an exception, since a thread that ends is no surprise. */
export type Errno = string;

/** The name of the last call's error. */
export function lastErrno(): Errno {
  const number = koffi.errno();
  return errnoNames.get(number) ?? `errno ${number}`;
}

/** Whether it succeeded; `lastErrno` says why not. */
export function ptrace(request: number, tid: number, address: number, data: number): boolean {
  observer?.("ptrace");
  return ptraceNumber(request, tid, address, data) >= 0;
}

/** As `ptrace`, with a buffer that the kernel reads or writes. The result is the call's, -1 on an error. */
export function ptraceBuffer(request: number, tid: number, address: number, buffer: Uint8Array): number {
  observer?.("ptrace");
  return ptracePointer(request, tid, address, buffer) as number;
}

/** As `ptraceBuffer`, with a second buffer in place of the address. */
export function ptraceBuffers(request: number, tid: number, address: Uint8Array, data: Uint8Array): number {
  observer?.("ptrace");
  return ptraceBoth(request, tid, address, data) as number;
}

/** Bytes that the kernel is given by their address, which is worked out once: a number converts faster than a buffer. */
export class FixedBytes {
  readonly buffer: Buffer;
  readonly address: number;

  constructor(sizeBytes: number) {
    // Of its own memory: a slice of Node's pool could not be handed to the kernel by address for long.
    this.buffer = Buffer.from(new ArrayBuffer(sizeBytes));
    this.address = Number(addressOf(this.buffer));
  }

  static from(bytes: Uint8Array): FixedBytes {
    const fixed = new FixedBytes(bytes.length);
    fixed.buffer.set(bytes);
    return fixed;
  }
}

/** A buffer with the `struct iovec` that leads to it. */
export class IoVector {
  readonly buffer: Buffer;
  readonly #vector: Buffer;
  readonly #address: number;

  constructor(sizeBytes: number) {
    const bytes = new FixedBytes(sizeBytes);
    const vector = new FixedBytes(16);
    this.buffer = bytes.buffer;
    this.#vector = vector.buffer;
    this.#address = vector.address;
    this.#vector.writeBigUInt64LE(BigInt(bytes.address), 0);
  }

  /** As `prepared`, as an address. */
  preparedAddress(sizeBytes: number = this.buffer.length): number {
    this.#vector.writeUInt32LE(sizeBytes, 8);
    return this.#address;
  }

  /** The vector with its whole length, as PTRACE_GETREGSET changes it. */
  prepared(sizeBytes: number = this.buffer.length): Buffer {
    this.#vector.writeUInt32LE(sizeBytes, 8);
    return this.#vector;
  }

  /** What the last PTRACE_GETREGSET filled. */
  get filledBytes(): number {
    return this.#vector.readUInt32LE(8);
  }
}

export function addressOf(buffer: Uint8Array): bigint {
  return BigInt(koffi.address(buffer));
}

const statusBytes = new FixedBytes(4);
const statusWord = new Int32Array(statusBytes.buffer.buffer);
const statusAddress = statusBytes.address;

/** The last status is in `waitStatus()`; answers the thread, 0 or -1. */
export function waitpid(tid: number, options: number): number {
  observer?.("waitpid");
  return waitpidCall(tid, statusAddress, options) as number;
}

export function waitStatus(): number {
  return statusWord[0] as number;
}

/** So many looks follow each other at once: a thread on another processor stops within microseconds. */
const eagerLooks = 4;
const shortNaps = 400;
const shortNapMicroseconds = 5;
const longNapMicroseconds = 100;
const setTimerSlack = 29;
let hasSlack = true;

/**
 * Between two looks at threads that have not stopped yet; `looks` counts them from 0.
 *
 * Asleep, since the threads that are waited for may need this very processor; giving it away with sched_yield would put us behind everybody else on a busy machine.
 */
export function pauseBetweenLooks(looks: number): void {
  if (looks < eagerLooks) return;
  // The kernel rounds naps up by 50 microseconds unless it is told not to (prctl(2), PR_SET_TIMERSLACK).
  if (hasSlack) prctl(setTimerSlack, 1, 0, 0, 0);
  hasSlack = false;
  sleepMicroseconds(looks < shortNaps ? shortNapMicroseconds : longNapMicroseconds);
}

/** Holds up this thread, and the event loop with it. */
export function sleepFor(microseconds: number): void {
  sleepMicroseconds(microseconds);
}

/** Reads by prepared vectors, given by their addresses; answers the number of bytes, -1 on an error. */
export function readVectors(pid: number, local: number, localCount: number, remote: number, count: number): number {
  observer?.("process_vm_readv");
  return processVmReadv(pid, local, localCount, remote, count, 0) as number;
}

/** Reads from a file at a place; answers the number of bytes, -1 on an error. */
export function readAt(descriptor: number, target: number, sizeBytes: number, position: number): number {
  observer?.("read");
  return pread(descriptor, target, sizeBytes, position) as number;
}

/** Writes to a file at a place; answers the number of bytes, -1 on an error. */
export function writeAt(descriptor: number, source: number, sizeBytes: number, position: number): number {
  observer?.("write");
  return pwrite(descriptor, source, sizeBytes, position) as number;
}

/** `struct stat` (asm/stat.h): st_nlink is its third word. */
const statBytes = new FixedBytes(144);
const statWords = new Uint32Array(statBytes.buffer.buffer);
const linksWord = 4;

/** The number of links of an open file; -1 on an error. */
export function linkCount(descriptor: number): number {
  return (systemCall(fstatNumber, descriptor, statBytes.address) as number) < 0 ? -1 : (statWords[linksWord] as number);
}

/** `struct sigaction` of the C library. */
export const signalActionBytes = 152;

/** How this program takes a signal: set by one address, told at the other, 0 for neither; whether it worked. */
export function sigaction(signal: number, next: number, previous: number): boolean {
  return sigactionCall(signal, next, previous) === 0;
}

/** Whether two processes have one address space (kcmp(2)); false where the kernel does not tell. */
export function sharesMemory(pid: number, other: number): boolean {
  return kcmp(kcmpNumber, pid, other, kcmpMemory, 0, 0) === 0;
}

/** An expected errno is the caller's; this is for those that nobody expects. */
export function unexpectedErrno(call: string, errno: Errno, pid: number): never {
  throw new RebootlessError("failure/system-call", `${call} failed for process ${pid}: ${errno}.`, {
    details: { call, errno, pid },
  });
}
