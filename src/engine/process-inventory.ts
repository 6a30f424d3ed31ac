/**
 * What is known of a Node.js process without changing it: its command, its packages, the hotpatches in it.
 *
 * A process is only read, through /proc; one that carries our agent already is asked for more. None is signalled.
 * Files of packages are a stranger's: they are read in bounds, and never waited for.
 */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { RefusalError } from "../base/refusal.ts";
import type { ProcessInfo } from "../process/process.ts";
import { installedPackages, readPackage } from "./installed-packages.ts";
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
  const installed = installedPackages(info).map((found) => ({ ...found, seen: "installed" as const }));
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
      const read = readPackage(manifest);
      byFolder.set(folder, read && { ...read, path: folder, seen: "loaded" });
      if (byFolder.get(folder)) break;
    }
  }
  return [...byFolder.values()].filter((found) => found !== undefined).sort((a, b) => a.path.localeCompare(b.path));
}
