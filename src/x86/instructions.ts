/**
 * Machine code of x86-64 as instructions: boundaries, control flow, and where in their bytes displacements and immediates stand.
 *
 * The decoding is iced-x86's; this module turns its objects, which live in WebAssembly memory, into plain ones.
 */
import { Code, Decoder, DecoderOptions, FlowControl, Instruction as IcedInstruction, Mnemonic, OpKind } from "iced-x86";

/** What an instruction does to the flow of control; `transaction` is xbegin, xabort and xend. */
export type Flow =
  | "next"
  | "jump"
  | "conditional-jump"
  | "call"
  | "indirect-jump"
  | "indirect-call"
  | "return"
  | "interrupt"
  | "transaction"
  | "exception";

/** A field inside an instruction, counted from its first byte. */
export interface Field {
  readonly offset: number;
  readonly sizeBytes: number;
}

export interface Instruction {
  readonly address: number;
  /** Where it begins in the bytes that were decoded. */
  readonly offset: number;
  readonly length: number;
  readonly flow: Flow;
  /** Of a relative jump, call or xbegin: where to, and the field with the distance. */
  readonly branch: { readonly target: number; readonly field: Field } | undefined;
  /** An operand in memory addressed from rip: where it is, and the field with the distance. */
  readonly ripRelative: { readonly address: number; readonly field: Field } | undefined;
  /** Immediate operands; distances of branches are not among them. */
  readonly immediates: readonly Field[];
  readonly kind: "endbr64" | "nop" | "int3" | "other";
}

const flows: Readonly<Record<FlowControl, Flow>> = {
  [FlowControl.Next]: "next",
  [FlowControl.UnconditionalBranch]: "jump",
  [FlowControl.IndirectBranch]: "indirect-jump",
  [FlowControl.ConditionalBranch]: "conditional-jump",
  [FlowControl.Return]: "return",
  [FlowControl.Call]: "call",
  [FlowControl.IndirectCall]: "indirect-call",
  [FlowControl.Interrupt]: "interrupt",
  [FlowControl.XbeginXabortXend]: "transaction",
  [FlowControl.Exception]: "exception",
};

const relativeOperands: ReadonlySet<OpKind> = new Set([OpKind.NearBranch16, OpKind.NearBranch32, OpKind.NearBranch64]);

/**
 * Instructions one after the other, from the first byte on; ends where the bytes do.
 *
 * An instruction that cannot be decoded, or that the bytes cut off, ends the list before it: `decodedBytes` tells.
 */
export function decode(bytes: Uint8Array, address: number, maxCount = Number.POSITIVE_INFINITY): Instruction[] {
  const decoder = new Decoder(64, bytes, DecoderOptions.None);
  const raw = new IcedInstruction();
  const found: Instruction[] = [];
  try {
    decoder.ip = BigInt(address);
    while (decoder.canDecode && found.length < maxCount) {
      const offset = decoder.position;
      decoder.decodeOut(raw);
      if (raw.code === Code.INVALID) break;
      found.push(plain(decoder, raw, offset, address + offset));
    }
  } finally {
    raw.free();
    decoder.free();
  }
  return found;
}

/** How many bytes a list of instructions from `decode` covers. */
export function decodedBytes(instructions: readonly Instruction[]): number {
  const last = instructions.at(-1);
  return last === undefined ? 0 : last.offset + last.length;
}

function plain(decoder: Decoder, raw: IcedInstruction, offset: number, address: number): Instruction {
  const constants = decoder.getConstantOffsets(raw);
  const displacement = { offset: constants.displacementOffset, sizeBytes: constants.displacementSize };
  const immediates: Field[] = [];
  if (constants.hasImmediate)
    immediates.push({ offset: constants.immediateOffset, sizeBytes: constants.immediateSize });
  if (constants.hasImmediate2)
    immediates.push({ offset: constants.immediateOffset2, sizeBytes: constants.immediateSize2 });
  constants.free();
  const relative = raw.opCount > 0 && relativeOperands.has(raw.op0Kind);
  // iced counts the distance of a branch as an immediate.
  const distance = relative ? immediates.shift() : undefined;
  return {
    address,
    offset,
    length: raw.length,
    flow: flows[raw.flowControl],
    branch: distance && { target: Number(raw.nearBranchTarget), field: distance },
    ripRelative: raw.isIpRelMemoryOperand
      ? { address: Number(raw.ipRelMemoryAddress), field: displacement }
      : undefined,
    immediates,
    kind: kindOf(raw.mnemonic),
  };
}

function kindOf(mnemonic: Mnemonic): Instruction["kind"] {
  if (mnemonic === Mnemonic.Endbr64) return "endbr64";
  if (mnemonic === Mnemonic.Nop) return "nop";
  return mnemonic === Mnemonic.Int3 ? "int3" : "other";
}

/** Bytes of padding (nops of any length, int3) from `offset` on: the room between a function and the next one. */
export function paddingBytes(bytes: Uint8Array, offset: number, address: number): number {
  let size = 0;
  for (const instruction of decode(bytes.subarray(offset), address + offset)) {
    if (instruction.kind !== "nop" && instruction.kind !== "int3") break;
    size += instruction.length;
  }
  return size;
}

/** Whether a function begins with endbr64, behind which an entry is redirected so that indirect calls still land on it. */
export function startsWithEndbr64(bytes: Uint8Array): boolean {
  return bytes[0] === 0xf3 && bytes[1] === 0x0f && bytes[2] === 0x1e && bytes[3] === 0xfa;
}
