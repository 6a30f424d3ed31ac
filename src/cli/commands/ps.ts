/**
 * `ps`: the Node.js processes of this machine, what is patched in them, and what could be.
 *
 * A process is only read, through /proc; one that carries our agent already is asked for more. None is signalled.
 */

import { type PatchedProcess, patchedProcesses } from "../../engine/linux/native-processes.ts";
import { describeProcess, type ListedProcess } from "../../engine/process-inventory.ts";
import { mayTouch } from "../../engine/sweep.ts";
import type { Manifest } from "../../hotpatch/manifest.ts";
import { classifyNode } from "../../process/node-executable.ts";
import { listProcesses } from "../../process/process.ts";
import type { CommandInput, CommandIo, CommandResult, CommandSpec } from "../command.ts";
import { trustDirectoryOption } from "./key.ts";
import { openWithTrust } from "./open-file.ts";

interface Listed extends ListedProcess {
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
    const processes: ListedProcess[] = [];
    for (const info of listProcesses().filter(mayTouch)) {
      const kind = classifyNode(info);
      if (kind.kind === "node") processes.push(await describeProcess(info, kind.version));
    }
    const answered =
      wanted === undefined ? processes : processes.map((found) => ({ ...found, couldTake: couldTake(found, wanted) }));
    const native = patchedProcesses();
    const text = [table(answered, input.options.packages === true), ...nativeTable(native)].join("\n");
    return { data: { processes: answered, native }, text };
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

/** Native programs are legion, so only those that carry a hotpatch are listed. */
function nativeTable(processes: readonly PatchedProcess[]): string[] {
  if (processes.length === 0) return [];
  const rows = processes.flatMap(({ pid, command, hotpatches }) =>
    hotpatches.map(
      ({ id, since, state }) =>
        `${String(pid).padStart(8)}  ${state.padEnd(11)}  ${new Date(since).toISOString()}  ${id.padEnd(30)}  ${command}`,
    ),
  );
  return ["", "Native programs with a hotpatch:", ...rows];
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
