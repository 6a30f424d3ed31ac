/**
 * From a fix of a C or C++ program to a hotpatch, in the steps that `buildElfHotpatch` reads as.
 *
 * Deterministic: the same sources, compiler and binaries give the same bytes.
 */
import { createHash } from "node:crypto";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { basename, join, relative, resolve } from "node:path";
import { RebootlessError } from "../../base/errors.ts";
import { refuse } from "../../base/refusal.ts";
import type { ElfAction, ElfChange } from "../../hotpatch/elf-manifest.ts";
import type { Hotpatch } from "../../hotpatch/hotpatch.ts";
import type { Advisory, Manifest } from "../../hotpatch/manifest.ts";
import { makeWorkFolder } from "../npm-package.ts";
import { type BinaryImage, readBinary } from "./binary-image.ts";
import { type BuiltVersions, buildBothVersions, type VersionsInput, type VersionsOptions } from "./build-versions.ts";
import { type BuiltBinary, type CodeReport, patchBinary } from "./patch-binary.ts";

export interface ElfBuildInput extends VersionsInput {
  /** The binaries that run; found from the build's links where empty. */
  readonly binaries: readonly string[];
  /** Structs whose layout changes and whose objects, by the author's word, live no longer than a call. */
  readonly shortLived: readonly string[];
  /** Such as `struct:foo` and `data:counter`: changes that hooks take care of, by the author's word. */
  readonly handled?: readonly string[];
}

export interface ElfBuildOptions extends VersionsOptions {
  readonly advisories: readonly Advisory[];
  readonly sequence: number;
  readonly afterApply: readonly ElfAction[];
  /** Of the package, for people. */
  readonly version?: string;
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
  const work = makeWorkFolder();
  const end = (): void => rmSync(work, { recursive: true, force: true });
  process.once("exit", end);
  try {
    const built = await buildBothVersions(input, work, options);
    const given = input.binaries.map((path) => resolve(options.cwd, path));
    const paths = given.length > 0 ? given : linkedBinaries(built);
    const patched: BuiltBinary[] = [];
    const misses: string[] = [];
    for (const { image, path } of readBinaries(paths)) {
      options.progress(`Finding the compiled sources in ${image.name}`);
      const { shortLived, handled = [] } = input;
      const answer = await patchBinary({ image, path, built, shortLived, handled });
      if ("miss" in answer) misses.push(answer.miss);
      else patched.push(answer);
    }
    if (patched.length === 0) refuse("build/not-matched", `The fix reaches none of the binaries. ${misses.join(" ")}`);
    return { hotpatch: assemble(patched, built, options), report: reportOf(patched, built) };
  } finally {
    end();
    process.off("exit", end);
  }
}

/** What the build linked, as the user's own tree has it where it does: that is what runs. */
function linkedBinaries(built: BuiltVersions): string[] {
  const { place, original } = built.options;
  const found = new Set<string>();
  for (const { output } of built.links) {
    const path = relative(place, output);
    const own = join(original, path);
    const file = !path.startsWith("..") && existsSync(own) ? own : output;
    if (existsSync(file) && isElf(file)) found.add(file);
  }
  if (found.size === 0) {
    throw new RebootlessError(
      "usage/arguments",
      "The build linked nothing that could be found; name the binary that runs with --binary.",
    );
  }
  return [...found].sort();
}

function isElf(file: string): boolean {
  return readFileSync(file).subarray(0, 4).toString("latin1") === "\x7fELF";
}

function readBinaries(paths: readonly string[]): { image: BinaryImage; path: string }[] {
  const seen = new Set<string>();
  return paths.flatMap((path) => {
    if (!existsSync(path)) throw new RebootlessError("input/file-missing", `There is no binary ${path}.`);
    const image = readBinary(readFileSync(path), basename(path));
    if (image.buildId === undefined) {
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

function assemble(patched: readonly BuiltBinary[], built: BuiltVersions, options: ElfBuildOptions): Hotpatch {
  const payloads = new Map(patched.map(({ binary, object }) => [binary.object, object]));
  const elf: ElfChange = {
    binaries: patched.map(({ binary }) => binary),
    // Hooks run once, with the first binary that the fix reaches.
    hooks: patched[0]?.hooks ?? {},
    afterApply: [...options.afterApply],
    notices: [...new Set(patched.flatMap(({ notices }) => notices))],
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
    supersedes: [],
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
