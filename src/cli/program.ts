/**
 * From command specs and the words of a command line to one invocation, by commander.
 *
 * Parsing only: nothing is run and nothing is printed here, so help, version and wrong usage come back as values like everything else.
 */
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import type { CommandInput, CommandSpec } from "./command.ts";

export type Parsed =
  | { readonly kind: "run"; readonly spec: CommandSpec; readonly input: CommandInput }
  | { readonly kind: "version" }
  /** Help that was asked for; goes to standard output. */
  | { readonly kind: "help"; readonly text: string }
  /** Wrong usage; `help` is there where no command was given at all. */
  | { readonly kind: "usage"; readonly message: string; readonly help?: string };

/** Options that every command has, and that no command may take for itself. */
export const globalOptions = [
  { flags: "--json", description: "print one JSON document on standard output" },
  { flags: "-q, --quiet", description: "no lines about work under way" },
  { flags: "--no-color", description: "no colours (as with NO_COLOR set)" },
  { flags: "-V, --version", description: "print the version" },
  { flags: "-h, --help", description: "print help" },
] as const;

const globalFlags = new Set(globalOptions.flatMap((option) => option.flags.split(", ")));

interface Capture {
  out: string;
  error: string;
  invocation: { spec: CommandSpec; input: CommandInput } | undefined;
}

/** `argv` without the interpreter and the script. */
export function parseCommandLine(specs: readonly CommandSpec[], argv: readonly string[]): Parsed {
  const capture: Capture = { out: "", error: "", invocation: undefined };
  const program = buildProgram(specs, capture);
  try {
    program.parse([...argv], { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) return fromCommander(error, capture);
    throw error;
  }
  if (capture.invocation === undefined) throw new Error("commander found no command and did not say so");
  return { kind: "run", ...capture.invocation };
}

function fromCommander(error: CommanderError, capture: Capture): Parsed {
  switch (error.code) {
    case "commander.version":
      return { kind: "version" };
    case "commander.helpDisplayed":
      return { kind: "help", text: capture.out };
    case "commander.help":
      // Commander's way of saying that a command, or the rest of its name, is missing; `help` as a word comes here as well.
      if (capture.out !== "") return { kind: "help", text: capture.out };
      return { kind: "usage", message: "no command given", help: capture.error };
    default:
      return { kind: "usage", message: (capture.error === "" ? error.message : capture.error).replace(/^error: /, "") };
  }
}

function buildProgram(specs: readonly CommandSpec[], capture: Capture): Command {
  const program = new Command("rebootless");
  configure(program, capture);
  program.helpCommand("help [command]", "print help for a command");
  program.description("Security fixes reach running software with nothing restarted.");
  // The number itself is printed by the frame, in text or JSON.
  program.version("", "-V, --version", "print the version");
  program.option("--json", "print one JSON document on standard output");
  program.option("-q, --quiet", "no lines about work under way");
  program.option("--no-color", "no colours (as with NO_COLOR set)");
  program.addHelpText("after", "\nExit codes: 0 done, 1 failed, 2 wrong usage, 3 refused.");
  const groups = new Map<string, Command>();
  for (const spec of specs) addSpec(program, groups, spec, capture);
  return program;
}

function configure(command: Command, capture: Capture): void {
  command.exitOverride();
  command.configureOutput({
    writeOut: (text) => {
      capture.out += text;
    },
    writeErr: (text) => {
      capture.error += text;
    },
    getOutHasColors: () => false,
    getErrHasColors: () => false,
  });
  command.configureHelp({ showGlobalOptions: true });
  command.helpOption("-h, --help", "print help");
}

function addSpec(program: Command, groups: Map<string, Command>, spec: CommandSpec, capture: Capture): void {
  const words = spec.name.split(" ");
  let parent = program;
  for (const [index, word] of words.slice(0, -1).entries()) {
    const path = words.slice(0, index + 1).join(" ");
    let group = groups.get(path);
    if (group === undefined) {
      group = parent.command(word).summary(`commands about ${path}s`).description(`Commands about ${path}s.`);
      configure(group, capture);
      group.helpCommand("help [command]", "print help for a command");
      groups.set(path, group);
    }
    parent = group;
  }
  const command = parent.command(words.at(-1) ?? spec.name);
  configure(command, capture);
  command.summary(spec.summary).description(spec.description ?? spec.summary);
  for (const argument of spec.arguments ?? []) command.argument(argument.name, argument.description);
  for (const option of spec.options ?? []) command.addOption(toOption(spec, option));
  command.addHelpText("after", examplesText(spec));
  command.action(() => {
    capture.invocation = { spec, input: { arguments: operands(command), options: { ...command.opts() } } };
  });
}

/** All operands in their order, variadic ones flat, and what stood behind `--` at the end. */
function operands(command: Command): string[] {
  return command.processedArgs.flat().filter((value): value is string => typeof value === "string");
}

function toOption(spec: CommandSpec, given: NonNullable<CommandSpec["options"]>[number]): Option {
  const taken = given.flags.split(/[ ,|]+/).find((flag) => globalFlags.has(flag));
  if (taken !== undefined)
    throw new Error(`the command ${spec.name} declares ${taken}, which every command has already`);
  const option = new Option(given.flags, given.description);
  if (given.default !== undefined) option.default(given.default);
  if (given.repeatable === true) {
    option.argParser((value: string, before: unknown) => (Array.isArray(before) ? [...before, value] : [value]));
  } else if (option.required || option.optional) {
    let seen = false;
    // Taking the last of two silently could, for one, act on another process than the user meant.
    option.argParser((value: string) => {
      if (seen) throw new InvalidArgumentError("It may be given only once.");
      seen = true;
      return value;
    });
  }
  return option;
}

function examplesText(spec: CommandSpec): string {
  if (spec.examples.length === 0) return "";
  return ["\nExamples:", ...spec.examples.flatMap(({ command, what }) => [`  # ${what}`, `  ${command}`])].join("\n");
}
