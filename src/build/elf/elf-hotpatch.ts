/**
 * From a fix of a C or C++ program to a hotpatch, in the steps that `buildElfHotpatch` reads as.
 *
 * Deterministic: the same sources, compiler and binaries give the same bytes.
 */
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { basename, join, relative, resolve } from "node:path";
import { RebootlessError } from "../../base/errors.ts";
import { RefusalError, refuse } from "../../base/refusal.ts";
import { fileType } from "../../elf/constants.ts";
import type { ElfAction, ElfChange } from "../../hotpatch/elf-manifest.ts";
import type { Hotpatch } from "../../hotpatch/hotpatch.ts";
import type { Advisory, Manifest } from "../../hotpatch/manifest.ts";
import { inWorkFolder } from "../work-folder.ts";
import { type BinaryImage, readBinary } from "./binary-image.ts";
import { type BuiltVersions, buildBothVersions, type VersionsInput, type VersionsOptions } from "./build-versions.ts";
import { compareObjects } from "./compare-objects.ts";
import { sourcesOfBinary } from "./linked-sources.ts";
import { type BuiltBinary, type CodeReport, patchBinary } from "./patch-binary.ts";

export interface ElfBuildInput extends VersionsInput {
  /** The binaries that run; found from the build's links where empty. */
  readonly binaries: readonly string[];
  /** Binaries that may be built from the source; taken where none is named, and those that hold nothing of the fix are passed over. */
  readonly installed?: readonly string[];
  /** Structs whose layout changes and whose objects, by the author's word, live no longer than a call. */
  readonly shortLived: readonly string[];
  /** Such as `struct:foo` and `data:counter`: changes that hooks take care of, by the author's word. */
  readonly handled?: readonly string[];
}

export interface ElfBuildOptions extends VersionsOptions {
  readonly advisories: readonly Advisory[];
  readonly sequence: number;
  /** Ids of hotpatches whose place it takes. */
  readonly supersedes?: readonly string[];
  readonly afterApply: readonly ElfAction[];
  /** Of the package, for people. */
  readonly version?: string;
  /** What is to be said besides what the build finds. */
  readonly notices?: readonly string[];
}

/** What is said about the build besides what the manifest holds. */
export interface ElfBuildReport {
  readonly binaries: readonly {
    readonly name: string;
    readonly path: string;
    readonly code: readonly CodeReport[];
    readonly newVariables: readonly { readonly name: string; readonly size: number }[];
  }[];
  readonly changedFiles: readonly string[];
}

/** Refuses with `build/…` where a running process could not get the fix; throws `failure/command` where the build fails. */
export async function buildElfHotpatch(
  input: ElfBuildInput,
  options: ElfBuildOptions,
): Promise<{ hotpatch: Hotpatch; report: ElfBuildReport }> {
  return await inWorkFolder(async (work) => {
    const built = await buildBothVersions(input, work, options);
    const patched = await patchBinaries(input, built, options);
    const notices = [
      ...patched.flatMap((one) => ("binary" in one ? one.notices : [one.notice])),
      ...(options.notices ?? []),
    ];
    const binaries = patched.filter((one) => "binary" in one);
    return { hotpatch: assemble(binaries, { built, options, notices }), report: reportOf(binaries, built) };
  });
}

/** A binary that holds what the fix changes, and stays as it is. */
interface LeftOut {
  readonly notice: string;
}

/** Each binary that holds code of the fix; a named one must be patched, of the others those that cannot be are told. */
async function patchBinaries(
  input: ElfBuildInput,
  built: BuiltVersions,
  options: ElfBuildOptions,
): Promise<(BuiltBinary | LeftOut)[]> {
  const given = input.binaries.map((path) => resolve(options.cwd, path));
  const found = input.installed?.length ? input.installed : undefined;
  const paths = given.length > 0 ? given : (found ?? linkedBinaries(built));
  const answers: (BuiltBinary | LeftOut)[] = [];
  const misses: string[] = [];
  for (const { image, path } of readBinaries(paths, given.length > 0 || found === undefined)) {
    options.progress(`Finding the compiled sources in ${image.name}`);
    const holds = changedSourcesOf(image, path, built);
    try {
      const { shortLived, handled = [] } = input;
      const answer = await patchBinary({ image, path, built, shortLived, handled });
      if ("miss" in answer) {
        misses.push(answer.miss);
        if (holds.length > 0) answers.push({ notice: leftOut(path, namesOf(holds), answer.miss) });
      } else answers.push(answer, ...unfoundSources(path, holds, answer));
    } catch (error) {
      const unmatched =
        error instanceof RefusalError && error.refusals.every(({ code }) => code === "build/not-matched");
      if (!unmatched || given.length > 0 || paths.length === 1) throw error;
      misses.push(error.message);
      answers.push({ notice: leftOut(path, namesOf(holds), error.message) });
    }
  }
  if (!answers.some((one) => "binary" in one))
    refuse("build/not-matched", `The fix reaches none of the binaries. ${misses.slice(0, 10).join(" ")}`);
  return answers;
}

interface HeldSource {
  readonly name: string;
  /** Rather than by a static library, of which the linker may have taken nothing. */
  readonly isObject: boolean;
}

/** Sources whose old code the fix changes and that the build linked into a binary of this name. */
function changedSourcesOf(image: BinaryImage, path: string, built: BuiltVersions): HeldSource[] {
  const sources = sourcesOfBinary(image, path, built);
  const changed = built.touched.filter(({ unit, before, after }) => {
    const { changedCode, pairs } = compareObjects(before, after);
    return sources?.all.has(unit.source) && [...changedCode.keys()].some((section) => pairs.beforeOf(section));
  });
  const found = new Map(changed.map(({ unit }) => [unit.source, sources?.asObjects.has(unit.source) === true]));
  const { place } = built.options;
  const nameOf = (source: string): string => (source.startsWith(`${place}/`) ? relative(place, source) : source);
  return [...found].map(([source, isObject]) => ({ name: nameOf(source), isObject }));
}

