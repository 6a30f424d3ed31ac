/**
 * What the author asks to be done once the code is in place: signals are sent, commands and notes are for a person to read.
 *
 * A signal goes to the very process that was patched, and never one whose default action would end it while no handler is set.
 */

import { constants } from "node:os";
import { printable } from "../../base/printable.ts";
import type { ElfAction } from "../../hotpatch/elf-manifest.ts";
import { readProcess } from "../../process/process.ts";
import type { ProcessReference } from "../engine.ts";
import { caughtSignals } from "./thread-stop.ts";

export interface DoneAction {
  readonly kind: ElfAction["kind"];
  /** `done`: sent. `asked`: for a person. `left`: not done, for the reason in `text`. */
  readonly state: "done" | "asked" | "left";
  /** A sentence. */
  readonly text: string;
}

/** Signals whose default action is to be ignored, to stop or to go on (signal(7)). */
const harmless: ReadonlySet<string> = new Set(["SIGCHLD", "SIGURG", "SIGWINCH", "SIGCONT"]);

/** Does what can be done unasked, and says the rest. Throws nothing for a process that has ended meanwhile. */
export function doAfterApply(target: ProcessReference, actions: readonly ElfAction[]): DoneAction[] {
  return actions.map((action) => done(target, action));
}

function done(target: ProcessReference, action: ElfAction): DoneAction {
  switch (action.kind) {
    case "note":
      return { kind: "note", state: "asked", text: printable(action.text) };
    case "command":
      return { kind: "command", state: "asked", text: `Run: ${printable(action.command.join(" "))}` };
    case "signal":
      return { kind: "signal", ...sendSignal(target, action.signal) };
  }
}

function sendSignal({ pid, startTicks }: ProcessReference, name: string): Pick<DoneAction, "state" | "text"> {
  const number = (constants.signals as Readonly<Record<string, number | undefined>>)[name];
  if (number === undefined) return { state: "left", text: `${name} is no signal of this system.` };
  if (readProcess(pid)?.startTicks !== startTicks)
    return { state: "left", text: `Process ${pid} has ended before ${name} could be sent.` };
  const isCaught = ((caughtSignals(pid) >> BigInt(number - 1)) & 1n) === 1n;
  if (!isCaught && !harmless.has(name))
    return {
      state: "left",
      text: `${name} was not sent: process ${pid} has no handler for it, and it could end it. Do by hand what it was meant for.`,
    };
  try {
    process.kill(pid, number);
    return { state: "done", text: `${name} was sent to process ${pid}.` };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return { state: "left", text: `${name} could not be sent to process ${pid}: ${code ?? "unknown"}.` };
  }
}
