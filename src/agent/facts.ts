/** What a machine tells of itself: flat names and values, and what changed between two tellings. */
import { readFileSync } from "node:fs";
import { hostname, machine, release } from "node:os";
import type { Facts, FactValue } from "../api/schemas.ts";
import { printable } from "../base/printable.ts";
import type { ListedProcess } from "../engine/process-inventory.ts";

/** So many that the facts of all of them stay below the contract's limit. */
export const toldProcesses = 80;
const commandCharacters = 200;
const listed = 64;

/** A process as the facts tell of it. */
export interface ToldProcess extends ListedProcess {
  readonly startedAt: string;
}

/** `targets` are the packages that the catalog has hotpatches for, as `name@version`. */
export function factsOf(
  processes: readonly ToldProcess[],
  { version, targets }: { readonly version: string; readonly targets: ReadonlySet<string> },
): Facts {
  const facts: Facts = {
    ...osFacts(),
    "host.name": text(hostname()),
    "kernel.release": text(release()),
    "cpu.architecture": text(machine()),
    "agent.version": version,
    "agent.node": process.versions.node,
    "agent.uid": process.geteuid?.() ?? 0,
    processes: processes.length,
  };
  const concerned = ({ hotpatches, packages }: ToldProcess) =>
    hotpatches.length > 0 || packages.some(({ name, version }) => targets.has(`${name}@${version}`));
  const sorted = processes.toSorted((a, b) => Number(concerned(b)) - Number(concerned(a)) || a.pid - b.pid);
  for (const process of sorted.slice(0, toldProcesses)) Object.assign(facts, processFacts(process, targets));
  return facts;
}

function processFacts(process: ToldProcess, targets: ReadonlySet<string>): Facts {
  const { pid, command, node, startedAt, packages, hotpatches } = process;
  const at = `process.${pid}`;
  const affected = new Set(packages.map(({ name, version }) => `${name}@${version}`).filter((id) => targets.has(id)));
  return {
    [`${at}.command`]: text(command),
    [`${at}.node`]: text(node),
    [`${at}.startedAt`]: startedAt,
    ...(affected.size === 0 ? {} : { [`${at}.packages`]: list([...affected]) }),
    ...(hotpatches.length === 0 ? {} : { [`${at}.hotpatches`]: list(hotpatches.map(({ id }) => id)) }),
  };
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
