/**
 * The rehearsal that belongs to building: finds for each file the way on which V8 truly takes the new text and the old one back, and what cannot be reached.
 *
 * Each attempt gets a fresh process, since a live edit that went wrong leaves functions behind that no later one finds.
 */
import { readFileSync } from "node:fs";
import { type Refusal, RefusalError } from "../base/refusal.ts";
import { type RehearsalResult, rehearse } from "../engine/node/rehearsal.ts";
import { wireHotpatch } from "../engine/node/wire.ts";
import type { Hotpatch } from "../hotpatch/hotpatch.ts";
import { type EditWay, type NodeFile, nodeChangeOf } from "../hotpatch/manifest.ts";
import { analyseBindings } from "../javascript/bindings.ts";
import { buildFunctionTree } from "../javascript/function-tree.ts";
import { loadHelpers } from "../javascript/load-helpers.ts";
import { parseSource } from "../javascript/syntax.ts";
import type { Recomputed } from "./node-change.ts";
import { keptFunctions, type StaleValue, staleValues } from "./stale-values.ts";

export interface RehearsalPlace {
  readonly nodePath: string;
  /** A folder with the old package and what it depends on in `node_modules`. */
  readonly base: string;
  readonly packageName: string;
  readonly packageFolder: string;
  readonly version: string;
  /** The fixed version, installed in the same manner. */
  readonly fixed: { readonly base: string; readonly folder: string; readonly version: string };
  progress(message: string): void;
}

interface RehearsedHotpatch {
  readonly hotpatch: Hotpatch;
  /** Values that a patched process would keep from the old version. */
  readonly stale: readonly StaleValue[];
}

/** Files that do things when they are loaded, and that no application loads. */
const asidePattern = /(?:^|\/)(?:tests?|__tests__|bench(?:mark)?s?|examples?|scripts?|bin)\//;
const attemptLimit = 24;
const shownStale = 20;
/** Large packages have tens of thousands of functions and values to look at. */
const timeoutMs = 600_000;
const recomputeLimit = 4;
/** Undefined leaves the choice to the agent: a switch where several files change, a direct edit otherwise. */
function ways({ switchable }: NodeFile): readonly (EditWay | undefined)[] {
  return [undefined, ...(switchable ? (["direct", "switched"] as const) : []), "stepwise", "bridged"];
}

/** Builds and rehearses until a patched process holds the values of the fixed version; throws `build/unreachable-change` for those that it would not hold. */
export async function buildUntilCurrent(
  build: (recomputed: Recomputed) => Hotpatch,
  place: RehearsalPlace,
): Promise<Hotpatch> {
  const recomputed = new Map<string, Set<string>>();
  for (let round = 1; ; round++) {
    const { hotpatch, stale } = await rehearseHotpatch(build(recomputed), place);
    const isNew = stale.map(({ path, source }) => {
      const names = recomputed.get(path) ?? new Set();
      if (source === undefined || names.has(source)) return false;
      recomputed.set(path, names.add(source));
      return true;
    });
    if (isNew.includes(true) && round < recomputeLimit) continue;
    refuseStale(stale, place.packageName);
    refuseIdle(hotpatch, place.packageName);
    return hotpatch;
  }
}

/** The same hotpatch with the ways filled in; throws `build/rehearsal` or `build/unreachable-change` where a loaded package would not be fixed. */
async function rehearseHotpatch(hotpatch: Hotpatch, place: RehearsalPlace): Promise<RehearsedHotpatch> {
  let files = nodeChangeOf(hotpatch.manifest).files;
  for (let attempt = 1; attempt <= attemptLimit; attempt++) {
    place.progress(`Rehearsing in a sacrificial process (attempt ${attempt})`);
    const current = withFiles(hotpatch, files);
    const result = await rehearse(rehearsalInput(current, place), { nodePath: place.nodePath, timeoutMs });
    const next = adjust(files, result);
    if (next === undefined) {
      refuseGaps(files, result, place.packageName);
      return { hotpatch: current, stale: await findStale(current, place) };
    }
    files = next;
  }
  throw new RefusalError({
    code: "build/rehearsal",
    message: `No sequence of live edits was found in ${attemptLimit} attempts that V8 takes as a whole.`,
  });
}

function rehearsalInput(hotpatch: Hotpatch, { base, packageName, packageFolder }: RehearsalPlace) {
  const files = nodeChangeOf(hotpatch.manifest)
    .files.filter(({ path, live, delta }) => (live !== undefined || delta !== undefined) && !asidePattern.test(path))
    .map(({ path, format }) => ({ filename: `${packageFolder}/${path}`, path, format }));
  return { hotpatch: wireHotpatch(hotpatch, "rehearsal"), base, entries: [packageName], files, ballastMb: 0 };
}

/** Compares what a patched process holds with what one of the fixed version does. */
async function findStale(hotpatch: Hotpatch, place: RehearsalPlace): Promise<StaleValue[]> {
  place.progress("Comparing the values of a patched process with those of the fixed version");
  const { nodePath, packageFolder } = place;
  const { base, folder, version } = place.fixed;
  const input = rehearsalInput(hotpatch, place);
  const files = input.files.map((file) => ({ ...file, filename: `${folder}/${file.path}` }));
  const fixedInput = { ...input, base, files, values: { folder, version }, valuesOnly: true };
  const [old, fixed, again] = await Promise.all([
    rehearse({ ...input, values: { folder: packageFolder, version: place.version } }, { nodePath, timeoutMs }),
    rehearse(fixedInput, { nodePath, timeoutMs }),
    rehearse(fixedInput, { nodePath, timeoutMs }),
  ]);
  if (!old.valuesBefore || !old.valuesAfter || !fixed.valuesBefore || !again.valuesBefore) return [];
  const loaded = new Set(old.loadedFiles);
  const lists = {
    before: old.valuesBefore,
    patched: old.valuesAfter,
    fixed: fixed.valuesBefore,
    again: again.valuesBefore,
  };
  const isHelper = (path: string, name: string): boolean => {
    const format = input.files.find((file) => file.path === path)?.format ?? "commonjs";
    return [packageFolder, folder].every((version) => helperNames(`${version}/${path}`, format).has(name));
  };
  return [...staleValues(lists), ...keptFunctions(old.replaced ?? [])].filter(
    ({ path, place, wanted }) => loaded.has(path) && !(wanted.startsWith("function ") && isHelper(path, place)),
  );
}

