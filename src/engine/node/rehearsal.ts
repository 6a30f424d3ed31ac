/**
 * A rehearsal: the hotpatch is applied and taken back in a sacrificial process of the same Node.js with the same files, before the target is touched.
 *
 * It shows whether V8 finds every function again, and how long the process would stand still.
 */
import { spawn } from "node:child_process";
import { RebootlessError } from "../../base/errors.ts";
import type { Finding } from "../engine.ts";
import { loadAgentSource } from "./attach/agent-source.ts";
import type { WireHotpatch } from "./wire.ts";

export interface RehearsalInput {
  readonly hotpatch: WireHotpatch;
  /** The folder from which `entries` are resolved. */
  readonly base: string;
  /** Names of packages to load as an application would. */
  readonly entries: readonly string[];
  /** Files of the hotpatch to load besides; one that does not load alone is left out of the rehearsal. */
  readonly files: readonly {
    readonly filename: string;
    readonly path: string;
    readonly format: "commonjs" | "module";
  }[];
  /** Live objects to add for a second measurement, in MB; 0 for none. */
  readonly ballastMb: number;
  /** The package whose values are to be listed, before the hotpatch is applied and while it is. */
  readonly values?: { readonly folder: string; readonly version: string };
  /** Nothing but `valuesBefore` is wanted; the answer holds neither copies nor a pause. */
  readonly valuesOnly?: boolean;
}

/** What stands at a place among the values of a package; `open` where what is below was listed as well. */
export interface ListedValue {
  readonly text: string;
  readonly open: boolean;
  /** The place of the object that holds it; absent for exports and variables. */
  readonly under?: string;
}

/** What one live edit of the whole hotpatch cost on a heap of that size. */
export interface PauseSample {
  readonly heapUsedBytes: number;
  readonly enableMs: number;
  readonly pauseMs: number;
}

export interface RehearsalResult extends PauseSample {
  readonly node: string;
  /** Paths of the hotpatch's files that are loaded once `entries` are. */
  readonly entryFiles: readonly string[];
  readonly failures: readonly { readonly name: string; readonly message: string }[];
  readonly applied: boolean;
  readonly copies: readonly { readonly filename: string; readonly path: string }[];
  readonly findings: readonly Finding[];
  /** Functions that kept the new code after the way back. */
  readonly leftBehind: readonly { readonly path: string; readonly name: string }[];
  /** `files` could not be changed; `isFinal` where no other way of editing them would help. */
  readonly fault?: {
    readonly code?: string;
    readonly message: string;
    readonly files: readonly string[];
    readonly isFinal: boolean;
  };
  readonly heavier?: PauseSample;
  /** Every file of the package that its entries load; only with `values`. */
  readonly loadedFiles?: readonly string[];
  readonly valuesBefore?: Readonly<Record<string, ListedValue>>;
  readonly valuesAfter?: Readonly<Record<string, ListedValue>>;
  /** Places of exported functions in whose stead the hotpatch put others. */
  readonly replaced?: readonly string[];
}

export interface RehearsalOptions {
  /** The Node.js to run; the target's own by `/proc/PID/exe`. */
  readonly nodePath: string;
  /** The user to run as: never root for a process of somebody else. */
  readonly user?: { readonly uid: number; readonly gid: number };
  readonly timeoutMs?: number;
}

const outputBytesMax = 16 * 1024 * 1024;

/** Throws `failure/rehearsal` when the process cannot be started, dies or takes longer than `timeoutMs` (60 s unless told). */
export async function rehearse(
  input: RehearsalInput,
  { nodePath, user, timeoutMs = 60_000 }: RehearsalOptions,
): Promise<RehearsalResult> {
  // The program comes by standard input, since the target's user may not be able to read our files.
  const program = `(${loadAgentSource().text})(require)("./rehearse.cjs").main(${JSON.stringify(input)});`;
  const output = await run(nodePath, program, { user, timeoutMs });
  try {
    return JSON.parse(output) as RehearsalResult;
  } catch (cause) {
    throw new RebootlessError("failure/rehearsal", "The rehearsal ended without an answer.", { cause });
  }
}

function run(
  nodePath: string,
  input: string,
  options: { user: RehearsalOptions["user"]; timeoutMs: number },
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(nodePath, ["-"], {
      cwd: "/",
      // Nothing of our own environment: it may hold secrets, and options that the target does not have.
      env: { PATH: process.env.PATH ?? "/usr/bin:/bin", NODE_NO_WARNINGS: "1" },
      stdio: ["pipe", "pipe", "pipe"],
      ...options.user,
    });
    const output: Buffer[] = [];
    const complaints: Buffer[] = [];
    let sizeBytes = 0;
    let ended = "";
    const end = (why = ""): void => {
      ended ||= why;
      child.kill("SIGKILL");
    };
    const endAtExit = (): void => end();
    const timer = setTimeout(() => end(`it took longer than ${options.timeoutMs / 1000} s`), options.timeoutMs);
    process.once("exit", endAtExit);
    const settle = (action: () => void): void => {
      clearTimeout(timer);
      process.off("exit", endAtExit);
      action();
    };
    const fail = (message: string, cause?: unknown): void =>
      settle(() => reject(new RebootlessError("failure/rehearsal", message, { cause })));
    child.stdout.on("data", (chunk: Buffer) => {
      sizeBytes += chunk.length;
      if (sizeBytes > outputBytesMax) end(`it answered with more than ${outputBytesMax} bytes`);
      else output.push(chunk);
    });
    child.stderr.on("data", (chunk: Buffer) => void (complaints.length < 64 && complaints.push(chunk)));
    child.on("error", (error) => fail(`The rehearsal could not start ${nodePath}: ${error.message}.`, error));
    // A process that dies before it has read everything is told of by its exit.
    child.stdin.on("error", () => undefined);
    child.stdin.end(input);
    child.on("close", (code, signal) => {
      if (code === 0) settle(() => resolve(Buffer.concat(output).toString("utf8")));
      else {
        const reason = ended || Buffer.concat(complaints).toString("utf8").slice(0, 2000);
        fail(`The sacrificial process of the rehearsal ended with ${signal ?? code}: ${reason}`);
      }
    });
  });
}
