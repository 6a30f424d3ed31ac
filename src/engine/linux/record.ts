/**
 * The record at the beginning of patch memory: what a hotpatch has put into this process, readable by whoever comes next.
 *
 * It is all the state there is: a lost file changes nothing, and a forked child has it too.
 * A header of fixed places (with the flag that the gates go by), then a body of canonical JSON under a SHA-256. Pure.
 */
import { createHash } from "node:crypto";
import { type Static, Type } from "typebox";
import { canonicalJson, parseCanonicalJson } from "../../base/canonical-json.ts";
import { checkSchema } from "../../base/schema-check.ts";

const magic = Buffer.from("\x7fREBOOTLESS\x00\x01\r\n", "latin1");
export const flagOffset = 16;
/** One byte that all gates go by: the functions of the binary, those of this hotpatch, or those of the hotpatches that it is about to supersede. */
export const flagValue = { off: 0, on: 1, chained: 2 } as const;
const lengthOffset = 24;
const digestOffset = 32;
const bodyOffset = 64;
export const recordHeaderBytes = bodyOffset;
/** Bounds what is read from a process that nobody vouches for. */
export const maxRecordBytes = 16 * 1024 * 1024;

const closed = { additionalProperties: false } as const;
const Address = Type.Integer({ minimum: 0, maximum: 0x7fff_ffff_ffff });
const Hex = Type.String({ pattern: "^([0-9a-f]{2})*$", maxLength: 128 });

const RecordedFunction = Type.Object(
  {
    name: Type.String({ maxLength: 4096 }),
    binary: Type.String({ maxLength: 255 }),
    /** Of the old function in this process. */
    address: Address,
    sizeBytes: Type.Integer({ minimum: 1 }),
    /** Where the jump stands: behind an endbr64. */
    entry: Address,
    original: Hex,
    jump: Hex,
    /** The jump of a superseded hotpatch that stood there before. */
    previous: Type.Optional(Hex),
    gate: Address,
    replacement: Address,
    replacementBytes: Type.Integer({ minimum: 0 }),
    immediate: Type.Boolean(),
  },
  closed,
);
export type RecordedFunction = Static<typeof RecordedFunction>;

/** A function that a superseded hotpatch changes and this one does not: a gate leads it back to its own code. */
const DroppedFunction = Type.Object(
  {
    name: Type.String({ maxLength: 4096 }),
    binary: Type.String({ maxLength: 255 }),
    entry: Address,
    original: Hex,
    previous: Hex,
    jump: Hex,
  },
  closed,
);
export type DroppedFunction = Static<typeof DroppedFunction>;

const RecordedArea = Type.Object(
  {
    address: Address,
    sizeBytes: Type.Integer({ minimum: 1 }),
    kind: Type.Union([Type.Literal("constant"), Type.Literal("code"), Type.Literal("data")]),
    /** Of its contents as they were written, the flag as 0; not of data, which the program changes, nor of the record's own bytes. */
    sha256: Type.String(),
  },
  closed,
);
export type RecordedArea = Static<typeof RecordedArea>;

/** Unwind entries of new code, and who has to forget them before they go; entry n of the list of calls marks that n was registered. */
const RecordedFrames = Type.Object(
  { begin: Address, register: Address, deregister: Address, storage: Address },
  closed,
);
export type RecordedFrames = Static<typeof RecordedFrames>;

const RecordedHook = Type.Object({ name: Type.String({ maxLength: 4096 }), address: Address }, closed);
export type RecordedHook = Static<typeof RecordedHook>;

/** How functions of this hotpatch, and those that it needs, are called in this process. */
const RecordedCalls = Type.Object(
  {
    trampoline: Address,
    list: Address,
    frames: Type.Array(RecordedFrames, { maxItems: 128 }),
    beforeRevert: Type.Array(RecordedHook, { maxItems: 64 }),
    afterRevert: Type.Array(RecordedHook, { maxItems: 64 }),
    release: Type.Array(RecordedHook, { maxItems: 64 }),
  },
  closed,
);
export type RecordedCalls = Static<typeof RecordedCalls>;

