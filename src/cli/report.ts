/**
 * How each kind of ending is told: done, failed, wrong usage, refused.
 *
 * The one place that maps results, refusals and errors to text, JSON and exit codes; it prints nothing by itself.
 */
import { RebootlessError } from "../base/errors.ts";
import { RefusalError } from "../base/refusal.ts";
import type { CommandResult } from "./command.ts";
import { coloured, jsonLine, printableLine, printableText } from "./terminal.ts";

export const exitCodes = { done: 0, failed: 1, usage: 2, refused: 3, interrupted: 130 } as const;

export interface ReportStyle {
  readonly json: boolean;
  /** Colours on standard error. */
  readonly colour: boolean;
  /** REBOOTLESS_DEBUG=1: stacks and causes as well. */
  readonly debug: boolean;
}

export interface Report {
  readonly out: string;
  readonly error: string;
  readonly exitCode: number;
}

export function reportResult(result: CommandResult, style: ReportStyle): Report {
  const exitCode = result.exitCode ?? exitCodes.done;
  if (style.json) return { out: jsonLine(result.data), error: "", exitCode };
  const text = printableText(result.text);
  return { out: text === "" || text.endsWith("\n") ? text : `${text}\n`, error: "", exitCode };
}

/** For whatever a command threw. */
export function reportThrown(thrown: unknown, style: ReportStyle): Report {
  const debug = style.debug ? printableText(debugText(thrown)) : "";
  if (thrown instanceof RefusalError) {
    const lines = thrown.refusals.map(({ message }) => errorLine("refused", message, style));
    return style.json
      ? { out: jsonLine({ refused: thrown.refusals }), error: debug, exitCode: exitCodes.refused }
      : { out: "", error: lines.join("") + debug, exitCode: exitCodes.refused };
  }
  const error = thrown instanceof RebootlessError ? thrown : unexpected(thrown);
  const message = error.kind === "bug" ? `${error.message} ${askToReport}` : error.message;
  const exitCode = error.kind === "usage" ? exitCodes.usage : exitCodes.failed;
  if (style.json) {
    return { out: jsonLine({ error: { code: error.code, message, details: error.details } }), error: debug, exitCode };
  }
  return { out: "", error: errorLine("error", message, style) + debug, exitCode };
}

export function errorLine(label: string, message: string, style: Pick<ReportStyle, "colour">): string {
  return `${coloured(`${label}:`, label === "warning" || label === "refused" ? "yellow" : "red", style.colour)} ${printableLine(message)}\n`;
}

const askToReport =
  "This is a bug in rebootless: please report it, with the command line and what REBOOTLESS_DEBUG=1 adds to this message.";

function unexpected(thrown: unknown): RebootlessError {
  const what = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown);
  const sentence = /[.!?]$/.test(what) ? what : `${what}.`;
  return new RebootlessError("bug/invariant", `Something went wrong that should not: ${sentence}`, { cause: thrown });
}

function debugText(thrown: unknown): string {
  const lines: string[] = [];
  const seen = new Set<unknown>();
  for (
    let error = thrown;
    error !== undefined && !seen.has(error);
    error = error instanceof Error ? error.cause : undefined
  ) {
    seen.add(error);
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
    lines.push(seen.size === 1 ? stack : `caused by: ${stack}`);
  }
  return `${lines.join("\n")}\n`;
}
