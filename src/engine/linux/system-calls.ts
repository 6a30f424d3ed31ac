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
const schedYield = c.func("sched_yield", "int", []);
const sleepMicroseconds = c.func("usleep", "int", ["uint"]);
const waitpidCall = c.func("waitpid", "int", ["int", "void *", "int"]);
const processVmReadv = c.func("process_vm_readv", "long", ["int", "void *", "ulong", "void *", "ulong", "ulong"]);

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

/** A buffer with the `struct iovec` that leads to it. */
export class IoVector {
  readonly buffer: Buffer;
  readonly #vector: Buffer;

  constructor(sizeBytes: number) {
    // Of its own memory: a slice of Node's pool could not be handed to the kernel by address for long.
    this.buffer = Buffer.alloc(sizeBytes);
    this.#vector = Buffer.alloc(16);
    this.#vector.writeBigUInt64LE(addressOf(this.buffer), 0);
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

const statusBuffer = Buffer.alloc(4);

export interface WaitResult {
  /** 0 when nothing was there to report, -1 on an error. */
  readonly tid: number;
  readonly status: number;
}

/** The last status is in `waitStatus()`; answers the thread, 0 or -1. */
export function waitpid(tid: number, options: number): number {
  observer?.("waitpid");
  return waitpidCall(tid, statusBuffer, options) as number;
}

export function waitStatus(): number {
  return statusBuffer.readInt32LE(0);
}

/** So many looks in a row give the processor away only for a moment; then the waiting is done asleep, since the threads that are waited for may need this very processor. */
const eagerLooks = 200;
const napMicroseconds = 50;

/** Between two looks at threads that have not stopped yet; `looks` counts them from 0. */
export function pauseBetweenLooks(looks: number): void {
  if (looks < eagerLooks) schedYield();
  else sleepMicroseconds(napMicroseconds);
}

/** Reads by prepared vectors; answers the number of bytes, -1 on an error. */
export function readVectors(
  pid: number,
  local: Uint8Array,
  localCount: number,
  remote: Uint8Array,
  count: number,
): number {
  observer?.("process_vm_readv");
  return processVmReadv(pid, local, localCount, remote, count, 0) as number;
}

/** An expected errno is the caller's; this is for those that nobody expects. */
export function unexpectedErrno(call: string, errno: Errno, pid: number): never {
  throw new RebootlessError("failure/system-call", `${call} failed for process ${pid}: ${errno}.`, {
    details: { call, errno, pid },
  });
}
