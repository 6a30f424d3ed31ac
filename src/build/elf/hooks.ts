/**
 * Hooks of the author: C or C++ files that are compiled as the program is, and whose functions run when the hotpatch is applied and taken back.
 *
 * A hook file is a source of which everything is new; rebootless.h marks the functions by pointers in sections of their own, which stay behind.
 */
import { dirname } from "node:path";
import { RebootlessError } from "../../base/errors.ts";
import type { Refusal } from "../../base/refusal.ts";
import type { ElfChange, ElfHook } from "../../hotpatch/elf-manifest.ts";
import type { CompileUnit } from "./compile-command.ts";
import { leadingSymbol, type ObjectFile, type ObjectSection, referredSection } from "./object-file.ts";
import type { CarriedCode, PatchObject } from "./patch-object.ts";

/** Where rebootless.h and rebootless-shadow.h are. */
export const headerFolder = new URL("./include", import.meta.url).pathname;

type Moment = keyof ElfChange["hooks"];
const moments: Readonly<Record<string, Moment>> = {
  ".rebootless.before_apply": "beforeApply",
  ".rebootless.after_apply": "afterApply",
  ".rebootless.before_revert": "beforeRevert",
  ".rebootless.after_revert": "afterRevert",
  ".rebootless.release": "release",
};
const handlesSection = ".rebootless.handles";
/** What our own runtimes define: a variable that all of a runtime uses, and the function that gives its memory back. */
const runtimes = [
  { state: "rebootless_shadow_table", release: "rebootless_shadow_release" },
  { state: "rebootless_thread_keys", release: "rebootless_thread_release" },
];

/** A hook file as the build would have compiled it: with the compiler and flags of a source that the fix touches, one of its language where there is one. */
export function hookUnit(file: string, touched: readonly CompileUnit[]): CompileUnit {
  const suffix = /\.[^.]*$/.exec(file)?.[0];
  const like = touched.find(({ source }) => suffix !== undefined && source.endsWith(suffix)) ?? touched[0];
  if (like === undefined)
    throw new RebootlessError(
      "usage/arguments",
      "The fix touches no source, so that nothing says how the hooks are to be compiled.",
    );
  // What stands beside that source is found by it without a flag.
  const flags = [...like.flags, `-I${dirname(like.source)}`];
  return { compiler: like.compiler, folder: like.folder, flags, source: file, given: file };
}

interface MarkedHook {
  readonly moment: Moment;
  readonly section: ObjectSection;
}

/** In the order of the object. Throws `usage/arguments` for a mark that leads to no function of the file. */
export function markedHooks(object: ObjectFile): MarkedHook[] {
  return object.sections.flatMap((section) => {
    const moment = moments[section.name];
    if (moment === undefined) return [];
    return section.references.map((reference) => {
      const target = referredSection(object, reference);
      if (target?.kind === "code") return { moment, section: target };
      const { name } = reference.symbol;
      throw new RebootlessError(
        "usage/arguments",
        `The hook ${name} is marked in ${object.name} and not defined there.`,
      );
    });
  });
}

/** Such as `struct:foo` and `data:counter`: changes that the hooks take care of. */
export function handledBy(object: ObjectFile): string[] {
  return object.sections
    .filter(({ name }) => name === handlesSection)
    .flatMap(({ bytes }) => Buffer.from(bytes).toString("utf8").split("\0"))
    .filter((text) => text !== "");
}

/** The code that hooks consist of, to be carried into the hotpatch. */
export function hookSections(objects: readonly ObjectFile[]): ObjectSection[] {
  return objects.flatMap((object) => markedHooks(object).map(({ section }) => section));
}

/** The functions that give back what shadow variables and new thread-local variables hold, where the carried code uses them. */
export function releasesOf(code: readonly CarriedCode[]): ObjectSection[] {
  return runtimes.flatMap(({ state, release }) => {
    for (const { section, source } of code) {
      const uses = section.references.some(({ symbol }) => symbol.name === state);
      const found = source.comparison.after.sections.find((one) => leadingSymbol(one)?.name === release);
      if (uses && found !== undefined) return [found];
    }
    return [];
  });
}

/** The manifest's hooks: what is marked, by the names that the carried code got. */
export function manifestHooks(
  binary: string,
  objects: readonly ObjectFile[],
  { code, finalize }: Pick<PatchObject, "code" | "finalize">,
  releases: readonly ObjectSection[],
): ElfChange["hooks"] {
  // Destructors may use what the runtimes hold, and come before it is given back.
  const found: Partial<Record<Moment, ElfHook[]>> =
    finalize === undefined ? {} : { release: [{ binary, symbol: finalize }] };
  const marks: MarkedHook[] = objects.flatMap(markedHooks);
  for (const section of releases) marks.push({ moment: "release", section });
  for (const { moment, section } of marks) {
    const symbol = code.find((one) => one.section === section)?.symbol;
    if (symbol === undefined) continue;
    found[moment] = [...(found[moment] ?? []), { binary, symbol }];
  }
  return found;
}

/** Refusals that hooks do not take care of, and a sentence for each of the others. */
export function splitHandled(
  refusals: readonly Refusal[],
  handled: readonly string[],
): { readonly left: readonly Refusal[]; readonly notices: readonly string[] } {
  const left: Refusal[] = [];
  const notices: string[] = [];
  for (const refusal of refusals) {
    const { type, variable } = refusal.details ?? {};
    const name =
      refusal.code === "build/changed-layout"
        ? `struct:${type}`
        : refusal.code === "build/changed-data"
          ? `data:${variable}`
          : "";
    if (!handled.includes(name)) left.push(refusal);
    else notices.push(`By the author's word the hooks take care of it: ${refusal.message.split(". ")[0]}.`);
  }
  return { left, notices };
}
