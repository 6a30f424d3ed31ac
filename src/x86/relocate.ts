/**
 * Moving whole instructions to another address, so that the bytes they stood in can be overwritten.
 *
 * Distances from rip are mended, and short branches become long ones; what the copy does is what the original did.
 * What cannot be moved is a reason, never a guess.
 */
import { decode, decodedBytes, type Instruction } from "./instructions.ts";

export interface RelocationRequest {
  /** The function's bytes from the first one to move on; nothing behind the function may be among them. */
  readonly bytes: Uint8Array;
  readonly from: number;
  readonly to: number;
  /** At least so many bytes are to be free; whole instructions are moved. */
  readonly minBytes: number;
}

export interface RelocatedInstructions {
  readonly ok: true;
  readonly bytes: Uint8Array;
  /** How many of the original bytes they stand for. */
  readonly coveredBytes: number;
  /** Where each moved instruction is now, counted from the first byte of the original and of the copy. */
  readonly places: readonly { readonly from: number; readonly to: number; readonly sizeBytes: number }[];
  /** Whether the copy makes calls: then return addresses lead into it, and it must stay as long as they do. */
  readonly calls: boolean;
  /** Whether control can run out of its end, so that a jump back has to follow. */
  readonly fallsThrough: boolean;
}

export interface NotRelocated {
  readonly ok: false;
  readonly reason:
    | "too-short"
    | "undecodable"
    | "out-of-reach"
    | "jump-into-the-middle"
    | "reads-itself"
    | "unsupported-instruction";
  /** The instruction in question, or where one should have been. */
  readonly address: number;
}

/** Bytes of a moved instruction, and the places in it that hold a distance from its end to a target. */
interface Form {
  readonly bytes: Uint8Array;
  readonly fixes: readonly { readonly at: number; readonly end: number; readonly target: number }[];
}

const neverFallsThrough: ReadonlySet<Instruction["flow"]> = new Set(["jump", "indirect-jump", "return", "exception"]);

/** Copies whole instructions that cover at least `minBytes`. Pure; the original bytes stay as they are. */
export function relocateInstructions({
  bytes,
  from,
  to,
  minBytes,
}: RelocationRequest): RelocatedInstructions | NotRelocated {
  const all = decode(bytes.subarray(0, minBytes + 15), from);
  const count = all.findIndex(({ offset, length }) => offset + length >= minBytes) + 1;
  if (count === 0) {
    const end = decodedBytes(all);
    return { ok: false, reason: bytes.length < minBytes ? "too-short" : "undecodable", address: from + end };
  }
  const moved = all.slice(0, count);
  const coveredBytes = decodedBytes(moved);
  const forms: Form[] = [];
  for (const instruction of moved) {
    const form = longForm(bytes, instruction);
    if (form === undefined) return { ok: false, reason: "unsupported-instruction", address: instruction.address };
    forms.push(form);
  }
  const starts = startsOf(forms);
  const copy = Buffer.concat(forms.map((form) => form.bytes));
  const newPlaces = new Map(moved.map(({ address }, index) => [address, to + starts[index]!]));
  for (const [index, instruction] of moved.entries()) {
    for (const { at, end, target } of forms[index]!.fixes) {
      // A call of the function itself is a call of whatever stands at its entry by then, and stays one.
      const recursion = instruction.flow === "call" && target === from;
      const inside = target >= from && target < from + coveredBytes && !recursion;
      // A call into the middle is there for the address that it pushes.
      if (inside && (instruction.branch === undefined || instruction.flow === "call")) {
        return { ok: false, reason: "reads-itself", address: instruction.address };
      }
      const place = inside ? newPlaces.get(target) : target;
      if (place === undefined) return { ok: false, reason: "jump-into-the-middle", address: instruction.address };
      const distance = place - (to + starts[index]! + end);
      if (distance !== (distance | 0)) return { ok: false, reason: "out-of-reach", address: instruction.address };
      copy.writeInt32LE(distance, starts[index]! + at);
    }
  }
  return {
    ok: true,
    bytes: Uint8Array.from(copy),
    coveredBytes,
    places: moved.map(({ offset }, index) => ({
      from: offset,
      to: starts[index]!,
      sizeBytes: forms[index]!.bytes.length,
    })),
    calls: moved.some(({ flow }) => flow === "call" || flow === "indirect-call"),
    fallsThrough: !neverFallsThrough.has(moved.at(-1)?.flow ?? "next"),
  };
}

function startsOf(forms: readonly Form[]): number[] {
  let at = 0;
  return forms.map((form) => {
    const start = at;
    at += form.bytes.length;
    return start;
  });
}

/** The instruction with 32-bit distances; undefined for what has no such form. */
function longForm(bytes: Uint8Array, instruction: Instruction): Form | undefined {
  const own = bytes.slice(instruction.offset, instruction.offset + instruction.length);
  const { branch, ripRelative, flow } = instruction;
  if (branch === undefined) {
    if (ripRelative === undefined) return { bytes: own, fixes: [] };
    if (ripRelative.field.sizeBytes !== 4) return undefined;
    return { bytes: own, fixes: [{ at: ripRelative.field.offset, end: own.length, target: ripRelative.address }] };
  }
  // The abort address of a transaction would have to be in the copy as well.
  if (flow === "transaction") return undefined;
  const fix = (at: number, length: number) => [{ at, end: length, target: branch.target }];
  if (branch.field.sizeBytes === 4) return { bytes: own, fixes: fix(branch.field.offset, own.length) };
  if (branch.field.sizeBytes !== 1) return undefined;
  // Prefixes before a short branch are hints (branch taken, bnd, notrack) but for the address size of jrcxz and loop.
  const opcode = own[branch.field.offset - 1]!;
  const prefixes = own.subarray(0, branch.field.offset - 1);
  if (opcode === 0xeb) return { bytes: Uint8Array.of(0xe9, 0, 0, 0, 0), fixes: fix(1, 5) };
  if (opcode >= 0x70 && opcode <= 0x7f) {
    return { bytes: Uint8Array.of(0x0f, opcode + 0x10, 0, 0, 0, 0), fixes: fix(2, 6) };
  }
  if (opcode < 0xe0 || opcode > 0xe3) return undefined;
  // loop and jrcxz have short forms alone: taken, they go over a jump around the long one.
  const around = Uint8Array.of(...prefixes, opcode, 2, 0xeb, 5, 0xe9, 0, 0, 0, 0);
  return { bytes: around, fixes: fix(around.length - 4, around.length) };
}
