/**
 * The calls that an apply and a revert make in the target: resolvers, the unwinder, hooks.
 *
 * What has been registered is marked by the thread itself in patch memory, so that whoever comes next knows what to take back.
 */
import { RefusalError, refuse } from "../../base/refusal.ts";
import { type CallNeeds, CallThreads, withCallThread } from "./call-thread.ts";
import type { PlannedCalls } from "./plan-calls.ts";
import type { ProcessMemory } from "./process-memory.ts";
import type { PatchRecord, RecordedCalls, RecordedHook } from "./record.ts";
import type { Gadgets } from "./remote-call.ts";
import { callFunctions, type FunctionCall, isDone } from "./remote-function.ts";
import type { Tracee } from "./tracee.ts";

/** Resolvers and the unwinder answer within microseconds; more is a lock that is held, or a page that does not come. */
const callTimeoutMs = 5000;
/** While every thread stands still. */
const heldHookTimeoutMs = 1000;
const hookTimeoutMs = 10_000;

export interface TargetCallsInput {
  readonly memory: ProcessMemory;
  readonly gadgets: Gadgets;
  readonly calls: RecordedCalls;
  /** How long to look for a thread that can make a call. */
  readonly waitMs: number;
}

/** The addresses that resolvers of IFUNC symbols choose, by resolver. */
export async function askResolvers(
  input: TargetCallsInput,
  { resolvers }: PlannedCalls,
): Promise<ReadonlyMap<number, number>> {
  const results = await callAll(input, "any", resolvers, scratch(input.calls));
  return new Map(resolvers.map(({ address }, index) => [address, results[index] as number]));
}

/** Makes the unwind entries of new code known. */
export async function registerFrames(input: TargetCallsInput, { registrations }: PlannedCalls): Promise<void> {
  await callAll(input, "unlocked", registrations, 0);
}

/** What was registered and not taken back; the unwinder must forget it before the memory goes. */
export async function deregisterFrames(input: TargetCallsInput): Promise<void> {
  const { calls, memory } = input;
  const count = calls.frames.length;
  for (const [index, { begin, deregister }] of calls.frames.entries()) {
    if (!isDone(memory, calls, index) || isDone(memory, calls, count + index)) continue;
    const call = { name: "the deregistration of unwind entries", address: deregister, arguments: [begin] };
    await callAll(input, "unlocked", [call], count + index);
  }
}

/** While the process runs; refuses with `target/hook-failed`. */
export async function runHooks(input: TargetCallsInput, hooks: readonly RecordedHook[]): Promise<void> {
  for (const { name, address } of hooks) {
    const [result] = await asHook(name, () =>
      callAll(input, "unlocked", [{ name, address, arguments: [] }], scratch(input.calls), hookTimeoutMs),
    );
    checkResult(name, result as number);
  }
}

/** Runs hooks in the stop; refuses with `target/hook-failed`. */
export type HeldHooks = (threads: readonly Tracee[]) => void;

/** What can be done before the stop for hooks that run in it, by one of the threads that stand still, which is best one that holds no lock. */
export function prepareHeldHooks(input: TargetCallsInput, hooks: readonly RecordedHook[]): HeldHooks {
  if (hooks.length === 0) return () => undefined;
  const choice = new CallThreads(input.memory);
  return (threads) => runHeldHooks(input, hooks, threads, choice);
}

function runHeldHooks(
  { memory, gadgets, calls }: TargetCallsInput,
  hooks: readonly RecordedHook[],
  threads: readonly Tracee[],
  choice: CallThreads,
): void {
  const stopped = threads.filter((tracee) => tracee.state === "stopped" && tracee.readRegisters());
  const tracee = stopped.find((candidate) => choice.holdsNoLock(candidate)) ?? stopped[0];
  if (tracee === undefined) refuse("target/no-thread", `No thread of process ${memory.pid} can call the hooks.`);
  for (const { name, address } of hooks) {
    const [result] = asHeldHook(name, () =>
      callFunctions({ tracee, memory, gadgets, room: calls }, [{ name, address, arguments: [] }], {
        first: scratch(calls),
        timeoutMs: heldHookTimeoutMs,
      }),
    );
    checkResult(name, result as number);
  }
}

/** Entries of the list behind those that keep marks. */
function scratch({ frames }: Pick<RecordedCalls, "frames">): number {
  return frames.length * 2;
}

async function callAll(
  { memory, gadgets, calls: room, waitMs }: TargetCallsInput,
  needs: CallNeeds,
  calls: readonly FunctionCall[],
  first: number,
  timeoutMs = callTimeoutMs,
): Promise<number[]> {
  if (calls.length === 0) return [];
  return await withCallThread(memory, needs, waitMs, (tracee) =>
    callFunctions({ tracee, memory, gadgets, room }, calls, { first, timeoutMs }),
  );
}

function checkResult(name: string, result: number): void {
  // `int`: the upper half of the register is undefined (psABI §3.2.3).
  const code = Number(BigInt.asIntN(32, BigInt(result)));
  if (code !== 0)
    refuse("target/hook-failed", `The hook ${name} answered ${code}, so the change was not made.`, {
      hook: name,
      code,
    });
}

async function asHook<T>(name: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    return failedHook(name, error);
  }
}

function asHeldHook<T>(name: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    return failedHook(name, error);
  }
}

function failedHook(name: string, error: unknown): never {
  if (!(error instanceof RefusalError) || error.refusals[0]?.code !== "target/call-failed") throw error;
  throw new RefusalError(
    { code: "target/hook-failed", message: error.refusals[0].message, details: { hook: name } },
    { cause: error },
  );
}

export function callsOf(
  record: PatchRecord,
  memory: ProcessMemory,
  gadgets: Gadgets,
  waitMs: number,
): TargetCallsInput | undefined {
  return record.calls === undefined ? undefined : { memory, gadgets, calls: record.calls, waitMs };
}
