/**
 * C structs as tables: name, type and offset of each field; the values' types follow from the table.
 *
 * A table is read and written by the same two functions, so that what was read can be written back byte for byte.
 */
import { RebootlessError } from "../base/errors.ts";
import { Cursor } from "./cursor.ts";

const sizes = { u8: 1, u16: 2, u32: 4, i32: 4, u64: 8, i64: 8, raw64: 8 } as const;

/** `u64` and `i64` are numbers and refuse what those cannot hold; `raw64` is a bigint of all 64 bits. */
export type FieldType = keyof typeof sizes;

export interface StructTable {
  readonly name: string;
  readonly sizeBytes: number;
  readonly fields: Readonly<Record<string, readonly [type: FieldType, offset: number]>>;
}

export type StructValue<T extends StructTable> = {
  readonly [Field in keyof T["fields"]]: T["fields"][Field][0] extends "raw64" ? bigint : number;
};

/** Reads the struct at `offset`. Throws `binary/out-of-bounds` and `binary/number`, which name the struct. */
export function readStruct<const T extends StructTable>(bytes: Uint8Array, offset: number, table: T): StructValue<T> {
  const cursor = new Cursor(bytes, table.name);
  const start = cursor.seek(offset).offset;
  cursor.skip(table.sizeBytes);
  const value: Record<string, number | bigint> = {};
  for (const [name, [type, at]] of Object.entries(table.fields)) {
    cursor.seek(start + at);
    value[name] = cursor[type]();
  }
  return value as StructValue<T>;
}

/** Writes every field of the struct at `offset`; bytes between fields stay. Throws `binary/out-of-bounds` and `binary/number`. */
export function writeStruct<const T extends StructTable>(
  bytes: Uint8Array,
  offset: number,
  table: T,
  value: StructValue<T>,
): void {
  new Cursor(bytes, table.name).seek(offset).skip(table.sizeBytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (const [name, [type, at]] of Object.entries(table.fields)) {
    const field: number | bigint = value[name as keyof typeof value];
    if (!fits(field, type)) {
      throw new RebootlessError("binary/number", `${table.name}.${name} cannot hold ${field}`, {
        details: { what: table.name, field: name },
      });
    }
    writeField(view, offset + at, type, BigInt(field));
  }
}

function fits(value: number | bigint, type: FieldType): boolean {
  if (typeof value === "number" && !Number.isSafeInteger(value)) return false;
  const bits = sizes[type] * 8;
  const signed = type === "i32" || type === "i64";
  return (signed ? BigInt.asIntN(bits, BigInt(value)) : BigInt.asUintN(bits, BigInt(value))) === BigInt(value);
}

function writeField(view: DataView, at: number, type: FieldType, value: bigint): void {
  if (sizes[type] === 8) view.setBigUint64(at, BigInt.asUintN(64, value), true);
  else if (sizes[type] === 4) view.setUint32(at, Number(BigInt.asUintN(32, value)), true);
  else if (type === "u16") view.setUint16(at, Number(value), true);
  else view.setUint8(at, Number(value));
}
