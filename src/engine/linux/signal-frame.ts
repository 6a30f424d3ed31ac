/**
 * A signal frame as the kernel builds it, so that rt_sigreturn gives a thread its registers back without anybody's help.
 *
 * `struct rt_sigframe` and `struct sigcontext` of x86-64 (arch/x86/include/asm/sigframe.h, uapi/asm/sigcontext.h), the extended state behind it as `fpstate` with its two magic numbers (arch/x86/kernel/fpu/signal.c). Pure.
 */
import { type RegisterName, registerOffset } from "./registers.ts";

/** Behind the return address: flags, link, alternate stack. */
const contextOffset = 8 + 8 + 8 + 24;
const sigcontextRegisters: readonly RegisterName[] = [
  "r8",
  "r9",
  "r10",
  "r11",
  "r12",
  "r13",
  "r14",
  "r15",
  "rdi",
  "rsi",
  "rbp",
  "rbx",
  "rdx",
  "rax",
  "rcx",
  "rsp",
  "rip",
  "eflags",
];
const segmentsOffset = contextOffset + sigcontextRegisters.length * 8;
const fpStateOffset = segmentsOffset + 8 + 4 * 8;
const signalMaskOffset = fpStateOffset + 8 + 8 * 8;
const frameBytes = signalMaskOffset + 8 + 128;
const altStackOffset = 8 + 8 + 8;

/** UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS. */
const contextFlags = 1 | 2 | 4;
const magic1 = 0x46505853;
const magic2 = 0x46505845;
const softwareOffset = 464;
/** The mask of features that PTRACE_GETREGSET puts where the frame has its own words. */
const featuresOffset = 464;
const tileDataFeature = 1n << 18n;
/** Where the state ends on processors with AMX for a process that has not asked for AMX: behind PKRU. */
const sizeWithoutTiles = 2696;
/** SS_ONSTACK and SS_DISABLE at once, which sigaltstack(2) refuses. */
const impossibleStack = 3;

export interface SavedThread {
  /** `struct user_regs_struct`, as the thread is to have it. */
  readonly registers: Buffer;
  /** As PTRACE_GETREGSET with NT_X86_XSTATE gives it. */
  readonly extendedState: Buffer;
  /** The 64 bits of its signal mask. */
  readonly signalMask: Buffer;
}

/** The bytes that a frame with this extended state needs on the stack, with room for its alignment. */
export function frameRoom({ extendedState }: Pick<SavedThread, "extendedState">): number {
  return frameBytes + extendedState.length + 4 + 64;
}

export interface SignalFrame {
  /** Where the bytes go. */
  readonly address: number;
  readonly bytes: Buffer;
  /** The stack pointer for a `ret` that leads to rt_sigreturn. */
  readonly stackPointer: number;
}

/**
 * The frame that ends below `top`, with `restorer` as the return address: code that makes the system call rt_sigreturn.
 *
 * The thread's alternate stack cannot be read from outside, so the frame names an impossible one: the kernel refuses it, says nothing, and keeps the one that is set (kernel/signal.c, restore_altstack).
 */
export function buildSignalFrame(saved: SavedThread, top: number, restorer: number): SignalFrame {
  const state = stateForFrame(saved.extendedState);
  const fpAddress = Math.floor((top - state.length) / 64) * 64;
  const address = Math.floor((fpAddress - frameBytes) / 16) * 16 - 8;
  const bytes = Buffer.alloc(fpAddress + state.length - address);
  const pointer = (value: number, at: number) => bytes.writeBigUInt64LE(BigInt(value), at);
  pointer(restorer, 0);
  pointer(contextFlags, 8);
  bytes.writeUInt32LE(impossibleStack, altStackOffset + 8);
  for (const [index, name] of sigcontextRegisters.entries()) {
    const from = registerOffset[name];
    saved.registers.copy(bytes, contextOffset + index * 8, from, from + 8);
  }
  bytes.writeUInt16LE(saved.registers.readUInt16LE(registerOffset.cs), segmentsOffset);
  bytes.writeUInt16LE(saved.registers.readUInt16LE(registerOffset.ss), segmentsOffset + 6);
  pointer(fpAddress, fpStateOffset);
  saved.signalMask.copy(bytes, signalMaskOffset);
  state.copy(bytes, fpAddress - address);
  return { address, bytes, stackPointer: address };
}

/** With `struct _fpx_sw_bytes` in its place and the second magic number behind, without which the kernel would restore x87 and SSE alone. */
function stateForFrame(extendedState: Buffer): Buffer {
  const features = extendedState.readBigUInt64LE(featuresOffset);
  const hasTiles = (features & tileDataFeature) !== 0n;
  const size = hasTiles ? extendedState.length : Math.min(extendedState.length, sizeForFeatures(extendedState));
  const state = Buffer.alloc(size + 4);
  extendedState.copy(state, 0, 0, size);
  state.fill(0, softwareOffset, 512);
  state.writeUInt32LE(magic1, softwareOffset);
  state.writeUInt32LE(size + 4, softwareOffset + 4);
  state.writeBigUInt64LE(features, softwareOffset + 8);
  state.writeUInt32LE(size, softwareOffset + 16);
  state.writeUInt32LE(magic2, size);
  return state;
}

function sizeForFeatures({ length }: Buffer): number {
  return length > sizeWithoutTiles + 64 ? sizeWithoutTiles : length;
}
