/**
 * Finding one function where the assembler gave its jumps other lengths than they have in the object at hand.
 *
 * With a section for each function, a jump to a neighbour is always the long one; in the binary it may be short, and what stands behind it moves.
 * The function is followed instruction by instruction: jumps have to be the same but for their length, padding does not count, everything else has to be there byte for byte.
 * Candidates are the starts that the binary's unwind table names (LSB 5.0 core §10.6.2), so that nothing is matched in the middle of something else.
 */
import { segmentType } from "../../elf/constants.ts";
import { readSearchTable } from "../../elf/eh-frame/search-table.ts";
import { decode, type Instruction } from "../../x86/instructions.ts";
import type { BinaryImage } from "./binary-image.ts";
import { maskOf, type Reading, readLinkedField } from "./linked-fields.ts";
import type { ObjectSection, Reference } from "./object-file.ts";

/** A function at a place of the binary, with other lengths. */
export interface RelaxedPlace {
  readonly address: number;
  readonly sizeBytes: number;
  /** Where an instruction of the section stands; undefined inside of instructions. */
  placeOf(offset: number): number | undefined;
  /** What the linked bytes say of a reference of the section. */
  reading(reference: Reference): Reading | undefined;
}

const startsOf = new WeakMap<BinaryImage, readonly number[]>();

function functionStarts(binary: BinaryImage): readonly number[] {
  const known = startsOf.get(binary);
  if (known !== undefined) return known;
  const header = binary.elf.segments.find(({ type }) => type === segmentType.gnuEhFrame);
  const bytes = header && binary.bytesAt(header.address, header.fileSize);
  const starts = header === undefined || bytes === undefined ? [] : [...readSearchTable(bytes, header.address).starts];
  startsOf.set(binary, starts);
  return starts;
}

/** Every function of the binary that is the section's but for the lengths of jumps. */
export function relaxedPlaces(binary: BinaryImage, section: ObjectSection): RelaxedPlace[] {
  const code = decode(section.bytes, 0);
  const [first] = code;
  const last = code.at(-1);
  if (first === undefined || last === undefined || last.offset + last.length !== section.header.size) return [];
  const prefix = fixedPrefix(section, code);
  return functionStarts(binary).flatMap((address) => {
    if (!startsWith(binary, address, prefix)) return [];
    const place = new Alignment(binary, section, code).follow(address);
    return place === undefined ? [] : [place];
  });
}

const prefixBytes = 24;

/** The first bytes, up to what a linker or the assembler may have changed. */
function fixedPrefix(section: ObjectSection, code: readonly Instruction[]): Uint8Array {
  const branch = code.find(({ branch, kind }) => branch !== undefined || kind === "nop")?.offset ?? section.header.size;
  const masks = section.references.map((reference) => reference.offset + (maskOf(reference)?.start ?? 0));
  return section.bytes.subarray(0, Math.max(0, Math.min(prefixBytes, branch, ...masks)));
}

function startsWith(binary: BinaryImage, address: number, prefix: Uint8Array): boolean {
  const bytes = binary.bytesAt(address, prefix.length);
  return bytes !== undefined && Buffer.compare(bytes, prefix) === 0;
}

/** The longest instruction (Intel SDM volume 2, 2.3.11). */
const longestInstruction = 15;

class Alignment {
  readonly #binary: BinaryImage;
  readonly #section: ObjectSection;
  readonly #code: readonly Instruction[];
  readonly #places = new Map<number, number>();
  readonly #readings = new Map<Reference, Reading>();
  readonly #jumps: { readonly to: number; readonly address: number }[] = [];
  #next = 0;

  constructor(binary: BinaryImage, section: ObjectSection, code: readonly Instruction[]) {
    this.#binary = binary;
    this.#section = section;
    this.#code = code;
  }

  follow(start: number): RelaxedPlace | undefined {
    let at = start;
    for (let index = 0; index < this.#code.length; ) {
      const instruction = this.#code[index] as Instruction;
      at = this.#behindPadding(at);
      this.#places.set(instruction.offset, at);
      if (instruction.kind === "nop") {
        index++;
        continue;
      }
      const chunk = this.#chunk(index);
      const length = this.#isJump(instruction, chunk) ? this.#jump(instruction, chunk, at) : this.#same(chunk, at);
      if (length === undefined) return undefined;
      at += length;
      index += chunk.count;
    }
    const end = this.#section.header.size;
    this.#places.set(end, at);
    if (this.#jumps.some(({ to, address }) => this.#places.get(to) !== address)) return undefined;
    return {
      address: start,
      sizeBytes: at - start,
      placeOf: (offset) => this.#places.get(offset),
      reading: (reference) => this.#readings.get(reference),
    };
  }

  /** Nops align loops, and how many it takes depends on what stands before them. */
  #behindPadding(address: number): number {
    for (let at = address; ; ) {
      const [first = 0, second = 0] = this.#binary.bytesAt(at, 2) ?? [];
      if (first !== 0x90 && first !== 0x66 && first !== 0x2e && !(first === 0x0f && second === 0x1f)) return at;
      const found = this.#decodeAt(at);
      if (found?.kind !== "nop") return at;
      at += found.length;
    }
  }

