/**
 * `ps`: the processes of this machine, what is patched in them, and what could be.
 *
 * A process is only read, through /proc; one that carries our agent already is asked for more. None is signalled.
 */

import { hotpatchesIn, type NativeHotpatch } from "../../engine/linux/native-processes.ts";
import { BinaryLooks, type MappedBinary } from "../../engine/linux/process-binaries.ts";
import { describeProcess, type ListedProcess } from "../../engine/process-inventory.ts";
import { mayTouch, runsProgram } from "../../engine/sweep.ts";
import type { Manifest } from "../../hotpatch/manifest.ts";
import { classifyNode } from "../../process/node-executable.ts";
import { listProcesses, type ProcessInfo } from "../../process/process.ts";
import type { CommandInput, CommandIo, CommandResult, CommandSpec } from "../command.ts";
import { textTable } from "../text-table.ts";
import { trustDirectoryOption } from "./key.ts";
import { openWithTrust } from "./open-file.ts";

interface Listed extends ListedProcess {
  /** With --for: whether it has the version of the package that the hotpatch is for, and not the hotpatch. */
  readonly couldTake?: boolean;
}

/** A native program with a hotpatch in it, or with what the one of --for changes. */
interface ListedNative {
  readonly pid: number;
  readonly command: string;
  readonly hotpatches: readonly NativeHotpatch[];
  /** Those that the hotpatch of --for changes. */
  readonly binaries: readonly MappedBinary[];
  /** With --for: it runs the build that the hotpatch is for, and does not have the hotpatch. */
  readonly couldTake?: boolean;
}

export const psCommand: CommandSpec = {
  name: "ps",
  summary: "list processes, what is patched in them, and what could be",
  description:
    "Every Node.js process is listed, and each native program that carries a hotpatch; with --for a native hotpatch, those as well that run the build that it is for.\nPackages are those that the process has loaded, where the agent is in it, and those installed where it looks for packages otherwise.",
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
    const infos = listProcesses().filter((info) => mayTouch(info) && runsProgram(info));
    const processes: Listed[] = [];
    for (const info of infos) {
      const kind = classifyNode(info);
      if (kind.kind !== "node") continue;
      const found = await describeProcess(info, kind.version);
      processes.push(wanted === undefined ? found : { ...found, couldTake: couldTake(found, wanted) });
    }
    const native = listNative(infos, wanted);
    const text = [table(processes, input.options.packages === true), ...nativeTable(native)].join("\n");
    return { data: { processes, native }, text };
  },
};

/** Native programs are legion, so only those are listed that a hotpatch is in or for. */
function listNative(infos: readonly ProcessInfo[], wanted: Manifest | undefined): ListedNative[] {
  const looks = new BinaryLooks();
  const builds = new Set(wanted?.elf?.binaries.map(({ buildId }) => buildId));
  return infos.flatMap((info): ListedNative[] => {
    const { pid, commandLine } = info;
    const hotpatches = hotpatchesIn(pid);
    const binaries = builds.size === 0 ? [] : looks.of(info).filter(({ buildId }) => builds.has(buildId));
    if (hotpatches.length === 0 && binaries.length === 0) return [];
    const found = { pid, command: commandLine.join(" ").slice(0, 200), hotpatches, binaries };
    if (wanted === undefined) return [found];
    const has = hotpatches.some(({ id, state }) => id === wanted.id && state === "applied");
    return [{ ...found, couldTake: binaries.length > 0 && !has }];
  });
}

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

function nativeTable(processes: readonly ListedNative[]): string[] {
  if (processes.length === 0) return [];
  const rows = processes.flatMap(({ pid, command, hotpatches, binaries, couldTake }) => {
    const states = hotpatches.map(({ id, since, state }) => [id, `${state} since ${new Date(since).toISOString()}`]);
    if (couldTake === true) states.push(["-", `could take the hotpatch, for ${binaries[0]?.path}`]);
    return states.map(([id = "", state = ""]) => [String(pid), id, state, command]);
  });
  return ["", "Native programs:", textTable(["PID", "HOTPATCH", "STATE", "COMMAND"], rows)];
}

function table(processes: readonly Listed[], withPackages: boolean): string {
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
