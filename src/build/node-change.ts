/**
 * From two versions of a package or program to the Node.js section of a manifest: each changed file, what is done to its loaded copies, and what cannot be reached.
 *
 * Pure: the same two trees give the same change, byte for byte.
 */
import { createHash } from "node:crypto";
import { RefusalError } from "../base/refusal.ts";
import type { NodeChange, NodeFile } from "../hotpatch/manifest.ts";
import { compareVersions, type FileDifference, type Gap, type Normalise } from "../javascript/difference.ts";
import { descendants, type FunctionEntry } from "../javascript/function-tree.ts";
import { type LiveText, writeLiveText } from "../javascript/live-text.ts";
import { lineEnds, parseSource, type SourceFile } from "../javascript/syntax.ts";
import { sharedMarks } from "../javascript/touch.ts";
import { copiedNames, dependencyOrder, publicModules } from "./dependents.ts";
import { formatOf, type SourceTree } from "./source-tree.ts";

export interface NodeChangeInput {
  readonly before: SourceTree;
  readonly after: SourceTree;
  /** Version numbers that the two versions carry in their sources; a change from one to the other is left out. */
  readonly versions?: { readonly before: string; readonly after: string };
  /** Values by file that a rehearsal found to be out of date: variables, and exports as `exports.name`. */
  readonly recomputed?: Recomputed;
  /** Further files for the new code, by path from the package's folder. */
  readonly dependencies?: ReadonlyMap<string, string>;
}

export type Recomputed = ReadonlyMap<string, ReadonlySet<string>>;

export interface BuiltChange {
  readonly change: NodeChange;
  readonly payloads: ReadonlyMap<string, Uint8Array>;
}

const witnessLimit = 16;

export function buildNodeChange({ before, after, versions, recomputed, dependencies }: NodeChangeInput): BuiltChange {
  const normalise = versions === undefined ? undefined : lookThrough(versions.before, versions.after);
  const payloads = new Map<string, Uint8Array>();
  const files: NodeFile[] = [];
  const exported = new Map<string, ReadonlySet<string>>();
  for (const path of dependencyOrder(before, [...before.files.keys()].filter(isScript))) {
    const forced = new Set([...copiedNames(before, path, exported), ...(recomputed?.get(path) ?? [])]);
    const file = changeOfFile({ path, before, after, normalise, forced, payloads, exported });
    if (file !== undefined) files.push(file);
  }
  const own = [...after.files].filter(([path]) => !before.files.has(path) && path !== "package.json");
  const added = [...own, ...(dependencies ?? [])].map(([path, text]) => ({
    path,
    text: addPayload(payloads, `added/${path}`, text),
  }));
  return { change: { files, added }, payloads };
}

interface FileInput {
  readonly path: string;
  readonly before: SourceTree;
  readonly after: SourceTree;
  readonly normalise: Normalise | undefined;
  readonly forced: ReadonlySet<string>;
  readonly payloads: Map<string, Uint8Array>;
  readonly exported: Map<string, ReadonlySet<string>>;
}

function changeOfFile(input: FileInput): NodeFile | undefined {
  const { path, before, after, normalise, forced, payloads } = input;
  const oldText = before.files.get(path) as string;
  const newText = after.files.get(path) ?? oldText;
  if (oldText === newText && forced.size === 0) return undefined;
  const common = {
    path,
    format: formatOf(before, path),
    before: { sha256: sha256(oldText), length: oldText.length },
    registry: registryName(`${path}\n${oldText}`),
  };
  if (isMinified(path, oldText)) {
    const unreachable = [
      {
        name: path,
        line: 0,
        reason: "the file is minified: V8 compares lines, and finds no function again in lines this long",
      },
    ];
    return { ...common, after: addPayload(payloads, `after/${path}`, newText), functions: [], unreachable };
  }
  const result = attempt(() => {
    const difference = compareVersions(
      parseSource(path, oldText, common.format),
      parseSource(path, newText, common.format),
      normalise,
    );
    return { difference, live: writeLiveText(difference, common.registry, forced) };
  });
  if (result instanceof RefusalError) {
    const unreachable = [{ name: path, line: 0, reason: result.message }];
    return { ...common, after: addPayload(payloads, `after/${path}`, newText), functions: [], unreachable };
  }
  const { difference, live } = result;
  const isIdle = live.functions.length === 0 && live.delta === undefined && live.gaps.length === 0;
  // What only ran while the module loaded has nothing to exchange, but may have left other values behind, which the rehearsal sees.
  if (isIdle && difference.replacements.length === 0) return undefined;
  input.exported.set(path, live.exported);
  const liveSource = parseSource(path, live.text, common.format);
  return {
    ...common,
    after: addPayload(payloads, `after/${path}`, newText),
    ...(live.functions.length > 0
      ? {
          live: addPayload(payloads, `live/${path}`, live.text),
          marks: sharedMarks(difference.before.source, liveSource, live.functions),
        }
      : {}),
    functions: live.functions.map((found) => manifestFunction(found, liveSource)),
    ...(live.switchable ? { switchable: true as const } : {}),
    ...(live.delta === undefined ? {} : { delta: deltaOf(path, difference, live.delta, payloads) }),
    unreachable: [...live.gaps, ...reboundGaps(input, live)].map(({ name, line, reason }) => ({
      name: name.slice(0, 300),
      line,
      reason,
    })),
  };
}

