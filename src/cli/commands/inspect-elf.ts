/**
 * What `inspect` shows of a hotpatch for native programs: from its manifest and from the objects that it carries.
 *
 * The objects are read as data; nothing of them is linked or run.
 */
import { printable } from "../../base/printable.ts";
import { type Named, type ObjectContents, objectContents } from "../../build/elf/object-contents.ts";
import type { ElfBinary, ElfChange } from "../../hotpatch/elf-manifest.ts";
import type { Hotpatch } from "../../hotpatch/hotpatch.ts";
import { elfChangeOf } from "../../hotpatch/manifest.ts";

/** More names than this are counted rather than shown; --json gives them all. */
const shownNames = 30;

/** `low`: bodies of functions alone; `raised`: more than that; `high`: code of the author's runs in the process, or something has to be watched by a person. */
interface Risk {
  readonly level: "low" | "raised" | "high";
  readonly reasons: readonly string[];
}

/** The manifest's section with what the objects say. Throws `elf/…` and `binary/…` where an object is damaged. */
export function elfInspectionData(hotpatch: Hotpatch): object {
  const change = elfChangeOf(hotpatch.manifest);
  const contents = change.binaries.map((binary) => contentsOf(binary, hotpatch));
  return {
    ...change,
    binaries: change.binaries.map((binary, index) => {
      const { functions, variables, constants, codeBytes, dataBytes } = contents[index] as ObjectContents;
      return {
        ...binary,
        functions: binary.functions.map((one) => ({
          ...one,
          newSizeBytes: functions.get(one.replacement ?? "") ?? null,
        })),
        newFunctions: newFunctions(binary, functions),
        newVariables: variables,
        newConstants: constants,
        codeBytes,
        dataBytes,
      };
    }),
    risk: riskOf(change, contents),
  };
}

export function elfInspectionText(hotpatch: Hotpatch): string[] {
  const change = elfChangeOf(hotpatch.manifest);
  const contents = change.binaries.map((binary) => contentsOf(binary, hotpatch));
  const actions = change.afterApply.map((action) => {
    if (action.kind === "note") return printable(action.text);
    return action.kind === "signal" ? `send ${action.signal}` : `run ${printable(action.command.join(" "))}`;
  });
  const risk = riskOf(change, contents);
  return [
    ...change.binaries.flatMap((binary, index) => describeBinary(binary, contents[index] as ObjectContents)),
    ...Object.entries(change.hooks).flatMap(([moment, found]) =>
      found.map(({ symbol, binary }) => `Hook ${moment}: ${printable(symbol)} of ${printable(binary)}`),
    ),
    ...actions.map((action) => `After applying: ${action}`),
    ...change.notices.map((notice) => `Note: ${printable(notice)}`),
    `Risk: ${risk.level}${risk.reasons.length === 0 ? "" : ` (${risk.reasons.join("; ")})`}`,
  ];
}

function newFunctions({ functions }: ElfBinary, inObject: ReadonlyMap<string, number>): Named[] {
  const replacing = new Set(functions.flatMap(({ replacement, name }) => [replacement ?? name]));
  return [...inObject].filter(([name]) => !replacing.has(name)).map(([name, sizeBytes]) => ({ name, sizeBytes }));
}

function contentsOf({ object }: ElfBinary, { payloads }: Hotpatch): ObjectContents {
  return objectContents(payloads.get(object) ?? new Uint8Array(0));
}

function riskOf(change: ElfChange, contents: readonly ObjectContents[]): Risk {
  const { binaries, hooks, afterApply, notices } = change;
  const immediate = binaries.flatMap(({ functions }) => functions).filter(({ policy }) => policy === "immediate");
  const high = [
    ...(Object.keys(hooks).length === 0 ? [] : ["hooks of the author's run in the process"]),
    ...(immediate.length === 0 ? [] : [`${count(immediate.length, "function")} switched while threads may be inside`]),
    ...(notices.length === 0 ? [] : [`${count(notices.length, "note")} to heed`]),
  ];
  const variables = contents.flatMap((one) => one.variables).length;
  const imported = binaries
    .flatMap(({ symbols }) => symbols)
    .filter((symbol) => symbol.kind === "import" && symbol.library);
  const raised = [
    ...(binaries.length > 1 ? [`${binaries.length} binaries at one instant`] : []),
    ...(variables === 0 ? [] : [`${count(variables, "new variable")}, lost with a revert`]),
    ...(imported.length === 0 ? [] : [`${count(imported.length, "import")} that the program did not have`]),
    ...(afterApply.length === 0 ? [] : [`${count(afterApply.length, "thing")} to do after applying`]),
  ];
  const reasons = [...high, ...raised];
  if (high.length > 0) return { level: "high", reasons };
  return raised.length > 0 ? { level: "raised", reasons } : { level: "low", reasons: ["bodies of functions alone"] };
}

function describeBinary(binary: ElfBinary, contents: ObjectContents): string[] {
  const { name, type, buildId, functions, symbols } = binary;
  const own = symbols.filter(({ kind }) => kind !== "import").map((symbol) => symbol.name);
  const imports = symbols.flatMap((symbol) =>
    symbol.kind === "import"
      ? [
          `${symbol.symbol ?? symbol.name}${symbol.version === undefined ? "" : `@${symbol.version}`}${symbol.library === undefined ? "" : ` (new, of ${symbol.library})`}`,
        ]
      : [],
  );
  return [
    `Changes ${count(functions.length, "function")} of the ${type} ${printable(name)} (build-id ${buildId}), with ${bytesText(contents.codeBytes)} of code and ${bytesText(contents.dataBytes)} of data:`,
    ...functions.map((one) => `  ${describeFunction(one, contents)}`),
    ...listed("new functions", newFunctions(binary, contents.functions).map(sized)),
    ...listed("new variables", contents.variables.map(sized)),
    ...listed("new constants", contents.constants.map(sized)),
    ...listed("refers to", own.map(printable)),
    ...listed("imports", imports.map(printable)),
  ];
}

function describeFunction(one: ElfBinary["functions"][number], { functions }: ObjectContents): string {
  const size = one.replacement === undefined ? undefined : functions.get(one.replacement);
  const becomes = size === undefined ? "" : `, ${bytesText(size)} from now on`;
  const how = one.replacement === undefined ? "watched, not redirected" : one.policy;
  const why = one.reason === undefined ? "" : `; ${printable(one.reason)}`;
  return `${printable(one.name)} (${bytesText(one.sizeBytes)} at 0x${one.address.toString(16)}${becomes}; ${how}${why})`;
}

function sized({ name, sizeBytes }: Named): string {
  return `${printable(name)} (${bytesText(sizeBytes)})`;
}

function listed(label: string, items: readonly string[]): string[] {
  if (items.length === 0) return [];
  const more = items.length - shownNames;
  return [`    ${label}: ${items.slice(0, shownNames).join(", ")}${more > 0 ? ` and ${more} more` : ""}`];
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}

function bytesText(sizeBytes: number): string {
  return count(sizeBytes, "byte");
}
