/**
 * Entries of .eh_frame: CIEs and FDEs (DWARF 5 §6.4.1 with the differences of LSB 5.0 core §10.6.1).
 *
 * Works on the section of a file and on the same bytes read from memory; addresses are those that `address` belongs to.
 */
import { Cursor } from "../../binary/cursor.ts";
import { type PointerBases, pointerOmitted, readPointer } from "./pointer-encoding.ts";
import { badUnwindInformation } from "./unwind-error.ts";

/** Bytes of a section .eh_frame and the address of the first of them. */
export interface FrameSection {
  readonly bytes: Uint8Array;
  readonly address: number;
  /** Bases of encodings that linkers of x86-64 do not use; without them such a pointer is an error. */
  readonly textBase?: number;
  readonly dataBase?: number;
}

/** Common information entry: what several functions' entries share. */
export interface Cie {
  readonly offset: number;
  readonly version: number;
  readonly augmentation: string;
  readonly codeAlignment: number;
  readonly dataAlignment: number;
  readonly returnAddressRegister: number;
  readonly pointerEncoding: number;
  readonly lsdaEncoding: number;
  /** Of the personality routine, or of the slot that has its address (`personalityEncoding` tells). */
  readonly personality: number | undefined;
  readonly personalityEncoding: number;
  /** Where in the section the pointer to the personality stands, for relocations. */
  readonly personalityOffset: number | undefined;
  /** Whether frames of this kind were entered by a signal rather than a call (augmentation S). */
  readonly signalFrame: boolean;
  readonly instructions: Uint8Array;
  readonly instructionsAddress: number;
}

/** Frame description entry: one function, or a part of one. */
export interface Fde {
  readonly offset: number;
  readonly cie: Cie;
  /** First address, and first address behind; in a relocatable file before relocation. */
  readonly start: number;
  readonly end: number;
  /** Where in the section the start stands, for relocations. */
  readonly startOffset: number;
  /** Language-specific data: the exception table of the function. */
  readonly lsda: number | undefined;
  readonly lsdaOffset: number | undefined;
  readonly instructions: Uint8Array;
  readonly instructionsAddress: number;
}

interface EntryFrame {
  readonly idOffset: number;
  readonly id: number;
  readonly end: number;
}

/** Undefined for the zero that ends a section. */
function readEntryFrame(cursor: Cursor): EntryFrame | undefined {
  let length = cursor.u32();
  if (length === 0) return undefined;
  if (length === 0xffffffff) length = cursor.u64();
  const idOffset = cursor.offset;
  if (length < 4 || length > cursor.remaining) cursor.fail("elf/unwind-information", `has an entry of ${length} bytes`);
  return { idOffset, id: cursor.u32(), end: idOffset + length };
}

/** Reads entries of one section; CIEs are kept, since many FDEs share one. */
export class FrameReader {
  readonly section: FrameSection;
  readonly #cies = new Map<number, Cie>();

  constructor(section: FrameSection) {
    this.section = section;
  }

  /** All FDEs in the order of the section. A zero length that ends one object's part of a linked section is passed over. */
  *fdes(): Generator<Fde> {
    for (const offset of this.fdeOffsets()) yield this.fde(offset);
  }

  *fdeOffsets(): Generator<number> {
    const cursor = new Cursor(this.section.bytes, ".eh_frame");
    while (cursor.remaining >= 4) {
      const offset = cursor.offset;
      const frame = readEntryFrame(cursor);
      if (frame === undefined) continue;
      if (frame.id !== 0) yield offset;
      cursor.seek(frame.end);
    }
  }

