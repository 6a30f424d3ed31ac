/**
 * Work on several processes: which there are for this user, one after the other, and what came of it in each.
 *
 * Knows no engine; the command and the agent service both go through processes with it.
 */
import { type ErrorCode, RebootlessError } from "../base/errors.ts";
import { type Refusal, RefusalError } from "../base/refusal.ts";
import type { Hotpatch } from "../hotpatch/hotpatch.ts";
import { listProcesses, type ProcessInfo } from "../process/process.ts";
import type { AnyEngine, ProcessReference } from "./engine.ts";

/** Whether this user may change the process at all; root may change those of everybody. */
export function mayTouch({ pid, uid }: Pick<ProcessInfo, "pid" | "uid">): boolean {
  const user = process.geteuid?.() ?? 0;
  return pid !== process.pid && (user === 0 || uid.effective === user);
}

/** Kernel threads have no executable, and what has ended runs nothing. */
export function runsProgram({ executable, state }: Pick<ProcessInfo, "executable" | "state">): boolean {
  return executable !== undefined && state !== "Z" && state !== "X";
}

/** Every process that this user may touch and that may carry the hotpatch, but for the one that asks. */
export function processesFor(engine: AnyEngine, hotpatch: Hotpatch): ProcessReference[] {
  return listProcesses()
    .filter((info) => mayTouch(info) && runsProgram(info) && engine.mayCarry(info, hotpatch))
    .map(({ pid, startTicks }) => ({ pid, startTicks }));
}

/**
 * Those of `roots` and of all processes that descend from them that may carry the hotpatch, parents first, so that what is forked meanwhile is a child of the changed one.
 *
 * Found by the links to parents as they are now: a process whose parent has ended belongs to init.
 */
export function processTree(
  roots: readonly ProcessReference[],
  engine: AnyEngine,
  hotpatch: Hotpatch,
): ProcessReference[] {
  const all = listProcesses();
  const children = Map.groupBy(all, ({ parentPid }) => parentPid);
  const tree = all.filter((info) =>
    roots.some(({ pid, startTicks }) => info.pid === pid && info.startTicks === startTicks),
  );
  for (const { pid } of tree) for (const child of children.get(pid) ?? []) if (!tree.includes(child)) tree.push(child);
  return tree
    .filter((info) => mayTouch(info) && runsProgram(info) && engine.mayCarry(info, hotpatch))
    .map(({ pid, startTicks }) => ({ pid, startTicks }));
}

/** Codes that say that a process is not concerned at all. */
const unconcerned = new Set(["target/package-absent", "target/not-node", "target/gone", "target/not-applied"]);

export function isUnconcerned({ code }: { readonly code: string }): boolean {
  return unconcerned.has(code);
}

export interface Failure {
  readonly code: ErrorCode;
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
}

/** What came of one process. A refusal names the process in its details, and so does a failure. */
export type Treated<Result> =
  | { readonly kind: "done"; readonly target: ProcessReference; readonly result: Result }
  | { readonly kind: "refused"; readonly target: ProcessReference; readonly refusals: readonly Refusal[] }
  | {
      readonly kind: "failed";
      readonly target: ProcessReference;
      readonly failure: Failure;
      readonly error: RebootlessError;
    };

/** Does something in one process; its refusal or failure is an answer. Whatever else is thrown is a bug, and comes through. */
export async function treat<Result>(
  target: ProcessReference,
  action: (target: ProcessReference) => Promise<Result>,
): Promise<Treated<Result>> {
  const { pid } = target;
  try {
    return { kind: "done", target, result: await action(target) };
  } catch (error) {
    if (error instanceof RebootlessError) {
      const failure = { code: error.code, message: error.message, details: { ...error.details, pid } };
      return { kind: "failed", target, failure, error };
    }
    if (!(error instanceof RefusalError)) throw error;
    const refusals = error.refusals.map((refusal) => ({ ...refusal, details: { ...refusal.details, pid } }));
    return { kind: "refused", target, refusals };
  }
}

/** One process after the other, since they share the debugging port. */
export async function treatEach<Result>(
  targets: readonly ProcessReference[],
  action: (target: ProcessReference) => Promise<Result>,
): Promise<Treated<Result>[]> {
  const treated: Treated<Result>[] = [];
  for (const target of targets) treated.push(await treat(target, action));
  return treated;
}
