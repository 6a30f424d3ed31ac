/**
 * Link-time optimisation may have put a copy of a changed function into any other function of the program.
 *
 * Objects are compared as they are without it, so each function that calls a changed one has to be found in the binary as it is without it too: then its call is really there.
 */
import type { Refusal } from "../../base/refusal.ts";
import { sectionIndex } from "../../elf/constants.ts";
import type { BinaryImage } from "./binary-image.ts";
import type { BuiltVersions } from "./build-versions.ts";
import { compileAgain, inParallel } from "./compile-again.ts";
import { type CompileUnit, isAssembler } from "./compile-command.ts";
import { matchObject } from "./match-object.ts";
import { isGlobal, leadingSymbol, type ObjectFile, type ObjectSection } from "./object-file.ts";
import { type BinarySource, replacedSections } from "./replaced-functions.ts";
import { ofSection } from "./resolve-expectations.ts";

function hasLinkTimeOptimisation({ flags }: CompileUnit): boolean {
  const last = flags.findLast((flag) => /^-f(no-)?lto(=|$)/.test(flag));
  return last !== undefined && !last.startsWith("-fno");
}

/** Callers of changed functions that were not found; empty where nothing was compiled for optimisation at link time. */
export async function inlinedElsewhere(
  sources: readonly BinarySource[],
  built: BuiltVersions,
  image: BinaryImage,
): Promise<Refusal[]> {
  if (!sources.some(({ unit }) => hasLinkTimeOptimisation(unit.unit))) return [];
  const refusals: Refusal[] = [];
  const names = new Set<string>();
  for (const source of sources) {
    const replaced = new Set(replacedSections(source.comparison).map(({ before }) => before));
    for (const before of replaced) {
      for (const symbol of before.symbols) if (isGlobal(symbol)) names.add(symbol.name);
      for (const caller of callers(source.comparison.before, (section) => section === before))
        if (!replaced.has(caller) && ofSection(source.match, caller)?.kind !== "address")
          refusals.push(refusal(before, caller, source.name));
    }
  }
  const touched = new Set(built.touched.map(({ unit }) => unit));
  const others = built.units.filter((unit) => !touched.has(unit) && !isAssembler(unit));
  const found = await inParallel(others, async (unit, index) => {
    const object = await compileAgain(unit, "sections", built.options, `caller-${index}`);
    return callersElsewhere(object, names, image).map(({ called, section }) => refusal(called, section, unit.given));
  });
  return [...refusals, ...found.flat()];
}

/** Functions of another source's object that call one of the names and that were not found, though the object was. */
function callersElsewhere(
  object: ObjectFile,
  names: ReadonlySet<string>,
  image: BinaryImage,
): { called: string; section: ObjectSection }[] {
  const wanted = object.symbols.filter(({ name, section }) => section === sectionIndex.undefined && names.has(name));
  if (wanted.length === 0) return [];
  const match = matchObject(object, image);
  if (match.foundBytes === 0) return [];
  return object.sections.flatMap((section) => {
    const called = section.references.find(({ symbol }) => wanted.includes(symbol))?.symbol.name;
    const caller = leadingSymbol(section);
    if (section.kind !== "code" || called === undefined || caller === undefined) return [];
    return match.resolve(caller) === undefined ? [{ called, section }] : [];
  });
}

function callers(object: ObjectFile, is: (section: ObjectSection) => boolean): ObjectSection[] {
  return object.sections.filter(
    ({ kind, references }) =>
      kind === "code" &&
      references.some(({ symbol }) => {
        const target = object.section(symbol.section);
        return target !== undefined && is(target);
      }),
  );
}

function refusal(callee: ObjectSection | string, caller: ObjectSection, source: string): Refusal {
  const name = typeof callee === "string" ? callee : (leadingSymbol(callee)?.name ?? callee.name);
  const where = leadingSymbol(caller)?.name ?? caller.name;
  return {
    code: "build/not-matched",
    message: `${name} changes, and ${where} (${source}), which calls it, was not found in the binary: link-time optimisation may have put a copy of ${name} into it. Build without -flto, or restart.`,
    details: { function: name, caller: where, source },
  };
}
