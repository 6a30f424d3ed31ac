/**
 * Where the jump of a redirected function stands: at its entry behind endbr64, or a few instructions later where it would cross a page.
 *
 * The kernel writes one page as a whole or not at all, but two pages one after the other; a patcher that is killed between them would leave half a jump.
 * So the jump may come behind first instructions that can be undone without a trace: pushes, room on the stack, and what is put into registers that were pushed. Pure.
 */
import { decode } from "../../x86/instructions.ts";
import { pageBytes } from "./memory-map.ts";

export interface EntryPlace {
  /** From the first byte that may be taken. */
  readonly offset: number;
  /** What takes back the instructions before it, before the new code is gone to; empty where there are none. */
  readonly undo: Buffer;
}

/** Undefined where the jump would cross a page and what stands before the page's end cannot be undone. */
export function entryPlace(body: Buffer, address: number, jumpBytes: number): EntryPlace | undefined {
  const undo: Buffer[] = [];
  /** Registers that were pushed, which get their values back by a pop. */
  const saved = new Set<number>();
  for (const { offset, length, kind } of [
    ...decode(body, address),
    { offset: body.length, length: 0, kind: "other" },
  ]) {
    if (!crossesPage(address + offset, jumpBytes)) return { offset, undo: Buffer.concat(undo.toReversed()) };
    const bytes = body.subarray(offset, offset + length);
    const undone = kind === "nop" ? nothing : undoing(bytes, saved);
    if (undone === undefined) return undefined;
    undo.push(undone);
  }
  return undefined;
}

function crossesPage(address: number, sizeBytes: number): boolean {
  return Math.floor(address / pageBytes) !== Math.floor((address + sizeBytes - 1) / pageBytes);
}

const nothing = Buffer.alloc(0);
const stackPointer = 4;
/** The distance from the opcode of a push to that of its pop. */
const popAfterPush = 8;

/** Encodings as compilers write them (Intel SDM volume 2: PUSH, SUB, MOV). */
function undoing(bytes: Buffer, saved: Set<number>): Buffer | undefined {
  const pushed = pushedRegister(bytes);
  if (pushed !== undefined) {
    if (pushed === stackPointer || saved.has(pushed)) return undefined;
    saved.add(pushed);
    return Buffer.from([...bytes.subarray(0, -1), (bytes.at(-1) as number) + popAfterPush]);
  }
  const hex = bytes.toString("hex");
  if (hex.startsWith("4883ec") && bytes.length === 4) return stackBack(bytes.readInt8(3));
  if (hex.startsWith("4881ec") && bytes.length === 7) return stackBack(bytes.readInt32LE(3));
  const written = movedRegister(bytes);
  return written !== undefined && saved.has(written) ? nothing : undefined;
}

/** `push r64`, with REX.B for r8 to r15. */
function pushedRegister(bytes: Buffer): number | undefined {
  const isExtended = bytes.length === 2 && bytes[0] === 0x41;
  const opcode = bytes.at(-1) as number;
  if (bytes.length !== 1 && !isExtended) return undefined;
  return opcode >= 0x50 && opcode <= 0x57 ? opcode - 0x50 + (isExtended ? 8 : 0) : undefined;
}

/** What a `mov` from register to register writes, with or without a REX prefix. */
function movedRegister(bytes: Buffer): number | undefined {
  const prefix = bytes.length === 3 && ((bytes[0] as number) & 0xf0) === 0x40 ? (bytes[0] as number) : 0;
  const [opcode = 0, operands = 0] = bytes.subarray(prefix === 0 ? 0 : 1);
  if (bytes.length !== (prefix === 0 ? 2 : 3) || operands < 0xc0) return undefined;
  if (opcode === 0x89) return (operands & 7) + ((prefix & 1) << 3);
  return opcode === 0x8b ? ((operands >> 3) & 7) + ((prefix & 4) << 1) : undefined;
}

/** `lea sizeBytes(%rsp), %rsp` */
function stackBack(sizeBytes: number): Buffer {
  const bytes = Buffer.from([0x48, 0x8d, 0xa4, 0x24, 0, 0, 0, 0]);
  bytes.writeInt32LE(sizeBytes, 4);
  return bytes;
}
