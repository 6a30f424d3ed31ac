/** Programs that the corpus run starts: each is bounded in time and ended by its own id, also when the run itself is interrupted. */
import { type ChildProcess, spawn } from "node:child_process";

const living = new Set<ChildProcess>();
let guarded = false;

function endAll(): void {
  for (const child of living) child.kill("SIGKILL");
}

/** Ends the child with us, however we end. */
export function endWithUs(child: ChildProcess): void {
  living.add(child);
  child.once("exit", () => living.delete(child));
  child.once("error", () => living.delete(child));
  if (guarded) return;
  guarded = true;
  process.on("exit", endAll);
  for (const [signal, number] of [
    ["SIGINT", 2],
    ["SIGTERM", 15],
    ["SIGHUP", 1],
  ] as const) {
    process.on(signal, () => process.exit(128 + number));
  }
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly out: string;
  readonly error: string;
  readonly timedOut: boolean;
  readonly tookMs: number;
}

export interface RunOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly timeoutMs: number;
}

/** What a child inherits: nothing that a test runner or a debugger left in our own environment. */
export function plainEnvironment(more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  return {
    ...process.env,
    NODE_OPTIONS: undefined,
    NODE_TEST_CONTEXT: undefined,
    REBOOTLESS_DEBUG: undefined,
    NO_COLOR: "1",
    ...more,
  };
}

/** Runs a program to its end; one that takes too long is killed. Rejects only if it cannot be started. */
export function runToEnd(options: RunOptions): Promise<Ended> {
  const startedMs = performance.now();
  const child = spawn(options.command, options.args, {
    cwd: options.cwd,
    env: plainEnvironment(options.env),
    stdio: ["ignore", "pipe", "pipe"],
  });
  endWithUs(child);
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    child.kill("SIGKILL");
  }, options.timeoutMs);
  let out = "";
  let error = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    out += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    error += text;
  });
  return new Promise((resolve, reject) => {
    child.once("error", (cause) => {
      clearTimeout(timer);
      reject(cause);
    });
    child.once("close", (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, out, error, timedOut, tookMs: performance.now() - startedMs });
    });
  });
}
