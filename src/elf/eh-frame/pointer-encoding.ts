/** Pointers as .eh_frame, .eh_frame_hdr and .gcc_except_table encode them: a format and a base (LSB 5.0 core §10.5.1). */
import type { Cursor } from "../../binary/cursor.ts";
import { badUnwindInformation } from "./unwind-error.ts";

export const pointerOmitted = 0xff;
/** The value is the address of the pointer, not the pointer. */
export const pointerIndirect = 0x80;

export interface PointerBases {
  /** The address of byte 0 of the cursor's bytes. */
  readonly section: number;
  /** Base of DW_EH_PE_textrel, if known. */
  readonly text?: number;
  /** Base of DW_EH_PE_datarel: in .eh_frame_hdr its own start. */
  readonly data?: number;
  /** Base of DW_EH_PE_funcrel. */
  readonly function?: number;
}

/**
 * Reads a pointer; undefined for DW_EH_PE_omit. An indirect pointer's slot is not followed.
 *
 * Throws `elf/unwind-information` for an unknown encoding or an unknown base, and `binary/…`.
 */
export function readPointer(cursor: Cursor, encoding: number, bases: PointerBases): number | undefined {
  if (encoding === pointerOmitted) return undefined;
  const application = encoding & 0x70;
  if (application === 0x50) cursor.skip(-(bases.section + cursor.offset) & 7);
  const place = bases.section + cursor.offset;
  const value = readFormat(cursor, encoding & 0x0f);
  return value + base(application, value, place, bases);
}

function readFormat(cursor: Cursor, format: number): number {
  switch (format) {
    case 0x00:
    case 0x0c:
    case 0x04:
      return cursor.i64();
    case 0x01:
      return cursor.uleb128();
    case 0x02:
      return cursor.u16();
    case 0x03:
      return cursor.u32();
    case 0x09:
      return cursor.sleb128();
    case 0x0a:
      return cursor.i16();
    case 0x0b:
      return cursor.i32();
    default:
      return badUnwindInformation(`a pointer has the unknown format ${format}`);
  }
}

function base(application: number, value: number, place: number, bases: PointerBases): number {
  if (application === 0x00 || application === 0x50) return 0;
  if (application === 0x10) return place;
  const known = { 32: bases.text, 48: bases.data, 64: bases.function }[application];
  return known ?? badUnwindInformation(`a pointer of encoding 0x${application.toString(16)} has no base`, { value });
}
