/**
 * The shape of a command: what it is called, what it takes, and an action that answers with data and text.
 *
 * A command never prints and never exits: it returns a `CommandResult`, throws `RefusalError` for a refusal and `RebootlessError` for an error, and the frame in main.ts does the rest, the same for all.
 */
import type { DryRun } from "../api/schemas/dry-run.ts";

export interface CommandOption {
  /** As commander writes it, such as `--pid <number>`. */
  readonly flags: string;
  readonly description: string;
  readonly default?: string | boolean;
  /** May be given more than once; the value is then an array of strings. */
  readonly repeatable?: boolean;
}

export interface CommandArgument {
  /** As commander writes it: `<file>`, `[name]`, `<file...>`. */
  readonly name: string;
  readonly description: string;
}

export interface CommandIo {
  readonly env: NodeJS.ProcessEnv;
  /** The folder that relative paths of the user start from. */
  readonly cwd: string;
  /** A part of an answer that goes on, at once on standard output: `data` as a line of JSON with --json, `text` without. False once nobody reads it any more. */
  emit(data: unknown, text: string): Promise<boolean>;
  /** A line about work under way; goes to standard error, and nowhere with --json or --quiet. */
  progress(message: string): void;
  /** A line of a log that goes on: its text for a person, and with --json the record as one line of JSON; goes to standard error. */
  log(record: Readonly<Record<string, unknown>>, text: string): void;
  /** Something that the user must see even with --quiet; goes to standard error. */
  warn(message: string): void;
}

export interface CommandResult {
  /** What --json prints, as one document. */
  readonly data: unknown;
  /** What a person sees on standard output, without --json. */
  readonly text: string;
  /** 0 unless told: 1 where the work was done and did not hold. */
  readonly exitCode?: 0 | 1 | 3;
}

export interface CommandSpec {
  /** The words, such as `apply` or `key generate`. */
  readonly name: string;
  readonly summary: string;
  readonly description?: string;
  readonly arguments?: readonly CommandArgument[];
  readonly options?: readonly CommandOption[];
  /** Whole command lines with what they do. */
  readonly examples: readonly { readonly command: string; readonly what: string }[];
  /** Everything behind a `--` of the command line is left alone and given as the last argument. */
  run(input: CommandInput, io: CommandIo): Promise<CommandResult>;
}

export interface CommandInput {
  readonly arguments: readonly string[];
  /** Where the command is only to be tried out: what each request to the server would do. */
  readonly trial?: DryRun[];
  /** By the option's long name in camelCase; absent where not given and without default. */
  readonly options: Readonly<Record<string, string | boolean | readonly string[] | undefined>>;
}
