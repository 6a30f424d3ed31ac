/**
 * Gates: the code between a redirected entry and the old or the new function.
 *
 * `cmpb $0, flag; jne new; the old entry's instructions; jmp behind them`: while the flag is 0, going through a gate is the same as not going through it.
 * A gate that takes the place of another one asks `cmpb $1, flag; je new; ja the other gate`, and while the flag is 2 it is the same as the other one.
 * No register is changed, so that it holds for callers that know which registers the old function spares. Pure.
 */
import { refuse } from "../../base/refusal.ts";
import { decode, paddingBytes, startsWithEndbr64 } from "../../x86/instructions.ts";
import { scanJumps } from "../../x86/jump-targets.ts";
import { relocateInstructions } from "../../x86/relocate.ts";
import { entryPlace } from "./entry-place.ts";
import { flagValue } from "./record.ts";

/** `jmp rel32`. */
export const jumpBytes = 5;
const endbr64Bytes = 4;
/** The longest: a far flag, and a few instructions that grew when they were moved. */
export const gateRoomBytes = 96;

export interface GateInput {
  readonly name: string;
  /** The old function's own bytes, and what follows it up to the next one. */
  readonly bytes: Buffer;
  readonly sizeBytes: number;
  readonly address: number;
  readonly gate: number;
  readonly flag: number;
  /** A word of patch memory near the gate that holds the flag's address. */
  readonly flagPointer: number;
  /** Undefined when the function is to be the old one again. */
  readonly replacement: number | undefined;
  /** Whether the flag is 2 before the switch, since other hotpatches are in effect until then. */
  readonly isSuperseding: boolean;
  /** The gate of such another one for the same function, which is gone through while the flag is 2. */
  readonly previousGate?: number;
}

export interface Gate {
  readonly code: Buffer;
  readonly entry: number;
  readonly original: Buffer;
  readonly jump: Buffer;
}

/** Refuses with `target/entry-too-short`. */
export function buildGate(input: GateInput): Gate {
  const { name, bytes, sizeBytes, address, gate } = input;
  const own = bytes.subarray(0, sizeBytes);
  const { skip, undo } = placeOf(input, own);
  const entry = address + skip;
  const room = roomAt(input, skip);
  if (room < jumpBytes) tooShort(name, `has ${room} bytes at its entry, and a jump takes ${jumpBytes}`);
  const check = flagCheck(input, undo);
  const body = own.subarray(skip);
  const minBytes = Math.min(jumpBytes, body.length);
  const moved = relocateInstructions({ bytes: body, from: entry, to: gate + check.length, minBytes });
  if (!moved.ok)
    return tooShort(name, `has an entry that cannot be moved (${moved.reason} at 0x${moved.address.toString(16)})`);
  const covered = Math.max(moved.coveredBytes, jumpBytes);
  const { intoRange } = scanJumps(own, address, { start: entry, end: entry + covered });
  const jumper = intoRange[0];
  if (jumper !== undefined)
    tooShort(name, `jumps into its own entry from 0x${jumper.address.toString(16)}, which would be overwritten`);
  const behind = moved.fallsThrough
    ? [jump(gate + check.length + moved.bytes.length, entry + moved.coveredBytes, name)]
    : [];
  const code = Buffer.concat([check, moved.bytes, ...behind]);
  if (code.length > gateRoomBytes) tooShort(name, `needs a gate of ${code.length} bytes`);
  return { code, entry, original: Buffer.from(bytes.subarray(skip, skip + jumpBytes)), jump: jump(entry, gate, name) };
}

/** How far behind the function's beginning the jump stands, and what undoes the instructions that are left before it. */
function placeOf({ name, address }: GateInput, own: Buffer): { readonly skip: number; readonly undo: Buffer } {
  const marked = startsWithEndbr64(own) ? endbr64Bytes : 0;
  const place = entryPlace(own.subarray(marked), address + marked, jumpBytes);
  if (place !== undefined) return { skip: marked + place.offset, undo: place.undo };
  return tooShort(
    name,
    "has an entry that crosses a page, where a jump could be left half written, and its first instructions cannot be undone",
  );
}

/** Its own bytes behind the endbr64, and padding that nobody uses. */
function roomAt({ bytes, sizeBytes, address }: GateInput, skip: number): number {
  const rest = sizeBytes - skip;
  if (rest >= jumpBytes) return rest;
  return rest + paddingBytes(bytes.subarray(0, sizeBytes + jumpBytes + 16), sizeBytes, address);
}

/** Conditional jumps with 32 bits: `jne`, `je`, `ja`; the last bit says the opposite. */
const conditionalBytes = 6;
const conditions = { notEqual: 0x85, equal: 0x84, above: 0x87 } as const;

function flagCheck(input: GateInput, undo: Buffer): Buffer {
  const { gate, name, replacement, isSuperseding, previousGate } = input;
  const compare = comparison(input, isSuperseding ? flagValue.on : flagValue.off);
  const parts = [compare];
  let at = gate + compare.length;
  const branch = (condition: number, target: number) => {
    const bytes = Buffer.from([0x0f, condition, 0, 0, 0, 0]);
    at += bytes.length;
    bytes.writeInt32LE(distance(at, target, name), 2);
    parts.push(bytes);
  };
  const isNew = isSuperseding ? conditions.equal : conditions.notEqual;
  if (replacement !== undefined && undo.length === 0) branch(isNew, replacement);
  if (replacement !== undefined && undo.length > 0) {
    branch(isNew ^ 1, at + conditionalBytes + undo.length + jumpBytes);
    parts.push(undo, jump(at + undo.length, replacement, name));
    at += undo.length + jumpBytes;
  }
  if (previousGate !== undefined) branch(conditions.above, previousGate);
  return Buffer.concat(parts);
}

function comparison({ flag, flagPointer, gate, name }: GateInput, value: number): Buffer {
  const near = flag - (gate + 7);
  if (near === (near | 0)) {
    const compare = Buffer.from([0x80, 0x3d, 0, 0, 0, 0, value]);
    compare.writeInt32LE(near, 2);
    return compare;
  }
  // push %rax; mov pointer(%rip), %rax; cmpb $value, (%rax); pop %rax
  const compare = Buffer.from([0x50, 0x48, 0x8b, 0x05, 0, 0, 0, 0, 0x80, 0x38, value, 0x58]);
  compare.writeInt32LE(distance(gate + 8, flagPointer, name), 4);
  return compare;
}

function jump(from: number, to: number, name: string): Buffer {
  const bytes = Buffer.from([0xe9, 0, 0, 0, 0]);
  bytes.writeInt32LE(distance(from + jumpBytes, to, name), 1);
  return bytes;
}

function distance(from: number, to: number, name: string): number {
  const value = to - from;
  return value === (value | 0) ? value : tooShort(name, "is out of reach of a jump from patch memory");
}

function tooShort(name: string, why: string): never {
  refuse("target/entry-too-short", `The function ${name} cannot be redirected: it ${why}.`, { function: name });
}

/** Where a jump at the beginning of these bytes leads, if there is one: the mark of somebody's hook. */
export function foreignJump(bytes: Buffer, address: number): string | undefined {
  const [first, second] = decode(bytes, address, 2);
  const instruction = first?.kind === "endbr64" ? second : first;
  if (instruction === undefined) return undefined;
  if (instruction.kind === "int3") return "a breakpoint";
  if (instruction.branch !== undefined && (instruction.flow === "jump" || instruction.flow === "call"))
    return `a ${instruction.flow} to 0x${instruction.branch.target.toString(16)}`;
  return instruction.flow === "indirect-jump" ? "an indirect jump" : undefined;
}