/** For debuggers and profilers: code and unwind entries of one binary's part. */
const RecordedCode = Type.Object(
  {
    binary: Type.String({ maxLength: 255 }),
    unwind: Type.Optional(Type.Object({ address: Address, sizeBytes: Type.Integer({ minimum: 1 }) }, closed)),
    functions: Type.Array(
      Type.Object(
        { name: Type.String({ maxLength: 4096 }), address: Address, sizeBytes: Type.Integer({ minimum: 1 }) },
        closed,
      ),
      { maxItems: 100_000 },
    ),
  },
  closed,
);
export type RecordedCode = Static<typeof RecordedCode>;

const RecordBody = Type.Object(
  {
    id: Type.String({ maxLength: 200 }),
    digest: Type.String({ maxLength: 64 }),
    /** Milliseconds since 1970, when patch memory was prepared. */
    preparedAt: Type.Integer({ minimum: 0 }),
    /** The first is the one that this record stands in. */
    areas: Type.Array(RecordedArea, { minItems: 1, maxItems: 256 }),
    functions: Type.Array(RecordedFunction, { maxItems: 100_000 }),
    /** The hotpatches whose place it takes, by where their records stand. */
    supersedes: Type.Optional(
      Type.Array(Type.Object({ id: Type.String({ maxLength: 200 }), address: Address }, closed), { maxItems: 1000 }),
    ),
    dropped: Type.Optional(Type.Array(DroppedFunction, { maxItems: 100_000 })),
    /** A person has ordered the switch although threads may have been inside. */
    forced: Type.Optional(Type.Literal(true)),
    code: Type.Optional(Type.Array(RecordedCode, { maxItems: 64 })),
    calls: Type.Optional(RecordedCalls),
  },
  closed,
);
export type RecordBody = Static<typeof RecordBody>;

export interface PatchRecord extends RecordBody {
  /** Where it stands. */
  readonly address: number;
  readonly flag: number;
}

/** Whether its functions are the ones that run, unless another one has superseded it. */
export function isOn({ flag }: PatchRecord): boolean {
  return flag === flagValue.on;
}

/** Whether it has taken the place of the other, or is about to. */
export function supersedes(newer: PatchRecord, older: PatchRecord): boolean {
  return newer.supersedes?.some(({ address, id }) => address === older.address && id === older.id) === true;
}

/** On, and not superseded. */
export function isInEffect(record: PatchRecord, records: readonly PatchRecord[]): boolean {
  return isOn(record) && !records.some((other) => isOn(other) && supersedes(other, record));
}

/** The bytes with the flag 0. */
export function encodeRecord(body: RecordBody): Buffer {
  const text = Buffer.from(canonicalJson(body), "utf8");
  const bytes = Buffer.alloc(bodyOffset + text.length);
  magic.copy(bytes, 0);
  bytes.writeUInt32LE(text.length, lengthOffset);
  createHash("sha256").update(text).digest().copy(bytes, digestOffset);
  text.copy(bytes, bodyOffset);
  return bytes;
}

export function startsLikeRecord(bytes: Buffer): boolean {
  return bytes.length >= bodyOffset && bytes.subarray(0, magic.length).equals(magic);
}

/** The length of the whole record by its header; undefined when it is out of bounds. */
export function recordLength(header: Buffer): number | undefined {
  const length = bodyOffset + header.readUInt32LE(lengthOffset);
  return length <= maxRecordBytes ? length : undefined;
}

/** Undefined when it is damaged; throws nothing. */
export function decodeRecord(bytes: Buffer, address: number): PatchRecord | undefined {
  const text = bytes.subarray(bodyOffset);
  const digest = createHash("sha256").update(text).digest();
  if (!digest.equals(bytes.subarray(digestOffset, bodyOffset))) return undefined;
  try {
    const value = parseCanonicalJson(text, { maxDepth: 8, maxElements: 2_000_000, maxStringBytes: 64 * 1024 });
    const body = checkSchema(RecordBody, value, () => {
      throw new Error("the record does not fit its schema");
    });
    return { ...body, address, flag: bytes[flagOffset] as number };
  } catch {
    // Whatever is wrong with it, it is no record that we could go by; the caller says so.
    return undefined;
  }
}
