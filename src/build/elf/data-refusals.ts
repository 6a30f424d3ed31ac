/** Changes that exchanging code cannot bring about in a process that runs: initial values, thread-local storage, assembly. */
import type { Refusal } from "../../base/refusal.ts";
import type { BinaryImage } from "./binary-image.ts";
import type { Comparison } from "./compare-objects.ts";
import { isFunction, isGlobal, leadingSymbol, type ObjectSection, referredSection } from "./object-file.ts";

export interface DataCheck {
  readonly comparison: Comparison;
  readonly name: string;
  readonly assembler: boolean;
  readonly image: BinaryImage;
  /** Why new thread-local variables cannot be had. */
  readonly noThreadVariables: string | undefined;
}

export function dataRefusals({ comparison, name, assembler, image, noThreadVariables }: DataCheck): Refusal[] {
  const refusals: Refusal[] = [];
  for (const section of comparison.changedVariables) {
    const variable = nameOf(section);
    const before = comparison.pairs.beforeOf(section);
    const what =
      before !== undefined && before.header.size !== section.header.size
        ? `its size goes from ${before.header.size} to ${section.header.size} bytes`
        : "its initial value changes";
    refusals.push({
      code: "build/changed-data",
      message: `The variable ${variable} in ${name} exists in the running process with a value of its own, and ${what}. Leave it as it is, or restart.`,
      details: { variable, source: name },
    });
  }
  for (const section of initialisedAtStart(comparison))
    refusals.push({
      code: "build/changed-data",
      message: `The new variable ${nameOf(section)} in ${name} gets its value by an initialiser that runs when the program is loaded, which has happened in a process that gets the hotpatch: the fixed code would use it as zeros. Put it into a function (static), or give it its value in a hook.`,
      details: { variable: nameOf(section), source: name },
    });
  for (const section of comparison.newThreadVariables)
    refusals.push({
      code: "build/new-thread-variable",
      message: `The fix adds the thread-local variable ${nameOf(section)} in ${name}; threads that run have no room for it, and it cannot be kept beside them: ${noThreadVariables ?? "assembly reaches it as it stands"}.`,
      details: { variable: nameOf(section), source: name },
    });
  for (const section of comparison.changedConstants) {
    const exported = section.symbols.find(
      (symbol) =>
        isGlobal(symbol) && comparison.pairs.beforeOf(section) !== undefined && image.exports.has(symbol.name),
    );
    if (exported !== undefined)
      refusals.push({
        code: "build/changed-data",
        message: `The constant ${exported.name} in ${name} changes and is used by other programs and libraries, which keep the old one.`,
        details: { variable: exported.name, source: name },
      });
  }
  for (const section of comparison.changedCode.keys())
    if (assembler || !isCompiled(section))
      refusals.push({
        code: "build/changed-assembly",
        message: `The assembly code in ${name} changes (section ${section.name}), and where its functions begin and end is not known. Only compiled functions can be exchanged.`,
        details: { section: section.name, source: name },
      });
  return refusals;
}

/** What gcc and clang call the functions that run the initialisers of a C++ source's variables. */
const initialiser = /^_GLOBAL__(sub_)?I_|__static_initialization_and_destruction_0|^__cxx_global_var_init/;

/** New variables that an initialiser sets and that other code uses. */
function initialisedAtStart({ after, newVariables }: Comparison): ObjectSection[] {
  const code = after.sections.filter(({ kind }) => kind === "code");
  const runsAtStart = (section: ObjectSection): boolean => initialiser.test(leadingSymbol(section)?.name ?? "");
  return newVariables.filter((variable) => {
    if (nameOf(variable).startsWith("_ZGV")) return false;
    const users = code.filter(({ references }) =>
      references.some((reference) => referredSection(after, reference) === variable),
    );
    return users.some(runsAtStart) && !users.every(runsAtStart);
  });
}

/** A compiler gives each function a section of its own and says how large it is; assembly at the top level of a C source goes to .text. */
function isCompiled(section: ObjectSection): boolean {
  return section.name !== ".text" && section.symbols.some((symbol) => isFunction(symbol) && symbol.size > 0);
}

function nameOf(section: ObjectSection): string {
  return leadingSymbol(section)?.name ?? section.name;
}
