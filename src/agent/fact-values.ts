/** Values of facts from what a stranger may have written: printable, and within the contract's bounds. */
import { printable } from "../base/printable.ts";

const textCharacters = 200;
const listed = 64;

export function text(value: string): string {
  return printable(value.slice(0, textCharacters)).slice(0, 4096);
}

export function list(values: readonly string[]): string[] {
  return values.slice(0, listed).map((value) => text(value).slice(0, 512));
}

/** In the order of the names, so that the same entries are the same text each time. */
export function map(entries: readonly (readonly [name: string, value: string])[]): Record<string, string> {
  const told = entries.map(
    ([name, value]) => [text(name.replaceAll(/\s/g, " ")).slice(0, 256), text(value).slice(0, 512)] as const,
  );
  return Object.fromEntries(told.filter(([name]) => name !== "").toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
}
