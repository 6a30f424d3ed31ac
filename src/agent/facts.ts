/** What a machine tells of itself: flat names and values (src/api/fact-catalog.ts), and what changed between two tellings. */
import { apiLimits } from "../api/api-limits.ts";
import type { Facts, FactValue } from "../api/schemas/devices.ts";
import { list, map, text } from "./fact-values.ts";

/** So many that the facts of all of them stay below the contract's limit. */
export const toldProcesses = 80;
export const toldBinaries = 600;
/** Programs that are told of by path. */
const toldPrograms = 500;
/** All facts together, as JSON: what a request may hold, with room to spare for what stands around them. */
const factsBytes = apiLimits.factsBodyBytes - 32 * 1024;
/** A longer one does not fit into the name of a fact; linkers make 16 or 20 bytes, and 32 at most. */
const buildIdCharacters = 120;

/** A binary that runs, and the Debian package that it is from. */
export interface ToldBinary {
  readonly buildId: string;
  readonly path: string;
  readonly owner?: { readonly name: string; readonly version: string };
}

/** A program that runs. */
export interface ToldProgram {
  readonly path: string;
  /** Empty where it has none, or may not be looked into. */
  readonly buildId: string;
}

/** A process as the facts tell of it. */
export interface ToldProcess {
  readonly pid: number;
  readonly command: string;
  /** Of Node.js. */
  readonly node?: string;
  readonly packages: readonly { readonly name: string; readonly version: string }[];
  readonly hotpatches: readonly { readonly id: string }[];
  readonly binaries: readonly ToldBinary[];
  /** The file that it runs, as the process sees it. */
  readonly program?: string;
  /** Files that it has mapped and that are no longer on the disk as they were. */
  readonly outdated: readonly string[];
  readonly container?: ProcessContainer;
  readonly startedAt: string;
}

export interface ProcessContainer {
  /** The first 12 digits, as people know it. */
  readonly id: string;
  readonly runtime: string;
}

export interface FactsOptions {
  readonly version: string;
  readonly hasBackupHook: boolean;
  /** What the catalog has hotpatches for: packages as `name@version`, binaries as `build-id:HEX`. */
  readonly targets: ReadonlySet<string>;
  readonly binaries: readonly ToldBinary[];
  readonly programs: readonly ToldProgram[];
  /** Of the machine itself. */
  readonly machine: Facts;
}

export function factsOf(processes: readonly ToldProcess[], options: FactsOptions): Facts {
  const { version, hasBackupHook, targets, binaries, programs, machine } = options;
  const facts: Facts = {
    ...machine,
    ...softwareFacts(processes, programs, binaries),
    "agent.version": version,
    "agent.node": process.versions.node,
    "agent.uid": process.geteuid?.() ?? 0,
    "agent.backupHook": hasBackupHook,
    processes: processes.filter(({ node }) => node !== undefined).length,
  };
  const concerned = (told: ToldProcess) =>
    told.hotpatches.length > 0 || packagesIn(told, targets).length > 0 || buildIdsIn(told, targets).length > 0;
  // Native programs are legion, and only those that a hotpatch is for are told of.
  const worthTelling = processes.filter((told) => told.node !== undefined || concerned(told));
  const sorted = worthTelling.toSorted((a, b) => Number(concerned(b)) - Number(concerned(a)) || a.pid - b.pid);
  for (const process of sorted.slice(0, toldProcesses)) Object.assign(facts, processFacts(process, targets));
  return { ...facts, ...binaryFacts(binaries, targets, factsBytes - sizeOf(facts)) };
}

/** What runs, as maps and lists, so that expressions can ask for it by name. */
function softwareFacts(
  processes: readonly ToldProcess[],
  programs: readonly ToldProgram[],
  binaries: readonly ToldBinary[],
): Facts {
  const owners = binaries.flatMap(({ owner }) => (owner === undefined ? [] : [[owner.name, owner.version] as const]));
  const containers = processes.flatMap(({ container }) =>
    container === undefined ? [] : [[container.id, container.runtime] as const],
  );
  const running = programs.map(({ path, buildId }) => [path, buildId] as const);
  const sorted = (values: readonly string[]) => list([...new Set(values)].toSorted());
  return {
    "programs.running": map(running.slice(0, toldPrograms)),
    "programs.packages": map(owners),
    "programs.outdated": sorted(processes.flatMap(({ outdated }) => outdated)),
    containers: map(containers),
    hotpatches: sorted(processes.flatMap(({ hotpatches }) => hotpatches.map(({ id }) => id))),
  };
}

function packagesIn({ packages }: ToldProcess, targets: ReadonlySet<string>): string[] {
  return [...new Set(packages.map(({ name, version }) => `${name}@${version}`))].filter((id) => targets.has(id));
}

function buildIdsIn({ binaries }: ToldProcess, targets: ReadonlySet<string>): string[] {
  return binaries.map(({ buildId }) => buildId).filter((buildId) => targets.has(`build-id:${buildId}`));
}

function processFacts(process: ToldProcess, targets: ReadonlySet<string>): Facts {
  const { pid, command, node, startedAt, hotpatches } = process;
  const at = `process.${pid}`;
  const packages = packagesIn(process, targets);
  const buildIds = buildIdsIn(process, targets);
  return {
    [`${at}.command`]: text(command),
    ...(node === undefined ? {} : { [`${at}.node`]: text(node) }),
    [`${at}.startedAt`]: startedAt,
    ...(packages.length === 0 ? {} : { [`${at}.packages`]: list(packages) }),
    ...(buildIds.length === 0 ? {} : { [`${at}.buildIds`]: list(buildIds) }),
    ...(hotpatches.length === 0 ? {} : { [`${at}.hotpatches`]: list(hotpatches.map(({ id }) => id)) }),
  };
}

/** Those that a hotpatch is for first, then in the order of their build-ids, so that the same ones are told each time where there are too many. */
function binaryFacts(binaries: readonly ToldBinary[], targets: ReadonlySet<string>, roomBytes: number): Facts {
  const rank = ({ buildId }: ToldBinary) => `${targets.has(`build-id:${buildId}`) ? 0 : 1}${buildId}`;
  const sorted = binaries
    .filter(({ buildId }) => buildId.length <= buildIdCharacters)
    .toSorted((a, b) => (rank(a) < rank(b) ? -1 : 1));
  const facts: Facts = {};
  let room = roomBytes;
  for (const { buildId, path, owner } of sorted.slice(0, toldBinaries)) {
    const one = { [`binary.${buildId}`]: list([path, ...(owner === undefined ? [] : [owner.name, owner.version])]) };
    room -= sizeOf(one);
    if (room < 0) break;
    Object.assign(facts, one);
  }
  return facts;
}

function sizeOf(facts: Facts): number {
  return Buffer.byteLength(JSON.stringify(facts));
}

/** What is new, other or (as null) gone. */
export function difference(before: Facts, after: Facts): Record<string, FactValue | null> {
  const changes: Record<string, FactValue | null> = {};
  for (const [name, value] of Object.entries(after)) {
    if (JSON.stringify(before[name]) !== JSON.stringify(value)) changes[name] = value;
  }
  for (const name of Object.keys(before)) if (!Object.hasOwn(after, name)) changes[name] = null;
  return changes;
}
