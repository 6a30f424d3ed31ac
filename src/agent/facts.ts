/** What a machine tells of itself: flat names and values, and what changed between two tellings. */
import { readFileSync } from "node:fs";
import { hostname, machine, release } from "node:os";
import { apiLimits } from "../api/api-limits.ts";
import type { Facts, FactValue } from "../api/schemas/devices.ts";
import { printable } from "../base/printable.ts";

/** So many that the facts of all of them stay below the contract's limit. */
export const toldProcesses = 80;
export const toldBinaries = 600;
const commandCharacters = 200;
const listed = 64;
/** All facts together, as JSON: what a request may hold, with room to spare for what stands around them. */
const factsBytes = apiLimits.bodyBytes - 32 * 1024;
/** A longer one does not fit into the name of a fact; linkers make 16 or 20 bytes, and 32 at most. */
const buildIdCharacters = 120;

/** A binary that runs, and the Debian package that it is from. */
export interface ToldBinary {
  readonly buildId: string;
  readonly path: string;
  readonly owner?: { readonly name: string; readonly version: string };
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
  readonly startedAt: string;
}

export interface FactsOptions {
  readonly version: string;
  /** What the catalog has hotpatches for: packages as `name@version`, binaries as `build-id:HEX`. */
  readonly targets: ReadonlySet<string>;
  readonly binaries: readonly ToldBinary[];
}

export function factsOf(processes: readonly ToldProcess[], { version, targets, binaries }: FactsOptions): Facts {
  const facts: Facts = {
    ...osFacts(),
    "host.name": text(hostname()),
    "kernel.release": text(release()),
    "cpu.architecture": text(machine()),
    "agent.version": version,
    "agent.node": process.versions.node,
    "agent.uid": process.geteuid?.() ?? 0,
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

function text(value: string): string {
  return printable(value.slice(0, commandCharacters)).slice(0, 4096);
}

function list(values: readonly string[]): string[] {
  return values.slice(0, listed).map((value) => text(value).slice(0, 512));
}

/** os-release(5): the file of /etc, or that of /usr/lib. */
function osFacts(): Facts {
  for (const file of ["/etc/os-release", "/usr/lib/os-release"]) {
    try {
      return parseOsRelease(readFileSync(file, "utf8"));
    } catch {
      // Absent or unreadable: the next one, or a machine that does not say what it is.
    }
  }
  return {};
}

const osNames: Readonly<Record<string, string>> = { ID: "os.id", VERSION_ID: "os.version", PRETTY_NAME: "os.name" };

export function parseOsRelease(source: string): Facts {
  const facts: Facts = {};
  for (const line of source.slice(0, 64 * 1024).split("\n")) {
    const [, name = "", value = ""] = /^([A-Z_]+)=(.*)$/.exec(line.trim()) ?? [];
    const fact = osNames[name];
    // Quoted as a shell would read it.
    const plain = value.replace(/^(["'])(.*)\1$/, "$2").replaceAll(/\\(.)/g, "$1");
    if (fact !== undefined && plain !== "") facts[fact] = text(plain);
  }
  return facts;
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
