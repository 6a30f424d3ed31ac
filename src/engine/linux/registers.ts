/**
 * The general registers of a stopped thread: `struct user_regs_struct` (sys/user.h), as PTRACE_GETREGSET with NT_PRSTATUS gives it.
 *
 * Kept as bytes and read by offset, so that hundreds of threads can be looked at without an object each.
 */

export const registersBytes = 27 * 8;

export const registerOffset = {
  r15: 0,
  r14: 8,
  r13: 16,
  r12: 24,
  rbp: 32,
  rbx: 40,
  r11: 48,
  r10: 56,
  r9: 64,
  r8: 72,
  rax: 80,
  rcx: 88,
  rdx: 96,
  rsi: 104,
  rdi: 112,
  originalRax: 120,
  rip: 128,
  cs: 136,
  eflags: 144,
  rsp: 152,
  ss: 160,
  fsBase: 168,
  gsBase: 176,
} as const;

export type RegisterName = keyof typeof registerOffset;

const two32 = 2 ** 32;

/** An address; what lies beyond 2^53 is rounded, which no address of user space does. */
export function readAddress(registers: Buffer, name: RegisterName): number {
  const at = registerOffset[name];
  return registers.readUInt32LE(at) + registers.readUInt32LE(at + 4) * two32;
}

export function writeAddress(registers: Buffer, name: RegisterName, value: number): void {
  const at = registerOffset[name];
  registers.writeUInt32LE((value % two32) >>> 0, at);
  registers.writeUInt32LE(Math.floor(value / two32), at + 4);
}

/** A result of a system call: negative ones are errors. */
export function readSigned(registers: Buffer, name: RegisterName): number {
  const at = registerOffset[name];
  return registers.readUInt32LE(at) + registers.readInt32LE(at + 4) * two32;
}

export function writeSigned(registers: Buffer, name: RegisterName, value: number): void {
  registers.writeBigInt64LE(BigInt(value), registerOffset[name]);
}

/** A segment selector of 64-bit user code; another one is a program in 32-bit mode. */
export const userCodeSelector = 0x33;

/** What the kernel leaves in rax of a call that a stop interrupted (include/linux/errno.h); user space never sees these. */
export const restartCodes = { system: -512, noInterrupt: -513, noHandler: -514, restartBlock: -516 } as const;

const interrupted = -4;

/**
 * Calls that end with EINTR when they are stopped, although no signal is handled, and that can be made again since nothing of them was done (signal(7), "Interruption of system calls by stop signals", and calls on sockets with a timeout).
 *
 * connect and close are not among them: made again they would do something else.
 */
const repeatable: ReadonlySet<number> = new Set([
  0, // read
  1, // write
  19, // readv
  20, // writev
  43, // accept
  44, // sendto
  45, // recvfrom
  46, // sendmsg
  47, // recvmsg
  65, // semop
  69, // msgsnd
  70, // msgrcv
  128, // rt_sigtimedwait
  202, // futex
  208, // io_getevents
  220, // semtimedop
  232, // epoll_wait
  281, // epoll_pwait
  288, // accept4
  299, // recvmmsg
  307, // sendmmsg
  333, // io_pgetevents
  426, // io_uring_enter
  441, // epoll_pwait2
]);

export type Interruption = "none" | "restarts" | "restart-block" | "ends-with-eintr";

/** In which way the stop has interrupted a system call of this thread. */
export function interruptionOf(registers: Buffer): Interruption {
  const call = readSigned(registers, "originalRax");
  if (call < 0) return "none";
  const result = readSigned(registers, "rax");
  if (result === restartCodes.restartBlock) return "restart-block";
  if (result === restartCodes.system || result === restartCodes.noInterrupt || result === restartCodes.noHandler)
    return "restarts";
  return result === interrupted && repeatable.has(call) ? "ends-with-eintr" : "none";
}

/** `syscall` has two bytes. */
const systemCallBytes = 2;

/** Puts the thread back onto its `syscall` instruction, as the kernel does for a call that it restarts (arch/x86/kernel/signal.c). */
export function putBackOntoCall(registers: Buffer): void {
  writeSigned(registers, "rax", readSigned(registers, "originalRax"));
  writeAddress(registers, "rip", readAddress(registers, "rip") - systemCallBytes);
  writeSigned(registers, "originalRax", -1);
}
