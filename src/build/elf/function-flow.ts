/** The flow of control inside one function: which of its instructions can run more than once in a call of it. */
import { decode, type Instruction } from "../../x86/instructions.ts";

/** A way out of a function, by a call or by a jump. */
export interface Site {
  readonly target: number;
  /** Whether it lies in a loop of the function. */
  readonly inLoop: boolean;
}

export interface FunctionFlow {
  readonly start: number;
  readonly end: number;
  /** Direct calls, jumps to other functions, and calls through slots of the GOT, by the slot's address. */
  readonly sites: readonly Site[];
  /** Addresses that its instructions name: of variables, strings, and functions whose address it takes. */
  readonly named: ReadonlySet<number>;
  /** Functions whose address is passed in the third argument right before a call, with where the call goes. */
  readonly handedOver: readonly { readonly routine: number; readonly to: number }[];
  /** Whether some loop has no way out of it. */
  readonly endless: boolean;
  /** Whether it can return, or go on in another function. */
  readonly returns: boolean;
}

/** Whether a call of this address never comes back. */
export type NeverReturns = (target: number) => boolean;

interface Block {
  readonly instructions: Instruction[];
  readonly next: number[];
}

/** `lea d(%rip),%rdx` and `mov $d,%edx`: what a compiler writes for the third argument (psABI §3.2.3). */
function thirdArgument({ offset, length, ripRelative }: Instruction, bytes: Uint8Array): number | undefined {
  if (ripRelative !== undefined && bytes[offset] === 0x48 && bytes[offset + 1] === 0x8d && bytes[offset + 2] === 0x15)
    return ripRelative.address;
  if (bytes[offset] === 0xba && length === 5) return Buffer.from(bytes).readUInt32LE(offset + 1);
  return undefined;
}

export function functionFlow(bytes: Uint8Array, start: number, neverReturns: NeverReturns): FunctionFlow {
  const instructions = decode(bytes, start);
  const end = start + bytes.length;
  const blocks = blocksOf(instructions, { start, end, neverReturns });
  const components = stronglyConnected(blocks);
  const sites: Site[] = [];
  const named = new Set<number>();
  const handedOver: { routine: number; to: number }[] = [];
  let endless = false;
  for (const [index, block] of blocks.entries()) {
    const { members, cyclic } = components[index] as Component;
    if (cyclic && members.every((member) => leavesNever(blocks, member, members))) endless = true;
    let routine: number | undefined;
    for (const instruction of block.instructions) {
      const { flow, branch, ripRelative } = instruction;
      const target = branch?.target ?? (flow.startsWith("indirect") ? ripRelative?.address : undefined);
      if (target !== undefined && (target < start || target >= end || flow === "call")) {
        sites.push({ target, inLoop: cyclic });
        if (flow.endsWith("call") && routine !== undefined) handedOver.push({ routine, to: target });
      } else if (ripRelative !== undefined) named.add(ripRelative.address);
      for (const { offset, sizeBytes } of instruction.immediates)
        if (sizeBytes === 4) named.add(Buffer.from(bytes).readUInt32LE(instruction.offset + offset));
      if (flow.endsWith("call")) routine = undefined;
      routine = thirdArgument(instruction, bytes) ?? routine;
    }
  }
  return { start, end, sites, named, handedOver, endless, returns: canReturn(blocks, start, end) };
}

/** Neither a jump out of the loop nor a return. */
function leavesNever(blocks: readonly Block[], index: number, members: readonly number[]): boolean {
  const { instructions, next } = blocks[index] as Block;
  const flow = instructions.at(-1)?.flow;
  return flow !== "return" && flow !== "indirect-jump" && next.length > 0 && next.every((one) => members.includes(one));
}

interface Extent {
  readonly start: number;
  readonly end: number;
  readonly neverReturns: NeverReturns;
}

/** Direct calls, and calls through a slot, that do not come back. */
function ends({ flow, branch, ripRelative }: Instruction, neverReturns: NeverReturns): boolean {
  const target = branch?.target ?? ripRelative?.address;
  return flow.endsWith("call") && target !== undefined && neverReturns(target);
}

