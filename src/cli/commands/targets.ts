/**
 * Naming of processes on the command line: `--pid N`, or `--all` for every process that this user may touch and that the hotpatch may be for.
 */
import { RebootlessError } from "../../base/errors.ts";
import { type Refusal, RefusalError } from "../../base/refusal.ts";
import type { AnyEngine, ProcessReference } from "../../engine/engine.ts";
import { type Failure, isUnconcerned, processesFor, processTree, treatEach } from "../../engine/sweep.ts";
import type { Hotpatch } from "../../hotpatch/hotpatch.ts";
import { readProcess } from "../../process/process.ts";
import type { CommandInput, CommandOption } from "../command.ts";

export const targetOptions: readonly CommandOption[] = [
  { flags: "--pid <number>", description: "the process; may be given more than once", repeatable: true },
  {
    flags: "--all",
    description: "every process of this user (of every user, as root) that has what the hotpatch changes",
  },
  {
    flags: "--tree",
    description:
      "with --pid: a master with its workers, that is all processes that descend from it, those that it starts meanwhile too",
  },
];

export interface Targets {
  readonly processes: readonly ProcessReference[];
  /** With --all, processes that have nothing to do with the hotpatch are passed over in silence. */
  readonly isSweep: boolean;
  /** With --tree: the processes of the tree as they are now. */
  readonly again?: () => readonly ProcessReference[];
}

/** Throws `usage/arguments`. */
export function checkTargetOptions(input: CommandInput): void {
  const given = input.options.pid as readonly string[] | undefined;
  const isSweep = input.options.all === true;
  if (isSweep === (given !== undefined && given.length > 0)) {
    throw new RebootlessError(
      "usage/arguments",
      "Say which processes: either --pid N (more than once if need be) or --all.",
    );
  }
  if (input.options.tree === true && isSweep)
    throw new RebootlessError("usage/arguments", "--tree goes with --pid; --all has every process anyway.");
  for (const text of given ?? []) findProcess(text);
}

/** Throws `usage/arguments` or `input/process-missing`. The engine decides what --all means. */
export function findTargets(input: CommandInput, engine: AnyEngine, hotpatch: Hotpatch): Targets {
  checkTargetOptions(input);
  const given = input.options.pid as readonly string[] | undefined;
  const isSweep = input.options.all === true;
  if (isSweep) return { processes: processesFor(engine, hotpatch), isSweep };
  const processes = (given ?? []).map(findProcess);
  if (input.options.tree !== true) return { processes, isSweep };
  const again = () => processTree(processes, engine, hotpatch);
  return { processes: again(), isSweep, again };
}

function findProcess(text: string): ProcessReference {
  const pid = /^[1-9]\d{0,9}$/.test(text) ? Number(text) : undefined;
  if (pid === undefined) throw new RebootlessError("usage/arguments", `${JSON.stringify(text)} is not a process id.`);
  const found = readProcess(pid);
  if (found === undefined)
    throw new RebootlessError("input/process-missing", `There is no process ${pid}.`, { details: { pid } });
  return { pid, startTicks: found.startTicks };
}

/** A tree that goes on forking from processes that have been changed needs no more than two. */
const mostTreeRounds = 10;

export interface Swept<T> {
  readonly results: readonly T[];
  readonly refused: readonly Refusal[];
  /** What went wrong in one process does not keep the others from being served. */
  readonly failed: readonly Failure[];
}

/**
 * One process after the other, since they share the debugging port.
 * A refusal or a failure for one process does not keep the others from being served; when none was served, it is the answer.
 */
export async function eachTarget<T>(
  { processes, isSweep, again }: Targets,
  action: (target: ProcessReference) => Promise<T>,
): Promise<Swept<T>> {
  const treated = await treatEach(processes, action);
  // A worker may have been forked by a process that was not changed yet; those of changed ones are changed already, and say so.
  for (let round = 0; round < mostTreeRounds; round++) {
    const known = new Set(treated.map(({ target }) => `${target.pid}:${target.startTicks}`));
    const fresh = (again?.() ?? []).filter(({ pid, startTicks }) => !known.has(`${pid}:${startTicks}`));
    if (fresh.length === 0) break;
    treated.push(...(await treatEach(fresh, action)));
  }
  const results = treated.flatMap((entry) => (entry.kind === "done" ? [entry.result] : []));
  const failures = treated.flatMap((entry) => (entry.kind === "failed" ? [entry] : []));
  const refused = treated
    .flatMap((entry) => (entry.kind === "refused" ? entry.refusals : []))
    .filter((refusal) => !(isSweep ? isUnconcerned(refusal) : again !== undefined && refusal.code === "target/gone"));
  if (results.length === 0 && failures[0] !== undefined) throw failures[0].error;
  if (results.length === 0 && refused.length > 0) throw new RefusalError(refused);
  if (results.length === 0) {
    throw new RefusalError({
      code: "target/package-absent",
      message: "No process that this user may touch has loaded what the hotpatch changes.",
    });
  }
  return { results, refused, failed: failures.map(({ failure }) => failure) };
}
