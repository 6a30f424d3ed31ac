/** Code that no thread may be inside when a hotpatch takes effect or is taken out. Pure. */
import type { PatchRecord, RecordedFunction } from "./record.ts";
import type { GuardedRange } from "./stack-scan.ts";

/** The old functions, or for immediate ones the bytes that the jump overwrites. */
export function rangesForApply(functions: readonly RecordedFunction[]): GuardedRange[] {
  return functions.map(({ name, address, sizeBytes, entry, jump, immediate }) =>
    immediate
      ? { name, start: entry + 1, end: entry + jump.length / 2 }
      : { name, start: address, end: address + sizeBytes },
  );
}

/** The new functions by name, and all other code of the hotpatch: gates, helpers, stubs. */
export function rangesForRevert({ id, functions, areas }: PatchRecord): GuardedRange[] {
  const replacements = functions.map(({ name, replacement, replacementBytes }) => ({
    name: `${name} (new)`,
    start: replacement,
    end: replacement + replacementBytes,
  }));
  const code = areas
    .filter(({ kind }) => kind === "code")
    .map(({ address, sizeBytes }) => ({ name: `the code of ${id}`, start: address, end: address + sizeBytes }));
  return [...replacements, ...code];
}
