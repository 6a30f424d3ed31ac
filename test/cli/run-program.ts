/** Runs a command-line program to its end and answers what it said. */
import { type ChildProcess, spawn } from "node:child_process";
import path from "node:path";

export const checkout = path.resolve(import.meta.dirname, "../..");
export const frameProgram = path.join(import.meta.dirname, "frame-program.ts");
export const launcher = path.join(checkout, "bin", "rebootless.mjs");

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly out: string;
  readonly error: string;
}

export interface RunOptions {
  readonly command?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** Called with each piece of standard output, for tests that act on a running program. */
  readonly onOutput?: (text: string, child: ChildProcess) => void;
  /** A minute unless told. */
  readonly timeoutMs?: number;
  /** Called once it runs, for tests that end it by force. */
  readonly onStart?: (child: ChildProcess) => void;
}

/** Ends the program by force after a minute, so that a hanging one fails its test. */
export function runProgram(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  const child = spawn(options.command ?? process.execPath, args, {
    cwd: options.cwd,
    env: {
      ...process.env,
      NO_COLOR: undefined,
      REBOOTLESS_DEBUG: undefined,
      NODE_TEST_CONTEXT: undefined,
      ...options.env,
    },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: options.timeoutMs ?? 60_000,
    killSignal: "SIGKILL",
  });
  options.onStart?.(child);
  let out = "";
  let error = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    out += text;
    options.onOutput?.(text, child);
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    error += text;
  });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve({ code, signal, out, error }));
  });
}
