/** Functions that stay as they are and hold an object whose layout changes: no thread may be inside at the switch. */
import { createHash } from "node:crypto";
import type { ElfFunction } from "../../hotpatch/elf-manifest.ts";
import type { BinaryImage } from "./binary-image.ts";
import type { Comparison } from "./compare-objects.ts";
import { leadingSymbol } from "./object-file.ts";
import { linkedSize, ofSection, type SourceMatch } from "./resolve-expectations.ts";

export interface WatchInput {
  readonly comparison: Comparison;
  readonly match: SourceMatch;
  readonly image: BinaryImage;
  /** Names of the functions, without what a compiler adds to those of clones. */
  readonly names: ReadonlySet<string>;
  readonly known: readonly ElfFunction[];
}

/** What gcc adds to the name of a function that it has cloned or split. */
const cloneSuffix = /\.(isra|part|constprop|cold|lto_priv)\b.*$/;

/** `unfound` are names of functions that the match does not place. */
export function watchedFunctions({ comparison, match, image, names, known }: WatchInput): {
  functions: readonly ElfFunction[];
  unfound: readonly string[];
} {
  const functions: ElfFunction[] = [];
  const unfound: string[] = [];
  for (const section of comparison.before.sections) {
    const name = leadingSymbol(section)?.name;
    if (section.kind !== "code" || name === undefined || !names.has(name.replace(cloneSuffix, ""))) continue;
    const found = ofSection(match, section);
    const sizeBytes = linkedSize(match, section);
    const bytes = found?.kind === "address" ? image.bytesAt(found.address, sizeBytes) : undefined;
    if (found?.kind !== "address" || bytes === undefined) {
      // A linker keeps one of several copies, and none that nobody calls.
      if (section.group === undefined) unfound.push(name);
      continue;
    }
    if ([...known, ...functions].some(({ address }) => address === found.address)) continue;
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    functions.push({ name, address: found.address, sizeBytes, sha256, policy: "quiescent" });
  }
  return { functions, unfound };
}
