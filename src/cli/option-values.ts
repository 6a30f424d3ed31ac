/** The values that a command line gave to options, as commands want them. */
import path from "node:path";
import { RebootlessError } from "../base/errors.ts";
import { quoted } from "../base/printable.ts";
import type { CommandInput, CommandIo } from "./command.ts";

export function text(input: CommandInput, name: string): string | undefined {
  const value = input.options[name];
  return typeof value === "string" ? value : undefined;
}

export function texts(input: CommandInput, name: string): readonly string[] {
  const value = input.options[name];
  if (typeof value === "string") return [value];
  return Array.isArray(value) ? (value as readonly string[]) : [];
}

/** A whole number of an option, at least 1. Throws `usage/arguments`. */
export function wholeNumber(input: CommandInput, name: string, flag: string): number | undefined {
  const given = text(input, name);
  if (given === undefined) return undefined;
  if (!/^[1-9]\d{0,5}$/.test(given)) {
    throw new RebootlessError("usage/arguments", `${flag} takes a whole number from 1, not ${quoted(given)}.`);
  }
  return Number(given);
}

export function paths(input: CommandInput, name: string, io: CommandIo): string[] {
  return texts(input, name).map((given) => path.resolve(io.cwd, given));
}

/** One of the words that are known; undefined where none was given. Throws `usage/arguments`. */
export function oneOf<Word extends string>(known: readonly Word[], given: string | undefined, flag: string) {
  const found = known.find((word) => word === given);
  if (given === undefined || found !== undefined) return found;
  throw new RebootlessError("usage/arguments", `${flag} takes ${known.join(", ")}, not ${quoted(given)}.`);
}

/** An instant as the contract has it; `now` is the present. Throws `usage/arguments`. */
export function instantOf(given: string | undefined, flag: string): string | undefined {
  if (given === undefined) return undefined;
  const at = given === "now" ? new Date() : new Date(given);
  // Without a zone it would be the zone of this machine, which is hardly that of the server.
  if (Number.isNaN(at.getTime()) || !(given === "now" || /(Z|[+-]\d\d:\d\d)$/.test(given))) {
    throw new RebootlessError(
      "usage/arguments",
      `${flag} takes a time such as 2026-05-01T04:00:00Z, not ${quoted(given)}.`,
    );
  }
  return at.toISOString();
}
