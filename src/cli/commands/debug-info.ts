/**
 * `debug-info`: files by which gdb and perf see the hotpatches of a native process.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { RebootlessError } from "../../base/errors.ts";
import { refuse } from "../../base/refusal.ts";
import { debugFiles, perfMap } from "../../engine/linux/debug-info.ts";
import { readProcess } from "../../process/process.ts";
import type { CommandIo, CommandResult, CommandSpec } from "../command.ts";
import { text } from "../option-values.ts";

export const debugInfoCommand: CommandSpec = {
  name: "debug-info",
  summary: "write files by which gdb and perf see the hotpatches of a native process",
  description:
    "For gdb, an ELF file for each hotpatch, made from what is in the process; gdb walks through the new code and names it.\nFor perf, a map of names in DIR; perf looks for it as /tmp/perf-PID.map, where only you may put it.",
  options: [
    { flags: "--pid <pid>", description: "the process" },
    { flags: "-o, --output <folder>", description: "where the files go (made when missing)" },
  ],
  examples: [
    { command: "rebootless debug-info --pid 4711 -o symbols", what: "and then, in gdb: source symbols/4711.gdb" },
  ],
  async run(input, io): Promise<CommandResult> {
    const pid = Number(text(input, "pid"));
    const output = text(input, "output");
    if (!Number.isSafeInteger(pid) || pid < 1 || output === undefined)
      throw new RebootlessError("usage/arguments", "Name the process with --pid and the folder with -o.");
    return write(pid, output, io);
  },
};

function write(pid: number, output: string, io: CommandIo): CommandResult {
  const info = readProcess(pid);
  if (info === undefined) throw new RebootlessError("input/process-missing", `There is no process ${pid}.`);
  const files = debugFiles({ pid, startTicks: info.startTicks });
  if (files.length === 0) refuse("target/not-applied", `Process ${pid} carries no hotpatch.`);
  const folder = resolve(io.cwd, output);
  try {
    mkdirSync(folder, { recursive: true });
    const written = files.map(({ id, binary, bytes }) => {
      const path = join(folder, `${pid}-${id}-${binary.replace(/[^\w.@+-]/g, "_")}.elf`);
      writeFileSync(path, bytes);
      return path;
    });
    const lines = written.map((path) => `add-symbol-file ${path}`);
    const script = join(folder, `${pid}.gdb`);
    const map = join(folder, `perf-${pid}.map`);
    writeFileSync(script, `set confirm off\n${lines.join("\n")}\n`);
    writeFileSync(map, perfMap(files));
    return { data: { pid, files: written, script, map }, text: [...lines, `For perf: cp ${map} /tmp/`].join("\n") };
  } catch (error) {
    throw new RebootlessError("failure/file-write", `The files cannot be written to ${folder}.`, { cause: error });
  }
}
