/**
 * What needs more than code in a running process, as sentences for the person who applies the hotpatch.
 *
 * Every sentence rests on the binary that runs, on what its sources say, or on what the fix changes; nothing is said by name alone.
 */
import { existsSync, readFileSync } from "node:fs";
import { relative } from "node:path";
import { segmentFlag, segmentType } from "../../elf/constants.ts";
import type { ElfFunction, ElfSymbol } from "../../hotpatch/elf-manifest.ts";
import type { BinaryImage } from "./binary-image.ts";
import type { BuiltVersions } from "./build-versions.ts";
import { CallGraph } from "./call-graph.ts";
import type { Comparison } from "./compare-objects.ts";
import { sourcesOfBinary } from "./linked-sources.ts";
import { leadingSymbol, type ObjectSection, referredSection } from "./object-file.ts";
import { ofSection, type SourceMatch } from "./resolve-expectations.ts";

export interface NoticeSource {
  readonly name: string;
  readonly comparison: Comparison;
  readonly match: SourceMatch;
}

export interface NoticeInput {
  readonly image: BinaryImage;
  readonly path: string;
  readonly built: BuiltVersions;
  readonly sources: readonly NoticeSource[];
  readonly functions: readonly ElfFunction[];
  /** Where what the new code refers to lies. */
  readonly symbols: readonly ElfSymbol[];
}

const forks = ["fork", "_Fork"];
const executes = [
  "execve",
  "execv",
  "execvp",
  "execvpe",
  "execl",
  "execlp",
  "execle",
  "fexecve",
  "execveat",
  "posix_spawn",
  "posix_spawnp",
];

export function processNotices(input: NoticeInput): string[] {
  const { image, sources, functions } = input;
  const graph = new CallGraph(image);
  const replaced = functions.filter(({ replacement }) => replacement !== undefined);
  const notices = sources.flatMap((source) => startNotices(source, { ...input, functions: replaced }, graph));
  if (image.type === "executable") {
    const lasting = replaced.filter(({ address }) => !graph.runsOnce(address));
    if (lasting.length > 0 && forks.some((name) => graph.callsRepeatedly(name, executes)))
      notices.push(
        `${image.name} forks: ${named(lasting)} ${lasting.length === 1 ? "is" : "are"} in its children as well, and those that run already keep the old code. Apply the hotpatch to the whole tree (--tree).`,
      );
    notices.push(...anewNotices(input, graph));
  }
  return notices;
}

function startNotices(source: NoticeSource, input: NoticeInput, graph: CallGraph): string[] {
  const { comparison, name } = source;
  const notices: string[] = [];
  if (comparison.changedStart.length > 0)
    notices.push(
      `${name}: what runs when the program is loaded changed; it has run already in a process that gets this hotpatch.`,
    );
  for (const [after] of comparison.changedCode) {
    const symbol = leadingSymbol(after)?.name ?? after.name;
    const before = comparison.pairs.beforeOf(after);
    const place = before && ofSection(source.match, before);
    if (before === undefined || place?.kind !== "address") continue;
    if (!input.functions.some(({ address }) => address === place.address)) continue;
    const staying = graph.staysForever(place.address);
    if (staying !== undefined)
      notices.push(
        `${symbol} (${name}) changes and is left only when the program or its thread ends: ${staying}. While a thread is inside it, the hotpatch is refused; what the fix does in it reaches processes that start later.`,
      );
    else if (symbol === "main")
      notices.push(
        `${name}: main changes; it runs once and is left at the end only, so that its own changes do not reach a running process.`,
      );
    else if (graph.runsOnce(place.address))
      notices.push(
        `${symbol} (${name}) runs only while the program starts, and has run in a process that gets this hotpatch: what the fix does in it acts in processes that start later.`,
      );
    else notices.push(...startDataNotices(source, { ...input, after, before }, graph));
  }
  return notices;
}

interface ChangedCode extends NoticeInput {
  readonly after: ObjectSection;
  readonly before: ObjectSection;
}

/** Variables that the fixed code refers to, that the old code did not, and that only the program's start looks at otherwise. */
function startDataNotices(source: NoticeSource, changed: ChangedCode, graph: CallGraph): string[] {
  const { after, before, image, symbols } = changed;
  const { comparison, match, name } = source;
  const known = new Set(before.references.map(({ symbol }) => symbol.name));
  const notices = new Map<number, string>();
  for (const reference of after.references) {
    const target = referredSection(comparison.after, reference);
    const variable = target && comparison.pairs.beforeOf(target);
    const called = (target && leadingSymbol(target)?.name) ?? reference.symbol.name;
    if (called === "" || known.has(called)) continue;
    const place = variable === undefined ? symbols.find((one) => one.name === called) : ofSection(match, variable);
    if (place?.kind !== "address" || graph.isCode(place.address) || !isWritable(image, place.address)) continue;
    if (!graph.usedOnlyAtStart(place.address)) continue;
    notices.set(
      place.address,
      `${leadingSymbol(after)?.name ?? after.name} (${name}) now uses ${called}, which otherwise only code that runs at the start uses: what a running process made of it then stays.`,
    );
  }
  return [...notices.values()];
}

function isWritable({ elf }: BinaryImage, address: number): boolean {
  return elf.segments.some(
    ({ type, flags, address: start, memorySize }) =>
      type === segmentType.load &&
      (flags & segmentFlag.write) !== 0 &&
      address >= start &&
      address < start + memorySize,
  );
}

function named(functions: readonly ElfFunction[]): string {
  const names = functions.slice(0, 5).map(({ name }) => name);
  return `${names.join(", ")}${functions.length > 5 ? ` and ${functions.length - 5} more functions` : ""}`;
}

/** Programs that start themselves again, or are started again by systemd, run what is on the disk each time. */
function anewNotices({ image, path, built }: NoticeInput, graph: CallGraph): string[] {
  const notices: string[] = [];
  if (graph.callsAny(executes)) {
    const where = itselfExecuted(image, path, built);
    if (where !== undefined)
      notices.push(
        `${image.name} executes itself anew (${where}): those processes run what is on the disk, so that the file has to be updated as well, and each of them is patched only after it has started.`,
      );
  }
  if (graph.callsAny(["sd_listen_fds", "sd_listen_fds_with_names"]))
    notices.push(
      `${image.name} can be started by socket activation: processes that are started that way run what is on the disk, so that the file has to be updated as well.`,
    );
  return notices;
}

/** A call of the exec family whose program is argv[0], in whatever it was kept, or /proc/self/exe. */
const ownName =
  /\b(?:f?exec(?:l|v|ve|vp|vpe|le|lp|veat)|posix_spawnp?)\s*\([^;{}]*?(?:\b\w*argv\w*\s*\[\s*0\s*\]|\*\s*\w*argv\w*\b|"\/proc\/self\/exe"|\bprogram_invocation_name\b)/;

function itselfExecuted(image: BinaryImage, path: string, built: BuiltVersions): string | undefined {
  const linked = sourcesOfBinary(image, path, built);
  for (const { source } of built.units) {
    if ((linked !== undefined && !linked.all.has(source)) || !existsSync(source)) continue;
    const text = readFileSync(source, "latin1");
    const match = ownName.exec(text);
    if (match !== null)
      return `${relative(built.options.place, source)}, line ${text.slice(0, match.index).split("\n").length}`;
  }
  return undefined;
}
