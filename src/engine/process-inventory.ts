/**
 * What is known of a Node.js process without changing it: its command, its packages, the hotpatches in it.
 *
 * A process is only read, through /proc; one that carries our agent already is asked for more. None is signalled.
 * Files of packages are a stranger's: they are read in bounds, and never waited for.
 */
import { closeSync, constants, existsSync, fstatSync, openSync, readdirSync, readlinkSync, readSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { RefusalError } from "../base/refusal.ts";
import type { ProcessInfo } from "../process/process.ts";
import { checkRunning, checkSignal } from "./node/attach/checks.ts";
import { openExistingAgent } from "./node/attach/open-agent.ts";
import type { AgentStatus } from "./node/node-engine.ts";

export interface ListedPackage {
  readonly name: string;
  readonly version: string;
  readonly path: string;
  /** `loaded`: the agent says so; `installed`: it lies in a node_modules folder that the process looks in. */
  readonly seen: "loaded" | "installed";
}

export interface ListedProcess {
  readonly pid: number;
  readonly uid: number;
  readonly node: string;
  readonly command: string;
  /** Whether the agent is in it, could get into it, or why it could not. */
  readonly reachable: "agent" | "yes" | "no";
  readonly reason?: string;
  readonly hotpatches: AgentStatus["applied"];
  readonly packages: readonly ListedPackage[];
}

/** `node` is the version of Node.js in it. */
export async function describeProcess(info: ProcessInfo, node: string): Promise<ListedProcess> {
  const common = { pid: info.pid, uid: info.uid.effective, node, command: info.commandLine.join(" ").slice(0, 200) };
  const reason = obstacle(info);
  const installed = installedPackages(info);
  if (reason !== undefined) return { ...common, reachable: "no", reason, hotpatches: [], packages: installed };
  const agent = await openExistingAgent(info).catch(() => undefined);
  if (agent === undefined) return { ...common, reachable: "yes", hotpatches: [], packages: installed };
  try {
    const status = (await agent.call("status")) as AgentStatus;
    const files = (await agent.call("modules")) as readonly string[];
    return { ...common, reachable: "agent", hotpatches: status.applied, packages: packagesOf(info.pid, files) };
  } finally {
    agent.close();
  }
}

function obstacle(info: ProcessInfo): string | undefined {
  try {
    checkRunning(info);
    checkSignal(info);
    return undefined;
  } catch (error) {
    if (error instanceof RefusalError) return error.message;
    throw error;
  }
}

/** The packages around the loaded files, by the nearest package.json with a name, in the process's own file system. */
function packagesOf(pid: number, files: readonly string[]): ListedPackage[] {
  const byFolder = new Map<string, ListedPackage | undefined>();
  for (const file of files) {
    for (let folder = dirname(file); folder !== "/" && !byFolder.has(folder); folder = dirname(folder)) {
      const manifest = join(`/proc/${pid}/root`, folder, "package.json");
      if (!existsSync(manifest)) continue;
      byFolder.set(folder, readPackage(manifest, folder, "loaded"));
      if (byFolder.get(folder)) break;
    }
  }
  return [...byFolder.values()].filter((found) => found !== undefined).sort((a, b) => a.path.localeCompare(b.path));
}

const installedLimit = 2000;

/** What lies in the node_modules folders above the program's main file, in the process's own file system. */
export function installedPackages({ pid, commandLine }: ProcessInfo): ListedPackage[] {
  const script = commandLine.slice(1).find((word) => !word.startsWith("-"));
  const found: ListedPackage[] = [];
  if (script === undefined) return found;
  const root = `/proc/${pid}/root`;
  for (
    let folder = dirname(resolve(workingFolder(pid), script));
    found.length < installedLimit;
    folder = dirname(folder)
  ) {
    const modules = join(folder, "node_modules");
    for (const name of packageNames(join(root, modules)).slice(0, installedLimit)) {
      const read = readPackage(join(root, modules, name, "package.json"), join(modules, name), "installed");
      if (read) found.push(read);
    }
    if (folder === "/") break;
  }
  return found;
}

function workingFolder(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    // The process has ended or belongs to somebody else; relative names cannot be followed then.
    return "/";
  }
}

function packageNames(folder: string): string[] {
  return namesIn(folder).flatMap((name) =>
    name.startsWith("@")
      ? namesIn(join(folder, name)).map((inner) => `${name}/${inner}`)
      : name.startsWith(".")
        ? []
        : [name],
  );
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    // Absent, somebody else's, or a file: there are no packages that this user could see.
    return [];
  }
}

function readPackage(manifest: string, path: string, seen: ListedPackage["seen"]): ListedPackage | undefined {
  try {
    const { name, version } = JSON.parse(boundedText(manifest)) as { name?: unknown; version?: unknown };
    return typeof name === "string" && typeof version === "string" ? { name, version, path, seen } : undefined;
  } catch {
    // Somebody else's file: one that cannot be read names no package.
    return undefined;
  }
}

const manifestBytes = 1024 * 1024;

/** Throws for what is no regular file, and gives no more than a manifest may have: it could be a pipe, or have no end. */
function boundedText(file: string): string {
  const descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  try {
    const stats = fstatSync(descriptor);
    if (!stats.isFile() || stats.size > manifestBytes) return "";
    const bytes = Buffer.alloc(stats.size);
    return bytes.toString("utf8", 0, readSync(descriptor, bytes, 0, bytes.length, 0));
  } finally {
    closeSync(descriptor);
  }
}
