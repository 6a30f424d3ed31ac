/**
 * What a linker made of a relocation: the forms that the field and the instruction around it may have taken, and the address that they give.
 *
 * psABI §4.4.1 for the formulas, §B.2 for the optimised GOT accesses (GOTPCRELX), and "ELF Handling For Thread-Local Storage" §5 for the TLS transitions.
 * All of them keep the length of the code.
 */
import type { BinaryImage } from "./binary-image.ts";
import type { Reference } from "./object-file.ts";

export const relocation = {
  none: 0,
  abs64: 1,
  pc32: 2,
  plt32: 4,
  gotPcRel: 9,
  abs32: 10,
  abs32Signed: 11,
  tlsGd: 19,
  tlsLd: 20,
  dtpOff32: 21,
  gotTpOff: 22,
  tpOff32: 23,
  pc64: 24,
  gotPcRelX: 41,
  rexGotPcRelX: 42,
} as const;

/** Bytes around a field that a linker may rewrite, from its offset. */
export interface Mask {
  readonly start: number;
  readonly end: number;
}

/** What the linked bytes say about a reference. */
export type Reading =
  /** The symbol's address (addend taken off). */
  | { readonly kind: "address"; readonly address: number }
  /** A GOT entry holds it. */
  | { readonly kind: "slot"; readonly address: number }
  /** Its offset from the thread pointer (negative). */
  | { readonly kind: "thread-offset"; readonly offset: number }
  /** A GOT entry holds its offset from the thread pointer, or its module and offset. */
  | { readonly kind: "thread-slot"; readonly address: number }
  /** Its offset in the thread-local block of the binary. */
  | { readonly kind: "block-offset"; readonly offset: number }
  /** The module's own block: nothing about a single symbol. */
  | { readonly kind: "nothing" };

export function maskOf({ type }: Reference): Mask | undefined {
  switch (type) {
    case relocation.none:
      return { start: 0, end: 0 };
    case relocation.abs64:
    case relocation.pc64:
      return { start: 0, end: 8 };
    case relocation.gotPcRelX:
      return { start: -2, end: 4 };
    case relocation.rexGotPcRelX:
    case relocation.gotTpOff:
      return { start: -3, end: 4 };
    case relocation.tlsGd:
      return { start: -4, end: 12 };
    case relocation.tlsLd:
      return { start: -3, end: 9 };
    case relocation.pc32:
    case relocation.plt32:
    case relocation.gotPcRel:
    case relocation.abs32:
    case relocation.abs32Signed:
    case relocation.dtpOff32:
    case relocation.tpOff32:
      return { start: 0, end: 4 };
    default:
      return undefined;
  }
}

export interface Place {
  readonly binary: BinaryImage;
  /** Where the section that holds the field lies in the binary. */
  readonly base: number;
  /** The section's bytes as assembled. */
  readonly assembled: Uint8Array;
}

/** Undefined where the linked bytes are in no form that a linker makes of this relocation. */
export function readLinkedField({ binary, base, assembled }: Place, reference: Reference): Reading | undefined {
  const mask = maskOf(reference);
  if (mask === undefined) return undefined;
  const start = reference.offset + mask.start;
  const linked = binary.bytesAt(base + start, mask.end - mask.start);
  if (linked === undefined || start < 0) return undefined;
  const before = Buffer.from(assembled.subarray(start, reference.offset + mask.end));
  const field = {
    after: Buffer.from(linked),
    before,
    at: -mask.start,
    place: base + reference.offset,
    reference,
    binary,
  };
  return read(field);
}

interface Field {
  readonly after: Buffer;
  readonly before: Buffer;
  /** Where the field begins in both. */
  readonly at: number;
  readonly place: number;
  readonly reference: Reference;
  readonly binary: BinaryImage;
}

function read(field: Field): Reading | undefined {
  const { after, at, place, reference } = field;
  const { addend } = reference;
  switch (reference.type) {
    case relocation.none:
      return { kind: "nothing" };
    case relocation.pc32:
    case relocation.plt32:
      return { kind: "address", address: after.readInt32LE(at) + place - addend };
    case relocation.pc64:
      return { kind: "address", address: Number(after.readBigInt64LE(at)) + place - addend };
    case relocation.abs32:
      return { kind: "address", address: after.readUInt32LE(at) - addend };
    case relocation.abs32Signed:
      return { kind: "address", address: after.readInt32LE(at) - addend };
    case relocation.abs64:
      return readPointer(field);
    case relocation.gotPcRel:
    case relocation.gotPcRelX:
    case relocation.rexGotPcRelX:
      return readGot(field);
    case relocation.gotTpOff:
      return readThreadGot(field);
    case relocation.tpOff32:
      return { kind: "thread-offset", offset: after.readInt32LE(at) - addend };
    case relocation.dtpOff32:
      return readBlockOffset(after.readInt32LE(at) - addend);
    case relocation.tlsGd:
      return readGeneralDynamic(field);
    case relocation.tlsLd:
      return { kind: "nothing" };
    default:
      return undefined;
  }
}

