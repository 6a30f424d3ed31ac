/** A program with commands that end in every way there is, run by the frame as `rebootless` is. */
import { RebootlessError } from "../../src/base/errors.ts";
import { refuse } from "../../src/base/refusal.ts";
import type { CommandResult, CommandSpec } from "../../src/cli/command.ts";
import { completionCommand } from "../../src/cli/commands/completion.ts";
import { runProcess } from "../../src/cli/main.ts";

type Ending = () => Promise<CommandResult>;

const hostile = "a\u001b[31mred\u009b2J\u202eb\tc\r\nnext";

const endings: Readonly<Record<string, Ending>> = {
  refuse: async () => refuse("target/not-node", `The process is not Node;\nchoose ${hostile}`, { pid: 7 }),
  fail: async () => {
    throw new RebootlessError("failure/apply", "It did not hold; try again.", {
      cause: new Error("inner cause"),
      details: { pid: 7n },
    });
  },
  crash: async () => {
    throw new TypeError("x is not a function");
  },
  later: () =>
    new Promise(() => {
      setImmediate(() => {
        throw new Error("nobody caught this");
      });
    }),
  unheld: async () => ({ data: { held: false }, text: "did not hold", exitCode: 1 }),
  hostile: async () => ({ data: { text: hostile, big: 2n ** 60n }, text: hostile }),
  long: async () => ({ data: "x".repeat(4_000_000), text: "line\n".repeat(800_000) }),
  wait: () =>
    new Promise(() => {
      process.stdout.write("waiting\n");
      setInterval(() => undefined, 1000);
    }),
};

function ending(name: string, run: Ending): CommandSpec {
  return { name, summary: `ends: ${name}`, examples: [], run };
}

const echo: CommandSpec = {
  name: "echo words",
  summary: "answer with what was given",
  arguments: [
    { name: "<file>", description: "a file" },
    { name: "[rest...]", description: "more" },
  ],
  options: [
    { flags: "-p, --pid <number>", description: "a process" },
    { flags: "--allow-unsigned", description: "a switch" },
    { flags: "--with <name>", description: "several", repeatable: true },
    { flags: "--trust-dir <dir>", description: "a folder" },
    { flags: "--mode <fast|safe>", description: "a choice", default: "safe" },
  ],
  examples: [{ command: "rebootless echo words a.txt --pid 7", what: "echo with a process" }],
  async run(input, io) {
    io.progress("at work");
    io.warn(`take care\nof ${hostile}`);
    return { data: input, text: JSON.stringify(input) };
  },
};

const specs = [echo, ...Object.entries(endings).map(([name, run]) => ending(name, run))];

await runProcess([...specs, completionCommand(specs)]);
