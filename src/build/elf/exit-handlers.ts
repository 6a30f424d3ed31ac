/**
 * What a fix has registered to run at the end of the process: destructors of static objects that it adds (Itanium C++ ABI §3.3.6), and new functions that it gives to atexit. They must be run and forgotten before the hotpatch goes.
 *
 * Registrations go through functions of the hotpatch, which tell what is new by its address and file it under a handle of their own; another function ends all that was filed under it, as dlclose does for a library.
 */
import { sectionFlag, sectionType, symbolType } from "../../elf/constants.ts";
import { relocation } from "./linked-fields.ts";
import type { NewRelocation, NewSection, NewSymbol } from "./object-writer.ts";

export const registration = "__cxa_atexit";
/** It lies in each binary that uses it (libc_nonshared.a) and files under that binary's handle. */
export const plainRegistration = "atexit";
export const finalization = "__cxa_finalize";
/** What crtbegin.o defines for each binary. */
export const binaryHandle = "__dso_handle";

export interface ExitHandlers {
  readonly sections: readonly NewSection[];
  readonly symbols: readonly NewSymbol[];
  /** To be called in the place of `__cxa_atexit`. */
  readonly register: NewSymbol;
  /** To be called in the place of `atexit`, where that is called. */
  readonly registerPlain: NewSymbol | undefined;
  /** What registrations are filed under. */
  readonly handle: NewSymbol;
  /** `int (void)`: runs what was registered, newest first, and forgets it. */
  readonly finalize: NewSymbol;
}

/** What the hotpatch adds. */
interface Added {
  readonly variables: readonly NewSymbol[];
  readonly functions: readonly NewSymbol[];
}

/** What the process has under these names. */
interface Called {
  readonly register: NewSymbol;
  readonly registerPlain: NewSymbol | undefined;
  readonly finalize: NewSymbol;
}

export function exitHandlers(added: Added, called: Called): ExitHandlers {
  const handle = symbolOf(
    "rebootless_handle",
    section(".rodata.rebootless.handle", new Code().bytes([0, 0, 0, 0, 0, 0, 0, 0]), 0),
    symbolType.object,
  );
  const coded = (name: string, code: Code): NewSymbol =>
    symbolOf(`rebootless_${name}`, section(`.text.rebootless.${name}`, code, sectionFlag.execute), symbolType.function);
  const register = coded("register", registerObject(added, handle, called.register));
  const registerPlain =
    called.registerPlain && coded("atexit", registerFunction(added, handle, called.register, called.registerPlain));
  const finalize = coded("finalize", finalizeAll(handle, called.finalize));
  const symbols = [handle, register, ...(registerPlain === undefined ? [] : [registerPlain]), finalize];
  return {
    sections: symbols.flatMap((symbol) => symbol.section ?? []),
    symbols,
    register,
    registerPlain,
    handle,
    finalize,
  };
}

/** `int (void (*)(void *), void *object, void *handle)`, of which it changes the handle alone. */
function registerObject({ variables, functions }: Added, handle: NewSymbol, register: NewSymbol): Code {
  const code = new Code().bytes(endBranch);
  const jumps = [
    ...variables.map((variable) => jumpWhereIn(code, "object", variable)),
    ...functions.map((one) => jumpWhereIn(code, "function", one)),
  ];
  code.bytes([0xe9]).relative(register, relocation.plt32); // jmp __cxa_atexit
  for (const jump of jumps) code.land(jump);
  code.bytes([0x48, 0x8d, 0x15]).relative(handle, relocation.pc32); // lea handle(%rip), %rdx
  return code.bytes([0xe9]).relative(register, relocation.plt32); // jmp __cxa_atexit
}

/** `int (void (*)(void))`. Where the binary has no atexit it is a program, whose functions are filed under no handle. */
function registerFunction(
  { functions }: Added,
  handle: NewSymbol,
  register: NewSymbol,
  registerPlain: NewSymbol,
): Code {
  const code = new Code().bytes(endBranch);
  const jumps = functions.map((one) => jumpWhereIn(code, "function", one));
  code.bytes([0x48, 0x8b, 0x05]).relative(registerPlain, relocation.gotPcRel); // mov atexit@GOTPCREL(%rip), %rax
  code.bytes([0x48, 0x85, 0xc0, 0x0f, 0x84]).word(0); // test %rax, %rax; jz missing
  const missing = code.length;
  code.bytes([0x3e, 0xff, 0xe0]); // notrack jmp *%rax
  code.land(missing);
  code.bytes([0x31, 0xf6, 0x31, 0xd2]); // xor %esi, %esi; xor %edx, %edx
  code.bytes([0xe9]).relative(register, relocation.plt32); // jmp __cxa_atexit
  for (const jump of jumps) code.land(jump);
  code.bytes([0x31, 0xf6]); // xor %esi, %esi
  code.bytes([0x48, 0x8d, 0x15]).relative(handle, relocation.pc32); // lea handle(%rip), %rdx
  return code.bytes([0xe9]).relative(register, relocation.plt32); // jmp __cxa_atexit
}

/** Compares the first (`function`) or second argument with what a symbol spans; answers where the jump that is taken inside it ends. */
function jumpWhereIn(code: Code, argument: "function" | "object", symbol: NewSymbol): number {
  code.bytes([0x48, 0x8d, 0x05]).relative(symbol, relocation.pc32); // lea symbol(%rip), %rax
  code.bytes(argument === "function" ? [0x48, 0x89, 0xf9] : [0x48, 0x89, 0xf1]); // mov %rdi or %rsi, %rcx
  code.bytes([0x48, 0x29, 0xc1]); // sub %rax, %rcx
  code.bytes([0x48, 0x81, 0xf9]).word(symbol.size); // cmp $size, %rcx
  code.bytes([0x0f, 0x82]).word(0); // jb own
  return code.length;
}

function finalizeAll(handle: NewSymbol, finalize: NewSymbol): Code {
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

  /** Lets a jump whose field ends at `jump` lead to here. */
  land(jump: number): void {
    const distance = this.length - jump;
    for (const [index, shift] of [0, 8, 16, 24].entries()) this.#bytes[jump - 4 + index] = (distance >>> shift) & 0xff;
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
