/** Looking for code whose relocated fields may hold anything. */
import { decode } from "../../x86/instructions.ts";
import type { BinaryImage } from "./binary-image.ts";
import { maskOf } from "./linked-fields.ts";
import type { ObjectSection } from "./object-file.ts";

export interface MaskedBytes {
  readonly bytes: Buffer;
  /** 1 where the byte must be the same. */
  readonly compared: Uint8Array;
}

/** More places than this are no help: nothing could tell them apart. */
const maxCandidates = 2000;

export function maskedBytes(section: ObjectSection, start: number, end: number): MaskedBytes {
  const compared = new Uint8Array(end - start).fill(1);
  for (const reference of section.references) {
    const mask = maskOf(reference);
    if (mask === undefined) continue;
    const from = Math.max(0, reference.offset + mask.start - start);
    const to = Math.min(end - start, reference.offset + mask.end - start);
    if (from < to) compared.fill(0, from, to);
  }
  return { bytes: Buffer.from(section.bytes.subarray(start, end)), compared };
}

/** Every address in the binary's code where the bytes stand, in ascending order. */
export function codeCandidates(binary: BinaryImage, { bytes, compared }: MaskedBytes, align: number): number[] {
  const anchor = longestRun(compared);
  if (anchor.length < 4) return [];
  const wanted = bytes.subarray(anchor.start, anchor.start + anchor.length);
  const found: number[] = [];
  for (const segment of binary.code) {
    const code = Buffer.from(binary.elf.bytes.buffer, binary.elf.bytes.byteOffset + segment.offset, segment.fileSize);
    for (let at = code.indexOf(wanted); at >= 0; at = code.indexOf(wanted, at + 1)) {
      const start = at - anchor.start;
      const aligned = (segment.address + start) % Math.max(align, 1) === 0;
      if (start < 0 || start + bytes.length > code.length || !aligned || !sameAt(code, start, bytes, compared))
        continue;
      found.push(segment.address + start);
      if (found.length > maxCandidates) return [];
    }
  }
  return found;
}

function sameAt(code: Buffer, start: number, bytes: Buffer, compared: Uint8Array): boolean {
  for (let index = 0; index < bytes.length; index++)
    if (compared[index] === 1 && code[start + index] !== bytes[index]) return false;
  return true;
}

function longestRun(compared: Uint8Array): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  for (let index = 0; index <= compared.length; index++) {
    if (compared[index] === 1) continue;
    if (index - start > best.length) best = { start, length: index - start };
    start = index + 1;
  }
  return best;
}

/** As far as the start of a program of the GNU C library goes before it calls __libc_start_main. */
const startBytes = 64;

/**
 * Where `main` is: what the program's start loads into %rdi, the first argument of __libc_start_main (psABI §3.2.3).
 *
 * Undefined for libraries, and for starts that do it in another way.
 */
export function mainAddress(binary: BinaryImage): number | undefined {
  const entry = binary.elf.header.e_entry;
  const bytes = entry === 0 ? undefined : binary.bytesAt(entry, startBytes);
  if (bytes === undefined) return undefined;
  for (const { offset, length, flow, ripRelative, immediates } of decode(bytes, entry)) {
    if (flow === "call" || flow === "indirect-call") return undefined;
    const opcode = Buffer.from(bytes.subarray(offset, offset + 3)).toString("hex");
    if (opcode === "488d3d" && ripRelative !== undefined) return ripRelative.address;
    if (opcode === "48c7c7" && immediates[0] !== undefined)
      return Buffer.from(bytes.subarray(offset, offset + length)).readInt32LE(immediates[0].offset);
  }
  return undefined;
}