function namesOf(sources: readonly HeldSource[]): string[] {
  return sources.map(({ name }) => name);
}

/** A source that was linked in and of which nothing stands there would make half a fix: told, and refused where it must be in the binary. */
function unfoundSources(path: string, holds: readonly HeldSource[], { sources }: BuiltBinary): LeftOut[] {
  const unfound = holds.filter(({ name }) => !sources.some((one) => one === name || one.startsWith(`${name} (`)));
  const must = unfound.filter(({ isObject }) => isObject);
  if (must.length > 0)
    refuse(
      "build/not-matched",
      `The fix changes code of ${namesOf(must).join(", ")} that was not found in ${path}, although the build links it there; what was found would be half a fix.`,
      { sources: namesOf(must) },
    );
  if (unfound.length === 0) return [];
  return [
    {
      notice: `${path} may hold code of ${namesOf(unfound).join(", ")}, from a static library: none was found in it, and this part of the fix is not in the hotpatch.`,
    },
  ];
}

function leftOut(path: string, sources: readonly string[], why: string): string {
  const what = sources.length === 0 ? "code that the fix changes" : sources.join(", ");
  return `${path} holds ${what} and is not patched; processes that run it keep the old code. ${why}`.slice(0, 1000);
}

/** What the build linked, as the user's own tree has it where it does: that is what runs. */
function linkedBinaries(built: BuiltVersions): string[] {
  const { place, original } = built.options;
  const found = new Set<string>();
  for (const { output } of built.links) {
    const path = relative(place, output);
    const own = join(original, path);
    const file = !path.startsWith("..") && existsSync(own) ? own : output;
    if (existsSync(file) && isLinkedElf(file)) found.add(file);
  }
  if (found.size === 0) {
    throw new RebootlessError(
      "usage/arguments",
      "The build linked nothing that could be found; name the binary that runs with --binary.",
    );
  }
  return [...found].sort();
}

/** A program or a library; objects that were joined into one (ld -r) are linked once more. */
function isLinkedElf(file: string): boolean {
  const bytes = readFileSync(file);
  const isElf = bytes.length >= 18 && bytes.toString("latin1", 0, 4) === "\x7fELF";
  return isElf && bytes.readUInt16LE(16) !== fileType.relocatable;
}

function readBinaries(paths: readonly string[], needed: boolean): { image: BinaryImage; path: string }[] {
  const seen = new Set<string>();
  return paths.flatMap((path) => {
    if (!existsSync(path)) throw new RebootlessError("input/file-missing", `There is no binary ${path}.`);
    const image = readBinary(readFileSync(path), basename(path));
    if (image.buildId === undefined) {
      if (!needed) return [];
      return refuse(
        "build/no-build-id",
        `${path} has no build-id, by which a running process would be recognised. Link it with -Wl,--build-id.`,
      );
    }
    if (seen.has(image.buildId)) return [];
    seen.add(image.buildId);
    return [{ image, path }];
  });
}

function reportOf(patched: readonly BuiltBinary[], built: BuiltVersions): ElfBuildReport {
  return {
    binaries: patched.map(({ binary, path, code, newVariables }) => ({ name: binary.name, path, code, newVariables })),
    changedFiles: built.changed,
  };
}

/** Hooks of the author run once, with the first binary that the fix reaches; what runtimes hold is given back for each. */
function hooksOf([first, ...rest]: readonly BuiltBinary[]): ElfChange["hooks"] {
  const hooks = first?.hooks ?? {};
  const releases = rest.flatMap((one) => one.releases);
  return releases.length === 0 ? hooks : { ...hooks, release: [...(hooks.release ?? []), ...releases] };
}

interface Assembly {
  readonly built: BuiltVersions;
  readonly options: ElfBuildOptions;
  readonly notices: readonly string[];
}

function assemble(patched: readonly BuiltBinary[], { built, options, notices }: Assembly): Hotpatch {
  const payloads = new Map(patched.map(({ binary, object }) => [binary.object, object]));
  const elf: ElfChange = {
    binaries: patched.map(({ binary }) => binary),
    hooks: hooksOf(patched),
    afterApply: [...options.afterApply],
    notices: [...new Set(notices)].slice(0, 1000),
  };
  const digest = createHash("sha256");
  for (const { binary, object } of patched) digest.update(binary.buildId).update(object);
  const name = patched[0]?.binary.name ?? "";
  const manifest: Manifest = {
    schema: "rebootless.hotpatch/1",
    id: `elf-${name.replace(/[^\w.@+-]/g, "_")}-${digest.digest("hex").slice(0, 12)}`,
    sequence: options.sequence,
    title: `${elf.binaries.map((binary) => binary.name).join(", ")}: ${built.changed.join(", ")}`.slice(0, 300),
    advisories: [...options.advisories],
    target: { kind: "elf", name, ...(options.version === undefined ? {} : { version: options.version }) },
    supersedes: [...(options.supersedes ?? [])],
    requirements: {},
    elf,
    payloads: [...payloads].map(([payload, bytes]) => ({
      name: payload,
      sizeBytes: bytes.length,
      sha256: createHash("sha256").update(bytes).digest("hex"),
    })),
  };
  return { manifest, payloads };
}