/** Functions that only the loading of the file called: nothing calls the old ones any more. */
function helperNames(filename: string, format: "commonjs" | "module"): ReadonlySet<string> {
  const source = parseSource(filename, readFileSync(filename, "utf8").replace(/^\uFEFF/, ""), format);
  const helpers = loadHelpers(source, analyseBindings(source, buildFunctionTree(source)));
  return new Set([...helpers].map(({ name }) => name));
}

/** A hotpatch that would only fix what loads later closes no hole in a running process. */
function refuseIdle({ manifest }: Hotpatch, packageName: string): void {
  const { files } = nodeChangeOf(manifest);
  if (files.some(({ live, delta, unreachable }) => live || delta || unreachable.length === 0)) return;
  const reasons = files.flatMap(({ path, unreachable }) => unreachable.map(({ reason }) => `${path}: ${reason}`));
  throw new RefusalError({
    code: "build/nothing-changed",
    message: `Nothing that differs can be changed in a process that has loaded ${packageName}: ${reasons.slice(0, 5).join("; ")}. What a version merely removes stays in a running process.`,
  });
}

function refuseStale(stale: readonly StaleValue[], packageName: string): void {
  const refusals: Refusal[] = stale.slice(0, shownStale).map(({ path, place, held, wanted }) => ({
    code: "build/unreachable-change" as const,
    message: `${path}: ${place.slice(0, 200)}: a process that has loaded ${packageName} would keep ${held.slice(0, 200)}, where the fixed version has ${wanted.slice(0, 200)}; it needs a restart for this fix.`,
    details: { path, name: place.slice(0, 200), line: 0 },
  }));
  if (refusals.length > 0) throw new RefusalError(refusals);
}

/** The files as they have to be tried next; undefined when all is well. */
function adjust(files: readonly NodeFile[], result: RehearsalResult): NodeFile[] | undefined {
  if (!result.applied) {
    const at = new Set(result.fault?.files ?? []);
    if (at.size === 0)
      throw new RefusalError({
        code: "build/rehearsal",
        message: `The hotpatch does not take effect: ${result.fault?.message}`,
      });
    return files.map((file) => (at.has(file.path) ? nextWay(file, "there", result) : file));
  }
  const left = new Set(result.leftBehind.map(({ path }) => path));
  return left.size === 0
    ? undefined
    : files.map((file) => (left.has(file.path) ? nextWay(file, "back", result) : file));
}

function nextWay(file: NodeFile, direction: "there" | "back", result: RehearsalResult): NodeFile {
  const { there, back } = file.ways ?? {};
  const isOneEdit = there === "direct" || (there === undefined && !file.switchable);
  if (direction === "back" && isOneEdit && back === undefined)
    return { ...file, ways: { ...file.ways, back: "bridged" } };
  const open = ways(file);
  const next = result.fault?.isFinal ? undefined : open[open.indexOf(there) + 1];
  if (next !== undefined) return { ...file, ways: { there: next } };
  const reason =
    direction === "there"
      ? (result.fault?.message ?? "")
      : `taking it back leaves ${result.leftBehind.map(({ name }) => name).join(", ")} behind`;
  const { live: _live, delta: _delta, ways: _ways, marks: _marks, switchable: _switchable, ...rest } = file;
  return {
    ...rest,
    functions: [],
    unreachable: [...file.unreachable, { name: file.path, line: 0, reason: reason.slice(0, 2000) }],
  };
}

function refuseGaps(files: readonly NodeFile[], result: RehearsalResult, packageName: string): void {
  const loaded = new Set(result.entryFiles);
  const refusals: Refusal[] = files
    .filter(({ path }) => loaded.has(path))
    .flatMap(({ path, unreachable }) =>
      unreachable.map(({ name, line, reason }) => ({
        code: "build/unreachable-change" as const,
        message: `${path}${line > 0 ? `:${line}` : ""}: ${name}: ${reason}. A process that has loaded ${packageName} needs a restart for this fix.`,
        details: { path, name, line },
      })),
    );
  if (refusals.length > 0) throw new RefusalError(refusals);
}

/** Payloads that no file names any more are left out, as the artifact demands. */
function withFiles(hotpatch: Hotpatch, files: readonly NodeFile[]): Hotpatch {
  const { manifest, payloads } = hotpatch;
  const used = new Set([
    ...files.flatMap(({ after, live, delta }) => [after, live, delta?.text]),
    ...nodeChangeOf(manifest).added.map(({ text }) => text),
  ]);
  return {
    manifest: {
      ...manifest,
      node: { ...nodeChangeOf(manifest), files: [...files] },
      payloads: manifest.payloads.filter(({ name }) => used.has(name)),
    },
    payloads: new Map([...payloads].filter(([name]) => used.has(name))),
  };
}
