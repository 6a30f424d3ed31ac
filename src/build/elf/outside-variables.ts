/**
 * Variables of libraries that a fix uses for the first time, such as `stderr`.
 *
 * In code for a program the compiler takes them for near, since the linker would give the program copies of them (copy relocations, psABI §4.4.1, R_X86_64_COPY); a process that runs has none, and its libraries are out of reach of 32 bits.
 * Sources with such a first use are compiled so that what other objects define is reached through addresses in a table, as in a library. Pure but for asking the compiler what it knows.
 */
import { sectionIndex } from "../../elf/constants.ts";
import type { CompileUnit } from "./compile-command.ts";
import { relocation } from "./linked-fields.ts";
import type { ObjectFile } from "./object-file.ts";
import { runCommand } from "./run-command.ts";

/** Fields that hold an address or a distance in 32 bits, and are not those of calls. */
const near: ReadonlySet<number> = new Set([relocation.pc32, relocation.abs32, relocation.abs32Signed]);

/** Names that an object's code takes for near although another object defines them. */
function takenForNear({ sections }: ObjectFile): Set<string> {
  const names = new Set<string>();
  for (const { kind, references } of sections) {
    if (kind !== "code") continue;
    for (const { type, symbol } of references)
      if (near.has(type) && symbol.section === sectionIndex.undefined) names.add(symbol.name);
  }
  return names;
}

/** Whether the fixed object takes something for near that the one before does not know at all. */
export function reachesNewOutside(before: ObjectFile, after: ObjectFile): boolean {
  const known = new Set(before.symbols.map(({ name }) => name));
  return [...takenForNear(after)].some((name) => !known.has(name));
}

/** gcc 12 and later; clang 12 and later. */
const flags = ["-mno-direct-extern-access", "-fno-direct-access-external-data"] as const;

/** What makes this compiler take nothing of other objects for near; none where it knows no such flag, and code out of reach is refused when it is applied. */
export async function indirectAccessFlags(
  { compiler, folder }: CompileUnit,
  env: NodeJS.ProcessEnv,
): Promise<readonly string[]> {
  for (const flag of flags) {
    const asked = [compiler, "-Werror", flag, "-x", "c", "-fsyntax-only", "/dev/null"];
    if ((await runCommand(asked, { cwd: folder, env })).code === 0) return [flag];
  }
  return [];
}
