/**
 * The command `rebootless` run as its users run it, its answer read from --json.
 *
 * Commands run in one folder that holds their keys and files, so that the lines shown are short and complete.
 */
import { once } from "node:events";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import { commands } from "../src/cli/commands.ts";
import { main } from "../src/cli/main.ts";
import { Daemon } from "./daemon.ts";
import type { Household } from "./household.ts";

export const checkout = join(import.meta.dirname, "..");
const launcher = join(checkout, "bin", "rebootless.mjs");
const outputCharactersMax = 16 * 1024 * 1024;

export interface CommandAnswer {
  readonly exitCode: number;
  /** What the command printed with --json; `undefined` when it was no JSON. */
  readonly data: unknown;
  readonly errorText: string;
  /** From the start of the command's process to its end. */
  readonly totalMs: number;
}

export interface CommandLineOptions {
  readonly household: Household;
  /** Holds keys and hotpatches. */
  readonly folder: string;
  /** For temporary files of the commands; `folder` unless told. */
  readonly temporaryFolder?: string;
  /** Whether each line runs in a process of its own, unless told otherwise. */
  readonly apart?: boolean;
  /** Called with each line before it runs, such as `rebootless verify json5.hotpatch --pid 42 --json`. */
  readonly onLine?: (line: string) => void;
}

/** How one line is run. */
export interface LineOptions {
  /** Further environment variables, such as secrets, which no command line may hold. */
  readonly env?: NodeJS.ProcessEnv;
  /** Nobody is told of the line. */
  readonly silent?: boolean;
  /** In a process of its own, where it works beside others; else in this one, by the same code and in a fraction of the time. */
  readonly apart?: boolean;
}

export class CommandLine {
  readonly #options: CommandLineOptions;

  constructor(options: CommandLineOptions) {
    this.#options = options;
  }

  get folder(): string {
    return this.#options.folder;
  }

  get trustFolder(): string {
    return join(this.#options.folder, "trusted");
  }

  /** The data of a command that is expected to end well. Throws with what the command said when it does not. */
  async run<Data>(...words: readonly string[]): Promise<Data & { commandMs: number }> {
    return await this.runWith<Data>({}, words);
  }

  async runWith<Data>(options: LineOptions, words: readonly string[]): Promise<Data & { commandMs: number }> {
    const answer = await this.attempt(words, options);
    if (answer.exitCode !== 0) {
      throw new Error(`rebootless ${words[0]} ended with exit code ${answer.exitCode}: ${reasonOf(answer)}`);
    }
    if (typeof answer.data !== "object" || answer.data === null) {
      throw new Error(`rebootless ${words[0]} --json printed no JSON object`);
    }
    return { ...(answer.data as Data), commandMs: answer.totalMs };
  }

  /** The same for a command that may fail or refuse. */
  async attempt(words: readonly string[], options: LineOptions = {}): Promise<CommandAnswer> {
    const { env, silent = false, apart = this.#options.apart ?? false } = options;
    const line = [...words, "--json"];
    if (!silent) this.#options.onLine?.(["rebootless", ...line].join(" "));
    return apart ? await this.#runApart(line, env) : await this.#runHere(line, env);
  }

  async #runHere(line: readonly string[], env: NodeJS.ProcessEnv | undefined): Promise<CommandAnswer> {
    const startedMs = performance.now();
    const [out, error] = [new PassThrough(), new PassThrough()];
    const texts = [text(out), text(error)];
    const exitCode = await main({ argv: line, ...this.#surroundings(env), stdout: out, stderr: error, commands });
    out.end();
    error.end();
    const [said = "", complained = ""] = await Promise.all(texts);
    const totalMs = performance.now() - startedMs;
    return { exitCode, data: parsed(said), errorText: complained.trim(), totalMs };
  }

  async #runApart(line: readonly string[], env: NodeJS.ProcessEnv | undefined): Promise<CommandAnswer> {
    const startedMs = performance.now();
    const child = this.#options.household.start(process.execPath, [launcher, ...line], {
      ...this.#surroundings(env),
      stdio: ["ignore", "pipe", "pipe"],
      endWholeGroup: true,
    });
    const out: string[] = [];
    const error: string[] = [];
    child.stdout?.setEncoding("utf8").on("data", bounded(out));
    child.stderr?.setEncoding("utf8").on("data", bounded(error));
    const [code, signal] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
    if (code === null) throw new Error(`rebootless ${line[0]} was ended by ${signal}`);
    return {
      exitCode: code,
      data: parsed(out.join("")),
      errorText: error.join("").trim(),
      totalMs: performance.now() - startedMs,
    };
  }

  /** Starts a command that goes on running, such as `server run`. */
  startDaemon(name: string, words: readonly string[], env: NodeJS.ProcessEnv = {}): Daemon {
    this.#options.onLine?.(["rebootless", ...words].join(" "));
    const stdio = ["ignore", "pipe", "pipe"] as const;
    return new Daemon(this.#options.household, [launcher, ...words], {
      ...this.#surroundings(env),
      ...{ name, stdio: [...stdio], endWholeGroup: true },
    });
  }

  #surroundings(env: NodeJS.ProcessEnv = {}) {
    const { folder, temporaryFolder = folder } = this.#options;
    return {
      cwd: folder,
      env: { ...process.env, REBOOTLESS_TRUST_DIR: this.trustFolder, TMPDIR: temporaryFolder, ...env },
    };
  }
}

function bounded(chunks: string[]): (text: string) => void {
  let characters = 0;
  return (text) => {
    characters += text.length;
    if (characters <= outputCharactersMax) chunks.push(text);
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    // The caller says what was missing; the text on standard error tells more than the syntax error.
    return undefined;
  }
}

function reasonOf({ data, errorText }: CommandAnswer): string {
  const told = data as { error?: { message: string }; refused?: readonly { message: string }[] } | undefined;
  const messages = told?.refused?.map(({ message }) => message) ?? [];
  if (told?.error !== undefined) messages.push(told.error.message);
  return messages.length > 0 ? messages.join(" ") : errorText || "it said nothing";
}