  /** The FDE at this offset. Throws `elf/unwind-information` or `binary/…`. */
  fde(offset: number): Fde {
    const header = new Cursor(this.section.bytes, ".eh_frame", offset);
    const frame = readEntryFrame(header);
    if (frame === undefined || frame.id === 0) badUnwindInformation(`there is no FDE at offset ${offset} of .eh_frame`);
    const cie = this.cie(frame.idOffset - frame.id);
    const cursor = new Cursor(this.section.bytes, "an FDE", header.offset, frame.end);
    const startOffset = cursor.offset;
    const start = readPointer(cursor, cie.pointerEncoding, this.#bases());
    if (start === undefined) badUnwindInformation(`the FDE at offset ${offset} has no start`);
    const size = readPointer(cursor, cie.pointerEncoding & 0x0f, this.#bases()) ?? 0;
    let lsda: number | undefined;
    let lsdaOffset: number | undefined;
    if (cie.augmentation.startsWith("z")) {
      const augmentationEnd = cursor.uleb128() + cursor.offset;
      if (cie.lsdaEncoding !== pointerOmitted) {
        lsdaOffset = cursor.offset;
        lsda = this.#optionalPointer(cursor, cie.lsdaEncoding, start);
      }
      cursor.seek(augmentationEnd);
    }
    const instructionsAddress = this.section.address + cursor.offset;
    const instructions = cursor.take(cursor.remaining);
    const end = start + size;
    if (!(size >= 0)) badUnwindInformation(`the FDE at offset ${offset} has a negative size`);
    return { offset, cie, start, end, startOffset, lsda, lsdaOffset, instructions, instructionsAddress };
  }

  /** A pointer whose stored value 0 means that there is none (LSB §10.6.1.1, as libgcc reads it). */
  #optionalPointer(cursor: Cursor, encoding: number, start: number): number | undefined {
    const at = cursor.offset;
    const stored = readPointer(cursor, encoding & 0x0f, this.#bases());
    if (stored === 0) return undefined;
    cursor.seek(at);
    return readPointer(cursor, encoding, { ...this.#bases(), function: start });
  }

  cie(offset: number): Cie {
    const known = this.#cies.get(offset);
    if (known !== undefined) return known;
    const header = new Cursor(this.section.bytes, ".eh_frame", offset);
    const frame = readEntryFrame(header);
    if (frame === undefined || frame.id !== 0) badUnwindInformation(`there is no CIE at offset ${offset} of .eh_frame`);
    const cie = this.#readCie(offset, new Cursor(this.section.bytes, "a CIE", header.offset, frame.end));
    this.#cies.set(offset, cie);
    return cie;
  }

  #readCie(offset: number, cursor: Cursor): Cie {
    const version = cursor.u8();
    if (version !== 1 && version !== 3) badUnwindInformation(`the CIE at offset ${offset} has version ${version}`);
    const augmentation = cursor.cstring(16);
    const codeAlignment = cursor.uleb128();
    const dataAlignment = cursor.sleb128();
    const returnAddressRegister = version === 1 ? cursor.u8() : cursor.uleb128();
    const fields = this.#readAugmentation(augmentation, cursor, offset);
    const instructionsAddress = this.section.address + cursor.offset;
    const instructions = cursor.take(cursor.remaining);
    const alignments = { codeAlignment, dataAlignment };
    const program = { instructions, instructionsAddress };
    return { offset, version, augmentation, ...alignments, returnAddressRegister, ...fields, ...program };
  }

  /** LSB 5.0 core §10.6.1.1.1; B is only a mark on other machines and carries nothing. */
  #readAugmentation(augmentation: string, cursor: Cursor, offset: number) {
    let lsdaEncoding = pointerOmitted;
    let pointerEncoding = 0;
    let personality: number | undefined;
    let personalityEncoding = pointerOmitted;
    let personalityOffset: number | undefined;
    let signalFrame = false;
    if (augmentation !== "" && !augmentation.startsWith("z")) {
      badUnwindInformation(`the CIE at offset ${offset} has the unknown augmentation "${augmentation}"`);
    }
    const end = augmentation === "" ? undefined : cursor.uleb128() + cursor.offset;
    for (const letter of augmentation.slice(1)) {
      if (letter === "L") lsdaEncoding = cursor.u8();
      else if (letter === "R") pointerEncoding = cursor.u8();
      else if (letter === "S") signalFrame = true;
      else if (letter === "P") {
        personalityEncoding = cursor.u8();
        personalityOffset = cursor.offset;
        personality = readPointer(cursor, personalityEncoding, this.#bases());
      } else if (letter !== "B") {
        badUnwindInformation(`the CIE at offset ${offset} has the unknown augmentation "${augmentation}"`);
      }
    }
    if (end !== undefined) cursor.seek(end);
    return { lsdaEncoding, pointerEncoding, personality, personalityEncoding, personalityOffset, signalFrame };
  }

  #bases(): PointerBases {
    const { address, textBase, dataBase } = this.section;
    return {
      section: address,
      ...(textBase === undefined ? {} : { text: textBase }),
      ...(dataBase === undefined ? {} : { data: dataBase }),
    };
  }
}
