/** Running the tools of a build: compilers, make, patch, cp. */
import { spawn } from "node:child_process";
import { RebootlessError } from "../../base/errors.ts";

export interface CommandOptions {
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  /** Keeps all that it prints, for answers that are to be read. */
  readonly whole?: boolean;
}

export interface CommandAnswer {
  readonly code: number | null;
  /** What it printed, both streams together; only the end unless the whole was asked for. */
  readonly output: string;
}

const keptCharacters = 200_000;

/** Never throws for an exit code; throws `failure/command` where the program cannot be started. */
export function runCommand(words: readonly string[], options: CommandOptions): Promise<CommandAnswer> {
  const [program = "", ...parameters] = words;
  const { whole = false, ...places } = options;
  return new Promise((done, fail) => {
    const child = spawn(program, parameters, { ...places, stdio: ["ignore", "pipe", "pipe"] });
    const end = (): void => void child.kill("SIGTERM");
    process.once("exit", end);
    let output = "";
    const keep = (chunk: Buffer): void => {
      const text = output + chunk.toString("utf8");
      output = whole ? text : text.slice(-keptCharacters);
    };
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    child.on("error", (cause) => {
      process.off("exit", end);
      fail(new RebootlessError("failure/command", `${program} could not be started: ${cause.message}.`, { cause }));
    });
    child.on("close", (code) => {
      process.off("exit", end);
      done({ code, output });
    });
  });
}

/** Throws `failure/command` with the end of the output for any exit code but 0. */
export async function mustRun(what: string, words: readonly string[], options: CommandOptions): Promise<string> {
  const { code, output } = await runCommand(words, options);
  if (code !== 0) {
    throw new RebootlessError(
      "failure/command",
      `${what} failed with exit code ${code}: ${words.join(" ").slice(0, 300)}\n${output.trim().split("\n").slice(-15).join("\n")}`,
      { details: { code } },
    );
  }
  return output;
}