/** In a position-independent binary the dynamic linker fills it in. */
function readPointer({ after, at, place, reference, binary }: Field): Reading | undefined {
  const slot = binary.slots.get(place);
  if (slot === undefined) return { kind: "address", address: Number(after.readBigUInt64LE(at)) - reference.addend };
  return slot.kind === "address"
    ? { kind: "address", address: slot.address - reference.addend }
    : { kind: "slot", address: place };
}

function sameBut(one: Buffer, other: Buffer, end: number): boolean {
  return Buffer.compare(one.subarray(0, end), other.subarray(0, end)) === 0;
}

/** psABI §B.2; `mov` becomes `lea` or a move of the address itself, a call or jump becomes direct with a byte of padding. */
function readGot({ after, before, at, place, reference }: Field): Reading | undefined {
  const value = after.readInt32LE(at);
  if (sameBut(after, before, at)) return { kind: "slot", address: value + place - reference.addend };
  const opcode = before[at - 2];
  const modrm = before[at - 1] ?? 0;
  const now = after[at - 2];
  const register = (modrm >> 3) & 7;
  if (opcode === 0x8b) {
    if (now === 0x8d && after[at - 1] === modrm) return { kind: "address", address: value + place + 4 };
    if (now === 0xc7 && after[at - 1] === (0xc0 | register)) return { kind: "address", address: value };
  }
  if (opcode === 0xff && modrm === 0x15) {
    if (now === 0x67 && after[at - 1] === 0xe8) return { kind: "address", address: value + place + 4 };
    // lld and old versions of ld put the padding behind the call.
    if (now === 0xe8 && (after[at + 3] === 0x90 || after[at + 3] === 0x67))
      return { kind: "address", address: after.readInt32LE(at - 1) + place + 3 };
  }
  if (opcode === 0xff && modrm === 0x25 && now === 0xe9)
    return { kind: "address", address: after.readInt32LE(at - 1) + place + 3 };
  if (opcode === 0x85 && now === 0xf7 && after[at - 1] === (0xc0 | register))
    return { kind: "address", address: value };
  const arithmetic = ((opcode ?? 0) & 0xc7) === 0x03 && now === 0x81;
  if (arithmetic && after[at - 1] === (0xc0 | ((opcode ?? 0) & 0x38) | register))
    return { kind: "address", address: value };
  return undefined;
}

/** Initial exec, or relaxed to local exec (TLS §5, "x86-64 Linker Optimizations"). */
function readThreadGot({ after, before, at, place, reference }: Field): Reading | undefined {
  const value = after.readInt32LE(at);
  if (sameBut(after, before, at)) return { kind: "thread-slot", address: value + place - reference.addend };
  const now = after[at - 2];
  return now === 0xc7 || now === 0x81 || now === 0x8d ? { kind: "thread-offset", offset: value } : undefined;
}

/** Local dynamic, or relaxed to local exec with the access before it (TLS §5): offsets in a block are never negative, those from the thread pointer always are. */
function readBlockOffset(offset: number): Reading {
  return { kind: offset < 0 ? "thread-offset" : "block-offset", offset };
}

/** General dynamic, or relaxed to initial or local exec: `mov %fs:0,%rax` and then an addition or a `lea`. */
function readGeneralDynamic({ after, before, at, place, reference }: Field): Reading | undefined {
  if (sameBut(after, before, at))
    return { kind: "thread-slot", address: after.readInt32LE(at) + place - reference.addend };
  const threadPointer = Buffer.from([0x64, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0]);
  if (Buffer.compare(after.subarray(0, 9), threadPointer) !== 0) return undefined;
  if (after[9] === 0x48 && after[10] === 0x8d && after[11] === 0x80)
    return { kind: "thread-offset", offset: after.readInt32LE(12) };
  if (after[9] === 0x48 && after[10] === 0x03 && after[11] === 0x05)
    return { kind: "thread-slot", address: after.readInt32LE(12) + place - at + 16 };
  return undefined;
}