  #decodeAt(address: number): Instruction | undefined {
    for (let size = longestInstruction; size > 0; size--) {
      const bytes = this.#binary.bytesAt(address, size);
      if (bytes !== undefined) return decode(bytes, address, 1)[0];
    }
    return undefined;
  }

  /** An instruction with those behind it that a linker rewrites together with it. */
  #chunk(index: number): Chunk {
    const start = (this.#code[index] as Instruction).offset;
    const references: Reference[] = [];
    let count = 1;
    let end = start + (this.#code[index] as Instruction).length;
    for (;;) {
      const reference = this.#section.references[this.#next];
      const reach = reference === undefined ? start : reference.offset + (maskOf(reference)?.start ?? 0);
      if (reference === undefined || reach >= end) return { start, end, count, references };
      this.#next++;
      references.push(reference);
      const masked = reference.offset + (maskOf(reference)?.end ?? 0);
      for (; end < masked && index + count < this.#code.length; count++)
        end += (this.#code[index + count] as Instruction).length;
    }
  }

  /** Jumps may have another length; so may calls within the section have another distance. */
  #isJump({ branch, flow, ripRelative }: Instruction, { count, references }: Chunk): boolean {
    if (count > 1) return false;
    const jumps = flow === "jump" || flow === "conditional-jump";
    if (branch !== undefined) return jumps || references.length === 0;
    return ripRelative !== undefined && references.length === 0;
  }

  #jump(instruction: Instruction, { start, references }: Chunk, at: number): number | undefined {
    const found = this.#decodeAt(at);
    if (found === undefined || found.flow !== instruction.flow) return undefined;
    const linked = this.#binary.bytesAt(at, found.length) as Uint8Array;
    const assembled = this.#section.bytes.subarray(start, start + instruction.length);
    if (instruction.branch === undefined || found.branch === undefined) {
      const field = instruction.ripRelative?.field;
      if (field === undefined || found.ripRelative === undefined || found.length !== instruction.length)
        return undefined;
      if (!sameOutside(assembled, linked, field.offset, field.offset + field.sizeBytes)) return undefined;
      this.#jumps.push({ to: instruction.ripRelative?.address ?? 0, address: found.ripRelative.address });
      return found.length;
    }
    if (condition(assembled) !== condition(linked)) return undefined;
    const [reference] = references;
    const { target } = found.branch;
    if (reference === undefined) this.#jumps.push({ to: instruction.branch.target, address: target });
    // The addend counts from the field, the target from behind it: 4 bytes (psABI §4.4.1, S + A - P).
    else this.#readings.set(reference, { kind: "address", address: target - 4 - reference.addend });
    return found.length;
  }

  #same({ start, end, references }: Chunk, at: number): number | undefined {
    const linked = this.#binary.bytesAt(at, end - start);
    if (linked === undefined) return undefined;
    const compared = new Uint8Array(end - start).fill(1);
    for (const reference of references) {
      const mask = maskOf(reference);
      const place = { binary: this.#binary, base: at - start, assembled: this.#section.bytes };
      const reading = readLinkedField(place, reference);
      if (mask === undefined || reading === undefined) return undefined;
      compared.fill(0, Math.max(0, reference.offset + mask.start - start), reference.offset + mask.end - start);
      this.#readings.set(reference, reading);
    }
    for (let index = 0; index < compared.length; index++)
      if (compared[index] === 1 && linked[index] !== this.#section.bytes[start + index]) return undefined;
    return end - start;
  }
}

interface Chunk {
  readonly start: number;
  readonly end: number;
  /** Of instructions. */
  readonly count: number;
  readonly references: readonly Reference[];
}

function sameOutside(one: Uint8Array, other: Uint8Array, start: number, end: number): boolean {
  return one.every((byte, index) => (index >= start && index < end) || byte === other[index]);
}

/** What a relative jump or call waits for, the same for its short and its long form (Intel SDM volume 2, Jcc, JMP, CALL). */
function condition(bytes: Uint8Array): string {
  let at = 0;
  // bnd, and the hints for conditional jumps.
  while (bytes[at] === 0xf2 || bytes[at] === 0x2e || bytes[at] === 0x3e) at++;
  const prefixes = Buffer.from(bytes.subarray(0, at)).toString("hex");
  const opcode = bytes[at] ?? 0;
  const second = bytes[at + 1] ?? 0;
  if (opcode === 0xeb || opcode === 0xe9) return `${prefixes} jump`;
  if ((opcode & 0xf0) === 0x70) return `${prefixes} ${opcode & 0x0f}`;
  if (opcode === 0x0f && (second & 0xf0) === 0x80) return `${prefixes} ${second & 0x0f}`;
  return `${prefixes} ${opcode.toString(16)}`;
}