/** An ES module's importers are bound to its variables, so a value that they can see must not be another one. */
function reboundGaps({ path, before }: FileInput, { rebound }: LiveText): Gap[] {
  if (rebound.size === 0 || !publicModules(before).has(path)) return [];
  return [...rebound].map((name) => ({
    name,
    line: 0,
    reason: "its value changes, and whoever imported it from this ES module keeps the old one",
  }));
}

function manifestFunction(
  { name, start, end, before, body, gate, around, several, brief, ofClass }: LiveText["functions"][number],
  source: SourceFile,
): NodeFile["functions"][number] {
  return {
    name: name.slice(0, 300),
    start,
    end,
    before: { start: before.start, end: before.end },
    ...(body === undefined ? {} : { body }),
    ...(gate && body ? { gate, lineEnds: lineEnds(source, { start: body.start, end }) } : {}),
    ...(around ? { around } : {}),
    ...(several ? { several } : {}),
    ...(brief ? { brief } : {}),
    ...(ofClass === undefined ? {} : { ofClass }),
  };
}

function deltaOf(
  path: string,
  difference: FileDifference,
  delta: NonNullable<LiveText["delta"]>,
  payloads: Map<string, Uint8Array>,
): NonNullable<NodeFile["delta"]> {
  return {
    text: addPayload(payloads, `delta/${path}`, delta.text),
    scopes: delta.reads.map(({ scope, names }) => ({
      names: [...names].sort(),
      witnesses: witnessesOf(difference, scope.before),
    })),
    imports: [...delta.imports],
  };
}

/** Functions written in the scope whose closures lead to its variables; those nearest to it first. */
function witnessesOf(difference: FileDifference, scope: FunctionEntry): { start: number; end: number }[] {
  const inScope = [...descendants(scope)].filter((entry) => !entry.runsAtLoad);
  const nearest = inScope.sort((a, b) => a.depth - b.depth || a.range.start - b.range.start).slice(0, witnessLimit * 4);
  const exchanged = new Set(difference.replacements.map(({ before }) => before));
  return [...nearest.filter((entry) => exchanged.has(entry)), ...nearest.filter((entry) => !exchanged.has(entry))]
    .slice(0, witnessLimit)
    .map(({ constructorOf, range }) => ({ start: (constructorOf ?? range).start, end: (constructorOf ?? range).end }));
}

function attempt<T>(action: () => T): T | RefusalError {
  try {
    return action();
  } catch (error) {
    if (error instanceof RefusalError) return error;
    throw error;
  }
}

function lookThrough(before: string, after: string): Normalise {
  return (token) =>
    /^["'`]/.test(token) ? token.replaceAll(before, "\u0000version").replaceAll(after, "\u0000version") : token;
}

function isMinified(path: string, text: string): boolean {
  if (/[.-]min\.[cm]?js$/.test(path)) return true;
  const long = text.split("\n").filter((line) => line.length > 5000 && !line.startsWith("//"));
  return long.reduce((sum, line) => sum + line.length, 0) > text.length / 2;
}

function isScript(path: string): boolean {
  return /\.[cm]?js$/.test(path);
}

/** Payload names allow fewer characters than paths, so a path that has others is named by its hash. */
function addPayload(payloads: Map<string, Uint8Array>, name: string, text: string): string {
  const safe = /^[0-9A-Za-z._/@+-]{1,180}$/.test(name) ? name : `${name.split("/")[0]}/${sha256(name)}`;
  payloads.set(safe, Buffer.from(text, "utf8"));
  return safe;
}

/** Digits alone, so that one name of this form is to V8's comparison of characters what another is. */
function registryName(text: string): string {
  return `__rebootless_${(BigInt(`0x${sha256(text)}`) % 10n ** 12n).toString().padStart(12, "0")}`;
}

export function sha256(text: string): string {
  return createHash("sha256").update(text, "utf8").digest("hex");
}
