/**
 * Building a hotpatch: fetch both versions, find the difference, put the manifest together, rehearse.
 *
 * Deterministic: the same two versions give the same bytes, wherever and whenever they are built.
 */
import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { basename, resolve } from "node:path";
import { RebootlessError } from "../base/errors.ts";
import { type Refusal, RefusalError, refuse } from "../base/refusal.ts";
import type { Hotpatch } from "../hotpatch/hotpatch.ts";
import type { Advisory, Manifest, Target } from "../hotpatch/manifest.ts";
import { newDependencies } from "./new-dependencies.ts";
import { type BuiltChange, buildNodeChange, type Recomputed } from "./node-change.ts";
import { fetchPackage, parseSpecifier } from "./npm-package.ts";
import { buildUntilCurrent } from "./rehearse-hotpatch.ts";
import { readSourceTree, type SourceTree } from "./source-tree.ts";
import { inWorkFolder } from "./work-folder.ts";

export interface BuildOptions {
  readonly cwd: string;
  readonly advisories: readonly Advisory[];
  readonly sequence: number;
  /** The Node.js that rehearses. */
  readonly nodePath: string;
  progress(message: string): void;
}

export interface NpmFix {
  /** `name@version` or a folder. */
  readonly vulnerable: string;
  /** A version, `name@version`, or a folder. */
  readonly fixed: string;
}

/** From two versions of a package. Refuses with `build/*` where a process that has loaded the package could not be fixed. */
export async function buildNpmHotpatch(fix: NpmFix, options: BuildOptions): Promise<Hotpatch> {
  return await inWorkFolder(async (workFolder) => {
    const before = await fetchPackage(fix.vulnerable, { ...options, workFolder });
    const after = await fetchPackage(fixedSpecifier(fix), { ...options, workFolder });
    if (before.name !== after.name) {
      throw new RebootlessError(
        "usage/arguments",
        `${before.name} and ${after.name} are two packages; a hotpatch goes from one version of a package to another.`,
      );
    }
    options.progress(`Comparing ${before.name} ${before.version} with ${after.version}`);
    const versions = { before: before.version, after: after.version };
    const trees = { before: readSourceTree(before.folder), after: readSourceTree(after.folder) };
    const dependencies = newDependencies({ before, after, trees });
    const target: Target = { kind: "npm", name: before.name, version: before.version, fixedVersion: after.version };
    const id = `npm-${before.name.replace(/^@/, "").replace("/", ".")}-${before.version}-to-${after.version}`;
    const title = `${before.name} ${before.version} to ${after.version}`;
    const build = (recomputed: Recomputed): Hotpatch =>
      assemble({
        id,
        title,
        target,
        built: buildNodeChange({ ...trees, versions, recomputed, dependencies }),
        options,
      });
    return await buildUntilCurrent(build, {
      ...options,
      base: before.base,
      packageName: before.name,
      packageFolder: before.folder,
      version: before.version,
      fixed: after,
    });
  });
}

/** From two files or two folders of a program of one's own, which is not loaded for a rehearsal, since loading it would start it. */
export function buildFilesHotpatch(before: string, after: string, options: BuildOptions): Hotpatch {
  options.progress(`Comparing ${before} with ${after}`);
  const trees = readPair(resolve(options.cwd, before), resolve(options.cwd, after));
  const built = buildNodeChange({ before: trees.before, after: trees.after });
  refuseGaps(built);
  const digest = createHash("sha256");
  for (const {
    path,
    before: { sha256 },
    after: name,
  } of built.change.files)
    digest.update(`${path}\n${sha256}\n`).update(built.payloads.get(name) ?? "");
  const target: Target = { kind: "files", name: trees.name };
  const id = `files-${trees.name.replace(/[^\w.@+-]/g, "_")}-${digest.digest("hex").slice(0, 12)}`;
  return assemble({
    id,
    title: `${trees.name}: ${built.change.files.map(({ path }) => path).join(", ")}`.slice(0, 300),
    target,
    built,
    options,
  });
}

function fixedSpecifier({ vulnerable, fixed }: NpmFix): string {
  if (/[@/]/.test(fixed) || fixed.startsWith(".")) return fixed;
  return `${parseSpecifier(vulnerable).name}@${fixed}`;
}

function readPair(before: string, after: string): { name: string; before: SourceTree; after: SourceTree } {
  const kinds = [before, after].map((path) => {
    const stats = statSync(path, { throwIfNoEntry: false });
    if (stats === undefined) throw new RebootlessError("input/file-missing", `${path} does not exist.`);
    return stats.isDirectory();
  });
  if (kinds[0] !== kinds[1])
    throw new RebootlessError(
      "usage/arguments",
      "Name two files or two folders: one is a file and the other a folder.",
    );
  if (kinds[0]) return { name: basename(before), before: readSourceTree(before), after: readSourceTree(after) };
  const name = basename(before);
  const tree = (path: string): SourceTree => ({
    files: new Map([[name, readFileSync(path, "utf8").replace(/^\uFEFF/, "")]]),
  });
  return { name, before: withPackage(tree(before), before), after: withPackage(tree(after), before) };
}

/** The package.json around a single file decides how Node.js loads it. */
function withPackage(tree: SourceTree, file: string): SourceTree {
  for (let folder = resolve(file, ".."); ; folder = resolve(folder, "..")) {
    const path = resolve(folder, "package.json");
    if (statSync(path, { throwIfNoEntry: false })?.isFile())
      return { files: new Map([...tree.files, ["package.json", readFileSync(path, "utf8")]]) };
    if (folder === resolve(folder, "..")) return tree;
  }
}

function refuseGaps({ change }: BuiltChange): void {
  const refusals: Refusal[] = change.files.flatMap(({ path, unreachable }) =>
    unreachable.map(({ name, line, reason }) => ({
      code: "build/unreachable-change" as const,
      message: `${path}${line > 0 ? `:${line}` : ""}: ${name}: ${reason}. A process that runs this file needs a restart for this change.`,
      details: { path, name, line },
    })),
  );
  if (refusals.length > 0) throw new RefusalError(refusals);
}

interface Parts {
  readonly id: string;
  readonly title: string;
  readonly target: Target;
  readonly built: BuiltChange;
  readonly options: BuildOptions;
}

function assemble({ id, title, target, built, options }: Parts): Hotpatch {
  if (built.change.files.length === 0) {
    refuse(
      "build/nothing-changed",
      "No JavaScript file differs in more than comments and white space, so there is nothing to patch in memory.",
    );
  }
  const payloads = [...built.payloads].sort(([one], [other]) => (one < other ? -1 : 1));
  const manifest: Manifest = {
    schema: "rebootless.hotpatch/1",
    id,
    sequence: options.sequence,
    title,
    advisories: [...options.advisories],
    target,
    supersedes: [],
    requirements: { node: ">=20" },
    node: built.change,
    payloads: payloads.map(([name, bytes]) => ({
      name,
      sizeBytes: bytes.length,
      sha256: createHash("sha256").update(bytes).digest("hex"),
    })),
  };
  return { manifest, payloads: new Map(payloads) };
}
