/**
 * `ps`: the Node.js processes of this machine, what is patched in them, and what could be.
 *
 * A process is only read, through /proc; one that carries our agent already is asked for more. None is signalled.
 */
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { RefusalError } from "../../base/refusal.ts";
import { checkRunning, checkSignal } from "../../engine/node/attach/checks.ts";
import { openExistingAgent } from "../../engine/node/attach/open-agent.ts";
import type { AgentStatus } from "../../engine/node/node-engine.ts";
import type { Manifest } from "../../hotpatch/manifest.ts";
import { classifyNode } from "../../process/node-executable.ts";
import { listProcesses, type ProcessInfo } from "../../process/process.ts";
import type { CommandInput, CommandIo, CommandResult, CommandSpec } from "../command.ts";
import { trustDirectoryOption } from "./key.ts";
import { openWithTrust } from "./open-file.ts";

interface ListedPackage {
  readonly name: string;
  readonly version: string;
  readonly path: string;
  /** `loaded`: the agent says so; `installed`: it lies in a node_modules folder that the process looks in. */
  readonly seen: "loaded" | "installed";
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
  readonly packages: readonly ListedPackage[];
  /** With --for: whether it has the version of the package that the hotpatch is for, and not the hotpatch. */
  readonly couldTake?: boolean;
}

export const psCommand: CommandSpec = {
  name: "ps",
  summary: "list Node.js processes, what is patched in them, and what could be",
  description:
    "Packages are those that the process has loaded, where the agent is in it, and those installed where it looks for packages otherwise.",
  options: [
    { flags: "--packages", description: "show the packages of each process" },
    { flags: "--for <file>", description: "say which processes could take this hotpatch" },
    trustDirectoryOption,
  ],
  examples: [
    { command: "rebootless ps --for lodash.hotpatch", what: "which processes it would be for" },
    { command: "rebootless ps", what: "the processes of this user (of every user, as root)" },
    { command: "rebootless ps --packages --json", what: "with their packages, for a program to read" },
  ],
  async run(input, io): Promise<CommandResult> {
    const wanted = await manifestOf(input, io);
    const user = process.geteuid?.() ?? 0;
    const candidates = listProcesses().filter(
      ({ pid, uid }) => pid !== process.pid && (user === 0 || uid.effective === user),
    );
    const processes: ListedProcess[] = [];
    for (const info of candidates) {
      const kind = classifyNode(info);
      if (kind.kind === "node") processes.push(await describe(info, kind.version));
    }
    const answered =
      wanted === undefined ? processes : processes.map((found) => ({ ...found, couldTake: couldTake(found, wanted) }));
    return { data: { processes: answered }, text: table(answered, input.options.packages === true) };
  },
};

async function manifestOf(input: CommandInput, io: CommandIo): Promise<Manifest | undefined> {
  const file = input.options.for;
  if (typeof file !== "string") return undefined;
  const trustDirectory = input.options.trustDir as string | undefined;
  const { opened } = await openWithTrust(file, { trustDirectory, allowUnsigned: true }, io);
  return opened.hotpatch.manifest;
}

/** By package and version; `apply --dry-run` looks at the content. */
function couldTake({ reachable, hotpatches, packages }: ListedProcess, { id, target }: Manifest): boolean {
  if (reachable === "no" || hotpatches.some((applied) => applied.id === id) || target.kind !== "npm") return false;
  return packages.some(({ name, version }) => name === target.name && version === target.version);
}

async function describe(info: ProcessInfo, node: string): Promise<ListedProcess> {
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
function installedPackages({ pid, commandLine }: ProcessInfo): ListedPackage[] {
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
    const { name, version } = JSON.parse(readFileSync(manifest, "utf8")) as { name?: unknown; version?: unknown };
    return typeof name === "string" && typeof version === "string" ? { name, version, path, seen } : undefined;
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
    ...(found.couldTake === undefined
      ? []
      : [`          ${found.couldTake ? "could take the hotpatch" : "not for this process"}`]),
    ...(withPackages
      ? found.packages.map(({ name, version, path, seen }) => `          ${name}@${version}  ${seen}  ${path}`)
      : []),
  ]);
  return [
    `${"PID".padStart(8)}  ${"NODE".padEnd(9)}  ${"ENTRY".padEnd(6)}  ${"HOTPATCHES".padEnd(30)}  COMMAND`,
    ...rows,
  ].join("\n");
}

function patchesOf({ hotpatches }: ListedProcess): string {
  return hotpatches.length === 0 ? "-" : hotpatches.map(({ id }) => id).join(", ");
}
