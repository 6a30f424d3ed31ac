/** What a native hotpatch changes, function by function, as lines. Pure; every name stays text. */
import type { Hotpatch } from "../api/schemas/hotpatches.ts";

/** A line for each binary: its build-id, and the functions that are exchanged in it; nothing for a hotpatch of another kind. */
export function changeLines({ binaries = [] }: Pick<Hotpatch, "binaries">): readonly string[] {
  return binaries.map(({ name, buildId, functions, functionCount }) => {
    const named = functions.map((one) => `${one.name} (${one.sizeBytes} bytes)`).join(", ");
    const more = functionCount > functions.length ? ` and ${functionCount - functions.length} more` : "";
    const count = functionCount === 1 ? "1 function" : `${functionCount} functions`;
    return `Changes ${count} of ${name} with the build-id ${buildId}: ${named}${more}`;
  });
}
