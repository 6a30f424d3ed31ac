/**
 * `ps`: the Node.js processes of this machine, what is patched in them, and what could be.
 *
 * A process is only read, through /proc; one that carries our agent already is asked for more. None is signalled.
 */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { RefusalError } from "../../base/refusal.ts";
import { openExistingAgent } from "../../engine/node/attach/open-agent.ts";
import { checkRunning, checkSignal } from "../../engine/node/attach/checks.ts";
import type { AgentStatus } from "../../engine/node/node-engine.ts";
import { classifyNode } from "../../process/node-executable.ts";
import { listProcesses, type ProcessInfo } from "../../process/process.ts";
import type { CommandResult, CommandSpec } from "../command.ts";

interface ListedPackage {
  readonly name: string;
  readonly version: string;
  readonly path: string;
}

interface ListedProcess {
  readonly pid: number;
  readonly uid: number;
  readonly node: string;
  readonly command: string;
  /** Whether the agent is in it, could get into it, or why it could not. */
  readonly reachable: "agent" | "yes" | "no";
  readonly reason?: string;
  readonly hotpatches: AgentStatus["applied"];
  /** Known only of processes that carry the agent. */
  readonly packages?: readonly ListedPackage[];
}

export const psCommand: CommandSpec = {
  name: "ps",
  summary: "list Node.js processes, what is patched in them, and what could be",
  options: [{ flags: "--packages", description: "show the packages that each process has loaded, where the agent is in it" }],
  examples: [
    { command: "rebootless ps", what: "the processes of this user (of every user, as root)" },
    { command: "rebootless ps --packages --json", what: "with their packages, for a program to read" },
  ],
  async run(input): Promise<CommandResult> {
    const user = process.geteuid?.() ?? 0;
    const candidates = listProcesses().filter(({ pid, uid }) => pid !== process.pid && (user === 0 || uid.effective === user));
    const processes: ListedProcess[] = [];
    for (const info of candidates) {
      const kind = classifyNode(info);
      if (kind.kind === "node") processes.push(await describe(info, kind.version));
    }
    return { data: { processes }, text: table(processes, input.options["packages"] === true) };
  },
};

async function describe(info: ProcessInfo, node: string): Promise<ListedProcess> {
  const common = { pid: info.pid, uid: info.uid.effective, node, command: info.commandLine.join(" ").slice(0, 200) };
  const reason = obstacle(info);
  if (reason !== undefined) return { ...common, reachable: "no", reason, hotpatches: [] };
  const agent = await openExistingAgent(info).catch(() => undefined);
  if (agent === undefined) return { ...common, reachable: "yes", hotpatches: [] };
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
      byFolder.set(folder, readPackage(manifest, folder));
      if (byFolder.get(folder)) break;
    }
  }
  return [...byFolder.values()].filter((found) => found !== undefined).sort((a, b) => a.path.localeCompare(b.path));
}

function readPackage(manifest: string, path: string): ListedPackage | undefined {
  try {
    const { name, version } = JSON.parse(readFileSync(manifest, "utf8")) as { name?: unknown; version?: unknown };
    return typeof name === "string" && typeof version === "string" ? { name, version, path } : undefined;
  } catch {
    // Somebody else's file: one that cannot be read names no package.
    return undefined;
  }
}

function table(processes: readonly ListedProcess[], withPackages: boolean): string {
  if (processes.length === 0) return "No Node.js process that this user may touch is running.";
  const rows = processes.flatMap((found) => [
    `${String(found.pid).padStart(8)}  ${found.node.padEnd(9)}  ${found.reachable.padEnd(6)}  ${patchesOf(found).padEnd(30)}  ${found.command}`,
    ...(found.reason === undefined ? [] : [`          ${found.reason}`]),
    ...(withPackages ? (found.packages ?? []).map(({ name, version, path }) => `          ${name}@${version}  ${path}`) : []),
  ]);
  return [`${"PID".padStart(8)}  ${"NODE".padEnd(9)}  ${"ENTRY".padEnd(6)}  ${"HOTPATCHES".padEnd(30)}  COMMAND`, ...rows].join("\n");
}

function patchesOf({ hotpatches }: ListedProcess): string {
  return hotpatches.length === 0 ? "-" : hotpatches.map(({ id }) => id).join(", ");
}
