/** Whether code jumps into bytes that are to be overwritten: a scan over the branches of a function. */
import { decode, decodedBytes, type Instruction } from "./instructions.ts";

export interface JumpScan {
  /** Branches to addresses behind the first byte of the range and before its end: overwriting it would break them. */
  readonly intoRange: readonly Instruction[];
  /** Branches to its first byte, such as a loop or a recursion that goes to the entry. */
  readonly toStart: readonly Instruction[];
  /** Jumps through a register or memory, whose targets are not in the code: jump tables, tail calls. */
  readonly indirectJumps: readonly Instruction[];
  /** Whether all bytes could be decoded; if not, nothing is known about the rest. */
  readonly complete: boolean;
}

/** `bytes` are those of one function, or of a part of it, at `address`; `start` and `end` are addresses. */
export function scanJumps(
  bytes: Uint8Array,
  address: number,
  range: { readonly start: number; readonly end: number },
): JumpScan {
  const instructions = decode(bytes, address);
  const branches = instructions.filter(({ branch }) => branch !== undefined);
  const { start, end } = range;
  return {
    intoRange: branches.filter(({ branch }) => branch!.target > start && branch!.target < end),
    toStart: branches.filter(({ branch }) => branch!.target === start),
    indirectJumps: instructions.filter(({ flow }) => flow === "indirect-jump"),
    complete: decodedBytes(instructions) === bytes.length,
  };
}
