/**
 * The manifest's section for native programs: which functions of which ELF binaries are replaced, and what their replacements refer to.
 *
 * Addresses are virtual addresses of the binary as linked (st_value of the gABI), so that they hold wherever it is loaded.
 * Closed and bounded like the rest of the manifest; manifest-check.ts checks besides that names are unique and that references arrive.
 */
import { type Static, Type } from "typebox";
import { closed, PayloadName, Sentence, Sha256 } from "./manifest-fields.ts";

/** User space of x86-64 with four levels of page tables ends below 2^47. */
const Address = Type.Integer({ minimum: 0, maximum: 0x7fff_ffff_ffff });
/** Mangled names of C++ are long. */
const SymbolName = Type.String({ minLength: 1, maxLength: 4096 });
const BinaryName = Type.String({ minLength: 1, maxLength: 255 });

/** A function of the binary, and what takes its place. */
export const ElfFunction = Type.Object(
  {
    name: SymbolName,
    address: Address,
    sizeBytes: Type.Integer({ minimum: 1, maximum: 0x1000_0000 }),
    /** Of its `sizeBytes` bytes in the file of the binary. */
    sha256: Sha256,
    /**
     * The symbol of `object` that is the new function.
     * Absent for a part that only its function jumps into (`.cold`): no thread may be inside it at the switch, and its entry stays as it is.
     */
    replacement: Type.Optional(SymbolName),
    /** `quiescent`: switched only while no thread is inside the old one; `immediate`: whenever. */
    policy: Type.Union([Type.Literal("quiescent"), Type.Literal("immediate")]),
    /** Why it is replaced, for people: a clause. */
    reason: Type.Optional(Sentence),
    /** Its source, relative to the tree that was built. */
    source: Type.Optional(Type.String({ minLength: 1, maxLength: 4096 })),
  },
  closed,
);
export type ElfFunction = Static<typeof ElfFunction>;

/** Where an undefined symbol of the object lies in the running process. */
export const ElfSymbol = Type.Union([
  /** A place in this binary, found by the match. */
  Type.Object({ kind: Type.Literal("address"), name: SymbolName, address: Address }, closed),
  /** A place in another binary of this hotpatch, by its `name`. */
  Type.Object({ kind: Type.Literal("binary"), name: SymbolName, binary: BinaryName, address: Address }, closed),
  /** Looked up as the dynamic linker would, in the scope of this binary; a thread-local symbol of another library as well. */
  Type.Object(
    {
      kind: Type.Literal("import"),
      name: SymbolName,
      /** The name to look up, where it is not `name`. */
      symbol: Type.Optional(SymbolName),
      version: Type.Optional(Type.String({ minLength: 1, maxLength: 255 })),
      /** The soname of the library that must provide it. */
      library: Type.Optional(BinaryName),
      /** A weak reference: zero when nobody defines it. */
      weak: Type.Optional(Type.Literal(true)),
    },
    closed,
  ),
  /** A thread-local variable of this binary: `offset` bytes into its initialisation image (PT_TLS). */
  Type.Object({ kind: Type.Literal("tls"), name: SymbolName, offset: Address }, closed),
]);
export type ElfSymbol = Static<typeof ElfSymbol>;

export const ElfBinary = Type.Object(
  {
    /** For people, and for references from other binaries of this hotpatch; such as `libexpat.so.1`. */
    name: BinaryName,
    /** The descriptor of NT_GNU_BUILD_ID, in hexadecimal. */
    buildId: Type.String({ pattern: "^([0-9a-f]{2}){4,64}$" }),
    type: Type.Union([Type.Literal("executable"), Type.Literal("library")]),
    /** The payload that is the ELF relocatable file (ET_REL, x86-64) with the changed and the new sections. */
    object: PayloadName,
    /** None where a hook does all that there is to do. */
    functions: Type.Array(ElfFunction, { maxItems: 10_000 }),
    /** Every undefined symbol of `object`, once. */
    symbols: Type.Array(ElfSymbol, { maxItems: 50_000 }),
  },
  closed,
);
export type ElfBinary = Static<typeof ElfBinary>;

/** A function of the author's, `int hook(void)` in the object of a binary; it runs in the target, and anything but 0 refuses the change or takes it back. */
export const ElfHook = Type.Object({ binary: BinaryName, symbol: SymbolName }, closed);
/** In the order in which they run. */
const ElfHooks = Type.Array(ElfHook, { minItems: 1, maxItems: 64 });
export type ElfHook = Static<typeof ElfHook>;

export const ElfAction = Type.Union([
  /** Sent to the process, such as `SIGHUP`. */
  Type.Object({ kind: Type.Literal("signal"), signal: Type.String({ pattern: "^SIG[A-Z0-9]{1,12}$" }) }, closed),
  /** Run by the person who applies, after a look; never run unasked. */
  Type.Object(
    {
      kind: Type.Literal("command"),
      command: Type.Array(Type.String({ minLength: 1, maxLength: 4096 }), { minItems: 1, maxItems: 256 }),
    },
    closed,
  ),
  Type.Object({ kind: Type.Literal("note"), text: Sentence }, closed),
]);
export type ElfAction = Static<typeof ElfAction>;

export const ElfChange = Type.Object(
  {
    binaries: Type.Array(ElfBinary, { minItems: 1, maxItems: 64 }),
    hooks: Type.Object(
      {
        beforeApply: Type.Optional(ElfHooks),
        afterApply: Type.Optional(ElfHooks),
        beforeRevert: Type.Optional(ElfHooks),
        afterRevert: Type.Optional(ElfHooks),
        /** Whenever patch memory is about to go, also where the change never took effect. */
        release: Type.Optional(ElfHooks),
      },
      closed,
    ),
    /** What has to be done once the code is in place. */
    afterApply: Type.Array(ElfAction, { maxItems: 64 }),
    /** What needs more than code: a fix at initialisation, data that was read at start, a loop that never ends. */
    notices: Type.Array(Sentence, { maxItems: 1000 }),
  },
  closed,
);
export type ElfChange = Static<typeof ElfChange>;
