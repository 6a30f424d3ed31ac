/**
 * Running the helper where the target's ports are: in its network namespace, through nsenter(1) of util-linux.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { constants, setPriority } from "node:os";
import { join } from "node:path";
import { RebootlessError } from "../../../base/errors.ts";
import { refuse } from "../../../base/refusal.ts";
import { readProcLink } from "../../../process/proc-file.ts";
import type { ProcessInfo } from "../../../process/process.ts";
import { tcpListeners } from "../../../process/sockets.ts";
import type { GuardRequest } from "./guard.ts";
import { type InjectionRequest, type InjectionResult, inject } from "./inject.ts";

const helperFile = join(import.meta.dirname, "helper.ts");
const outputCharactersMax = 1024 * 1024;
/** For so long a process may take to open the port that an ended command asked it for. */
const orphanedMs = 30_000;

type Command = readonly [program: string, ...rest: string[]];

/** Injects from this process, or from the target's network namespace when that is another; guards the port when it may open late. */
export async function injectInNamespace(target: ProcessInfo, request: InjectionRequest): Promise<InjectionResult> {
  const command = helperCommand(target);
  const known = tcpListeners(target.pid).map((listener) => listener.inode);
  const result = command.nested
    ? await runHelper(command.words, request)
    : await injectGuarded(command.words, known, request);
  if (result.state === "refused" && result.guardMs > 0) {
    startGuard(command.words, { pid: request.pid, startTicks: request.startTicks, known, timeoutMs: result.guardMs });
  }
  return result;
}

/** Should this process be ended by force meanwhile, the guard closes the port that it may leave open. */
async function injectGuarded(
  words: Command,
  known: readonly string[],
  request: InjectionRequest,
): Promise<InjectionResult> {
  const { pid, startTicks } = request;
  const endGuard = standBy(words, { pid, startTicks, known, timeoutMs: orphanedMs });
  try {
    return await inject(request);
  } finally {
    endGuard();
  }
}

function helperCommand({ pid, comm, namespaces }: ProcessInfo): { readonly nested: boolean; readonly words: Command } {
  const program: Command = [process.execPath, helperFile];
  if (namespaces.network === undefined) {
    refuse(
      "target/not-permitted",
      `The network namespace of process ${pid} (${comm}) is not for this user to see; run the command as root.`,
    );
  }
  if (namespaces.network === readProcLink("/proc/self/ns/net")) return { nested: false, words: program };
  const root = process.geteuid?.() === 0;
  // Without privileges, the user namespace that owns the network has to be entered as well.
  const user = root ? [] : [`--user=/proc/${pid}/ns/user`, "--preserve-credentials"];
  return { nested: true, words: ["nsenter", ...user, `--net=/proc/${pid}/ns/net`, "--", ...program] };
}

/** NODE_OPTIONS of the caller are for the caller; the helper starts without them. */
function helperEnvironment(): NodeJS.ProcessEnv {
  const { NODE_OPTIONS: _, ...environment } = process.env;
  return environment;
}

function runHelper(words: Command, request: InjectionRequest): Promise<InjectionResult> {
  return new Promise((resolve, reject) => {
    const [program, ...rest] = words;
    const child = spawn(program, [...rest, "inject"], { stdio: "pipe", env: helperEnvironment() });
    let output = "";
    let complaint = "";
    const fail = (cause?: unknown) => {
      const message = `The network namespace of process ${request.pid} could not be entered (${complaint.trim().slice(0, 500) || program}); nsenter of util-linux, and most often root, is needed.`;
      reject(new RebootlessError("failure/command", message, { cause }));
    };
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      if (output.length > outputCharactersMax) child.kill("SIGKILL");
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      complaint = (complaint + text).slice(0, outputCharactersMax);
    });
    child.on("error", fail);
    child.on("close", (code) => {
      if (code !== 0) return fail();
      resolve(JSON.parse(output) as InjectionResult);
    });
    child.stdin.on("error", () => {
      // A helper that ended early says so by its exit code.
    });
    child.stdin.end(JSON.stringify(request));
  });
}

/** Leaves a process behind that ends by itself; the command need not wait for it. */
function startGuard(words: Command, request: GuardRequest): void {
  const child = spawnGuard(words, request);
  child.stdin?.end();
}

/** A guard that begins when this process is gone: until then its input stays open. */
function standBy(words: Command, request: GuardRequest): () => void {
  const child = spawnGuard(words, request);
  // The port is open while it starts, so it must not take time from those who are about to close it.
  if (child.pid !== undefined) setPriority(child.pid, constants.priority.PRIORITY_LOW);
  return () => void child.kill("SIGKILL");
}

function spawnGuard(words: Command, request: GuardRequest): ChildProcess {
  const [program, ...rest] = words;
  const child = spawn(program, [...rest, "guard"], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
    cwd: "/",
    env: helperEnvironment(),
  });
  child.on("error", () => {
    // nsenter is there, or the injection before would have failed; without a guard, the answer stays the same.
  });
  child.stdin?.on("error", () => {
    // A guard that has been ended reads nothing any more.
  });
  child.stdin?.write(JSON.stringify(request));
  child.unref();
  return child;
}
