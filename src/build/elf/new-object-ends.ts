/**
 * The ends of static objects that a fix adds (Itanium C++ ABI §3.3.6): their destructors are registered when they are made, and must be run and forgotten before the hotpatch goes.
 *
 * Registrations go through a function of the hotpatch, which tells new objects by their addresses and files them under a handle of its own; another function ends all that was filed under it, as dlclose does for a library.
 */
import { sectionFlag, sectionType, symbolType } from "../../elf/constants.ts";
import { relocation } from "./linked-fields.ts";
import type { NewRelocation, NewSection, NewSymbol } from "./object-writer.ts";

export const registration = "__cxa_atexit";
export const finalization = "__cxa_finalize";

export interface ObjectEnds {
  readonly sections: readonly NewSection[];
  readonly symbols: readonly NewSymbol[];
  /** To be called in the place of `__cxa_atexit`. */
  readonly register: NewSymbol;
  /** `int (void)`: runs the destructors, newest first, and forgets them. */
  readonly finalize: NewSymbol;
}

interface Called {
  /** What the process has under these names. */
  readonly register: NewSymbol;
  readonly finalize: NewSymbol;
}

/** `objects`: the variables that the hotpatch adds. */
export function objectEnds(objects: readonly NewSymbol[], called: Called): ObjectEnds {
  const handle = section(".rodata.rebootless.handle", new Code().bytes([0, 0, 0, 0, 0, 0, 0, 0]), 0);
  const handleSymbol = symbolOf("rebootless_handle", handle, symbolType.object);
  const registerCode = section(
    ".text.rebootless.register",
    registerObject(objects, handleSymbol, called.register),
    sectionFlag.execute,
  );
  const finalizeCode = section(
    ".text.rebootless.finalize",
    finalizeObjects(handleSymbol, called.finalize),
    sectionFlag.execute,
  );
  const register = symbolOf("rebootless_register", registerCode, symbolType.function);
  const finalize = symbolOf("rebootless_finalize", finalizeCode, symbolType.function);
  return {
    sections: [handle, registerCode, finalizeCode],
    symbols: [handleSymbol, register, finalize],
    register,
    finalize,
  };
}

/** `int (void (*)(void *), void *object, void *handle)`, of which it changes the handle alone. */
function registerObject(objects: readonly NewSymbol[], handle: NewSymbol, register: NewSymbol): Code {
  const code = new Code().bytes(endBranch);
  const jumps: number[] = [];
  for (const object of objects) {
    code.bytes([0x48, 0x8d, 0x05]).relative(object, relocation.pc32); // lea object(%rip), %rax
    code.bytes([0x48, 0x89, 0xf1, 0x48, 0x29, 0xc1]); // mov %rsi, %rcx; sub %rax, %rcx
    code.bytes([0x48, 0x81, 0xf9]).word(object.size); // cmp $size, %rcx
    code.bytes([0x0f, 0x82]).word(0); // jb own
    jumps.push(code.length);
  }
  code.bytes([0xe9]).relative(register, relocation.plt32); // jmp __cxa_atexit
  for (const jump of jumps) code.patch(jump - 4, code.length - jump);
  code.bytes([0x48, 0x8d, 0x15]).relative(handle, relocation.pc32); // lea handle(%rip), %rdx
  return code.bytes([0xe9]).relative(register, relocation.plt32); // jmp __cxa_atexit
}

function finalizeObjects(handle: NewSymbol, finalize: NewSymbol): Code {
  return new Code()
    .bytes(endBranch)
    .bytes([0x48, 0x83, 0xec, 0x08]) // sub $8, %rsp
    .bytes([0x48, 0x8d, 0x3d])
    .relative(handle, relocation.pc32) // lea handle(%rip), %rdi
    .bytes([0xe8])
    .relative(finalize, relocation.plt32) // call __cxa_finalize
    .bytes([0x31, 0xc0, 0x48, 0x83, 0xc4, 0x08, 0xc3]); // xor %eax, %eax; add $8, %rsp; ret
}

/** endbr64 */
const endBranch = [0xf3, 0x0f, 0x1e, 0xfa];

class Code {
  readonly relocations: NewRelocation[] = [];
  readonly #bytes: number[] = [];

  get length(): number {
    return this.#bytes.length;
  }

  bytes(values: readonly number[]): this {
    this.#bytes.push(...values);
    return this;
  }

  word(value: number): this {
    return this.bytes([0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff));
  }

  /** A field of 32 bits from its own end. */
  relative(symbol: NewSymbol, type: number): this {
    this.relocations.push({ offset: this.length, type, addend: -4, symbol });
    return this.word(0);
  }

  patch(at: number, value: number): void {
    for (const [index, shift] of [0, 8, 16, 24].entries()) this.#bytes[at + index] = (value >>> shift) & 0xff;
  }

  finish(): Uint8Array {
    return Uint8Array.from(this.#bytes);
  }
}

function section(name: string, code: Code, flags: number): NewSection {
  const bytes = code.finish();
  return {
    name,
    type: sectionType.progbits,
    flags: sectionFlag.alloc | flags,
    align: 16,
    bytes,
    size: bytes.length,
    relocations: code.relocations,
  };
}

function symbolOf(name: string, inSection: NewSection, type: number): NewSymbol {
  return { name, section: inSection, value: 0, size: inSection.size, type };
}
