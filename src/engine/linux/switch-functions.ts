/**
 * The stop in which a hotpatch takes effect or is taken back: all threads stand still, none is inside what changes, one byte is written.
 *
 * Busy threads run on between the tries; a process is never held while it is waited for.
 */
import { type Refusal, RefusalError } from "../../base/refusal.ts";
import { UnwindSpace } from "../../elf/eh-frame/unwind-table.ts";
import { type LoadedImage, loadedImages } from "./loaded-image.ts";
import { OtherStacks, type WaitingCall } from "./other-stacks.ts";
import type { ProcessMemory } from "./process-memory.ts";
import { memorySharer } from "./shared-memory.ts";
import { type ActiveFunction, type GuardedRange, StackScan } from "./stack-scan.ts";
import { type Attempt, attemptStop } from "./stop-attempt.ts";
import { StopRehearsal } from "./stop-rehearsal.ts";
import type { Tracee } from "./tracee.ts";

export interface SwitchRequest {
  readonly memory: ProcessMemory;
  /** Code that no thread may be in, or return to. */
  readonly guarded: readonly GuardedRange[];
  readonly signalReturns: readonly number[];
  /** How long to go on trying, in milliseconds. */
  readonly waitMs: number;
  /** Runs before each try, while the process runs. */
  readonly prepare: () => void;
  /** Runs while every thread stands still and none is in `guarded`. */
  readonly act: (threads: readonly Tracee[]) => void;
  readonly progress: (text: string) => void;
}

export interface SwitchResult {
  /** From the first interrupt to the last thread let go, in the stop that succeeded. */
  readonly pauseMs: number;
  /** The longest of all stops. */
  readonly longestPauseMs: number;
  readonly tries: number;
}

const firstDelayMs = 2;
const longestDelayMs = 40;
/** Between two stops the process runs for so many times as long as the last one took. */
const runsPerStop = 10;

/** Refuses with `plan/active-function`, naming thread, function and stack, or with what seizing the threads does. */
export async function switchFunctions(request: SwitchRequest): Promise<SwitchResult> {
  const rehearsal = await StopRehearsal.start();
  try {
    return await tryUntil(request, rehearsal);
  } finally {
    await rehearsal?.end();
  }
}

async function tryUntil(request: SwitchRequest, rehearsal: StopRehearsal | undefined): Promise<SwitchResult> {
  const { memory, progress } = request;
  const deadline = performance.now() + request.waitMs;
  const images = loadedImages(memory, memory.maps());
  const rows = unwindSpace(images);
  const others = new OtherStacks(memory, request.guarded, rows);
  let longestPauseMs = 0;
  let delayMs = firstDelayMs;
  for (let tries = 1; ; tries++) {
    const sharer = memorySharer(memory.pid);
    const { active, waiting, pauseMs } =
      sharer === undefined ? tryOnce(request, rows, others, rehearsal) : heldBack(sharer);
    longestPauseMs = Math.max(longestPauseMs, pauseMs);
    if (active === undefined && waiting === undefined) return { pauseMs, longestPauseMs, tries };
    if (performance.now() + delayMs > deadline)
      throw new RefusalError(describe(memory.pid, { sharer, active, waiting }, images, request.waitMs));
    if (waiting !== undefined) progress(`A coroutine waits in ${waiting.name}; trying again`);
    if (active !== undefined)
      progress(`${sharer === undefined ? "Thread" : "Process"} ${active.tid} is in ${active.name}; trying again`);
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    delayMs = Math.max(Math.min(delayMs * 2, longestDelayMs), pauseMs * runsPerStop);
  }
}

interface Tried extends Attempt {
  /** On a stack that no thread runs on. */
  readonly waiting?: WaitingCall | undefined;
}

interface InTheWay extends Pick<Tried, "active" | "waiting"> {
  readonly sharer: number | undefined;
}

function describe(
  pid: number,
  { sharer, active, waiting }: InTheWay,
  images: readonly LoadedImage[],
  waitMs: number,
): Refusal {
  if (sharer !== undefined) return describeSharer(pid, sharer, waitMs);
  if (waiting !== undefined) return describeWaiting(pid, waiting, images, waitMs);
  return describeActive(pid, active as ActiveFunction, images, waitMs);
}

/** No stop is made: it would not hold the other process. */
function heldBack(sharer: number): Tried {
  return { active: { tid: sharer, name: "the same memory", stack: [] }, pauseMs: 0 };
}

function describeSharer(pid: number, sharer: number, waitMs: number): Refusal {
  return {
    code: "target/shared-memory",
    message: `Process ${sharer} runs in the memory of process ${pid} without being one of its threads (vfork, or clone with CLONE_VM), at every look for ${waitMs} ms; it would not stand still. Nothing was changed. Wait until it has ended.`,
    details: { sharer },
  };
}

function tryOnce(
  { memory, guarded, signalReturns, prepare, act }: SwitchRequest,
  rows: UnwindSpace,
  others: OtherStacks,
  rehearsal: StopRehearsal | undefined,
): Tried {
  const scan = new StackScan(memory, guarded, memory.maps(), rows, signalReturns);
  prepare();
  others.prepare();
  rehearsal?.clearUp();
  let waiting: WaitingCall | undefined;
  const lookAndAct = (threads: readonly Tracee[]) => {
    waiting = others.look(threads);
    if (waiting === undefined) act(threads);
  };
  const attempt = attemptStop(memory.pid, scan, lookAndAct, () => rehearsal?.warmUp());
  return { ...attempt, waiting };
}

/** Only objects that a stack leads through are read, when it does. */
function unwindSpace(images: readonly LoadedImage[]): UnwindSpace {
  const modules = images.flatMap((image) => {
    const table = image.unwindTable;
    return table === undefined ? [] : [{ start: image.start, end: image.end, bias: image.bias, table }];
  });
  return new UnwindSpace(modules);
}

function describeActive(
  pid: number,
  { tid, name, stack }: ActiveFunction,
  images: readonly LoadedImage[],
  waitMs: number,
): Refusal {
  const places = stack.map((address) => describeAddress(address, images));
  const shown = places.slice(0, 8).join(", ");
  const where = places.length === 0 ? "its stack cannot be followed" : `its stack: ${shown}`;
  return {
    code: "plan/active-function",
    message: `Thread ${tid} of process ${pid} was in ${name} at every look for ${waitMs} ms; ${where}. Nothing was changed. Wait longer with --wait, or ask the author for the policy "immediate" if the function never returns.`,
    details: { tid, function: name, stack: places },
  };
}

function describeWaiting(
  pid: number,
  { name, address, stack }: WaitingCall,
  images: readonly LoadedImage[],
  waitMs: number,
): Refusal {
  const places = stack.map((one) => describeAddress(one, images));
  const where = places.length === 0 ? "" : `; its stack: ${places.slice(0, 8).join(", ")}`;
  return {
    code: "plan/active-function",
    message: `A call of ${name} waited at every look for ${waitMs} ms in process ${pid} on a stack that no thread runs on, at 0x${address.toString(16)}, as coroutines do${where}. Nothing was changed. Wait longer with --wait, or make the coroutine go on.`,
    details: { function: name, address, stack: places },
  };
}

function describeAddress(address: number, images: readonly LoadedImage[]): string {
  const image = images.find(({ start, end }) => address >= start && address < end);
  const name = image?.path.split("/").at(-1);
  return image === undefined ? `0x${address.toString(16)}` : `${name}+0x${(address - image.bias).toString(16)}`;
}