function canReturn(blocks: readonly Block[], start: number, end: number): boolean {
  const seen = new Set<number>([0]);
  for (const index of seen) {
    const block = blocks[index];
    const last = block?.instructions.at(-1);
    if (block === undefined || last === undefined) return true;
    for (const next of block.next) seen.add(next);
    const leaves =
      last.branch !== undefined && last.flow !== "call" && (last.branch.target < start || last.branch.target >= end);
    if (leaves || last.flow === "return" || last.flow === "indirect-jump") return true;
  }
  return false;
}

function blocksOf(instructions: readonly Instruction[], { start, end, neverReturns }: Extent): Block[] {
  const leaders = new Set([start]);
  for (const instruction of instructions) {
    const { flow, branch, address, length } = instruction;
    if (ends(instruction, neverReturns)) leaders.add(address + length);
    if (branch !== undefined && flow !== "call" && branch.target > start && branch.target < end)
      leaders.add(branch.target);
    if (flow !== "next" && !flow.endsWith("call")) leaders.add(address + length);
  }
  const blocks: Block[] = [];
  const byAddress = new Map<number, number>();
  for (const instruction of instructions) {
    if (blocks.length === 0 || leaders.has(instruction.address)) {
      byAddress.set(instruction.address, blocks.length);
      blocks.push({ instructions: [], next: [] });
    }
    blocks.at(-1)?.instructions.push(instruction);
  }
  const reached = new Set<number>([0]);
  for (const { instructions: own, next } of blocks) {
    const last = own.at(-1) as Instruction;
    const targets = [
      ...(last.flow === "jump" || last.flow === "return" || last.flow === "indirect-jump"
        ? []
        : [last.address + last.length]),
      ...(last.branch === undefined || last.flow === "call" ? [] : [last.branch.target]),
    ];
    for (const target of targets) {
      const index = byAddress.get(target);
      if (index === undefined) continue;
      next.push(index);
      reached.add(index);
    }
  }
  // A jump table leads to what nothing else leads to.
  const tableTargets = blocks.map((_, index) => index).filter((index) => !reached.has(index));
  for (const { instructions: own, next } of blocks)
    if (own.at(-1)?.flow === "indirect-jump" && own.at(-1)?.ripRelative === undefined) next.push(...tableTargets);
  return blocks;
}

interface Component {
  readonly members: readonly number[];
  readonly cyclic: boolean;
}

/** For each block, the blocks that it can reach and that can reach it (Tarjan's algorithm, with a stack of its own). */
function stronglyConnected(blocks: readonly Block[]): Component[] {
  const order = new Map<number, number>();
  const low = new Map<number, number>();
  const open: number[] = [];
  const isOpen = new Set<number>();
  const answer: Component[] = new Array(blocks.length);
  for (const root of blocks.keys()) {
    if (order.has(root)) continue;
    const path: { block: number; step: number }[] = [{ block: root, step: 0 }];
    while (path.length > 0) {
      const top = path.at(-1) as { block: number; step: number };
      if (top.step === 0) {
        order.set(top.block, order.size);
        low.set(top.block, order.get(top.block) as number);
        open.push(top.block);
        isOpen.add(top.block);
      }
      const next = (blocks[top.block] as Block).next[top.step++];
      if (next === undefined) {
        path.pop();
        const parent = path.at(-1)?.block;
        if (parent !== undefined) low.set(parent, Math.min(low.get(parent) as number, low.get(top.block) as number));
        if (low.get(top.block) === order.get(top.block)) close(top.block);
      } else if (!order.has(next)) path.push({ block: next, step: 0 });
      else if (isOpen.has(next)) low.set(top.block, Math.min(low.get(top.block) as number, order.get(next) as number));
    }
  }
  return answer;

  function close(root: number): void {
    const members: number[] = [];
    for (let block = -1; block !== root; ) {
      block = open.pop() as number;
      isOpen.delete(block);
      members.push(block);
    }
    const cyclic = members.length > 1 || (blocks[root] as Block).next.includes(root);
    for (const member of members) answer[member] = { members, cyclic };
  }
}
