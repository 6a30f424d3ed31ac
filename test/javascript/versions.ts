/** Two texts of one file, through the whole of src/javascript. */
import { compareVersions } from "../../src/javascript/difference.ts";
import { type LiveText, writeLiveText } from "../../src/javascript/live-text.ts";
import { type ModuleFormat, parseSource } from "../../src/javascript/syntax.ts";

export const registry = "__rebootless_000000000000";

export function liveText(
  before: string,
  after: string,
  { format = "commonjs", forced = [] }: { format?: ModuleFormat; forced?: readonly string[] } = {},
): LiveText {
  const difference = compareVersions(parseSource("a.js", before, format), parseSource("a.js", after, format));
  return writeLiveText(difference, registry, new Set(forced));
}

/** The delta with a short name for the registry, one statement a line. */
export function deltaOf(live: LiveText): string {
  return (live.delta?.text ?? "").replaceAll(registry, "R").trim();
}
