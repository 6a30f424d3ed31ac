/** `--dry-run` for commands that change something on a server: the server does it, looks, and undoes it. */
import type { DryRun } from "../api/schemas/dry-run.ts";
import { printable } from "../base/printable.ts";
import type { CommandResult, CommandSpec } from "./command.ts";

const shownEvents = 20;

/** The same command, which can be tried out. */
export function withDryRun(spec: CommandSpec): CommandSpec {
  return {
    ...spec,
    options: [
      ...(spec.options ?? []),
      { flags: "--dry-run", description: "have the server say what it would do, and change nothing" },
    ],
    async run(input, io) {
      if (input.options.dryRun !== true) return await spec.run(input, io);
      const trial: DryRun[] = [];
      await spec.run({ ...input, trial }, io);
      return told(trial);
    },
  };
}

function told(trial: readonly DryRun[]): CommandResult {
  const events = trial.flatMap((one) => one.events);
  const eventCount = trial.reduce((sum, one) => sum + one.eventCount, 0);
  const shown = events.slice(0, shownEvents).map(({ kind, subject, data }) => {
    const more = Object.entries(data).map(([name, value]) => `${name}=${inWords(value)}`);
    return `  ${[kind, subject, ...more].map(printable).join("  ")}`;
  });
  const rest = eventCount - shown.length;
  const lines = eventCount === 0 ? ["It would change nothing."] : ["It would:", ...shown];
  const text = [...lines, ...(rest === 0 ? [] : [`  and ${rest} more`]), "Nothing was changed."].join("\n");
  return { data: { dryRun: true, events, eventCount }, text };
}

function inWords(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
