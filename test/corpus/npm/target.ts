/** A target process of the corpus, as seen from outside: started, asked, and ended by its own id. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { CorpusCase } from "./cases.ts";
import { endWithUs, plainEnvironment } from "./child-process.ts";

/** `given` is the probe of the corpus, `companion` the one in extra-probes.cjs. */
export type ProbeName = "given" | "companion";

export interface ProbeAnswer {
  /** True where the hole is open, false where it is closed; null where the probe could not tell. */
  readonly vuln: boolean | null;
  readonly info?: string;
  /** What the probe threw. */
  readonly error?: string;
}

export interface Target {
  readonly pid: number;
  /** Such as 26.10.0. */
  readonly nodeVersion: string;
  readonly probes: Readonly<Record<ProbeName, boolean>>;
  readonly heapUsedBytes: number;
  ask(probe: ProbeName): Promise<ProbeAnswer>;
  end(): Promise<void>;
}

export interface TargetOptions {
  readonly node: string;
  readonly folder: string;
  readonly case: CorpusCase;
  readonly heapMegabytes: number;
}

type Message = Record<string, unknown>;

const startTimeoutMs = 60_000;
/** A hole that is a slow regular expression may keep a busy machine for long. */
const answerTimeoutMs = 120_000;

/** Starts a process that has loaded the package and kept what an application keeps; rejects with the reason when it cannot. */
export async function startTarget(options: TargetOptions): Promise<Target> {
  const { id, esm } = options.case;
  const { heapMegabytes } = options;
  const heapFlags = heapMegabytes > 0 ? [`--max-old-space-size=${heapMegabytes * 2 + 1024}`] : [];
  const child = spawn(options.node, [...heapFlags, "target.cjs", JSON.stringify({ id, esm, heapMegabytes })], {
    cwd: options.folder,
    env: plainEnvironment(),
    stdio: ["pipe", "pipe", "pipe"],
  });
  endWithUs(child);
  let complaint = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    complaint = (complaint + text).slice(-2000);
  });
  const waiting = new Set<(message: Message | undefined) => void>();
  const tell = (message: Message | undefined) => {
    for (const waiter of [...waiting]) waiter(message);
  };
  createInterface({ input: child.stdout }).on("line", (line) => tell(parseMessage(line)));
  child.once("close", () => tell(undefined));
  // Writing to a process that has just died must not end the run: the missing answer is told by `close`.
  child.stdin.on("error", () => {});
  const ended = () => child.exitCode !== null || child.signalCode !== null;
  const receive = (wanted: (message: Message) => boolean, timeoutMs: number): Promise<Message> =>
    new Promise((resolve, reject) => {
      const settle = (message: Message | undefined) => {
        if (message !== undefined && !wanted(message)) return;
        clearTimeout(timer);
        waiting.delete(settle);
        if (message !== undefined) return resolve(message);
        const how = child.signalCode ?? `exit code ${child.exitCode}`;
        reject(
          new Error(ended() ? `the target ended with ${how}: ${lastLine(complaint)}` : "the target did not answer"),
        );
      };
      const timer = setTimeout(() => settle(undefined), timeoutMs);
      waiting.add(settle);
      if (ended()) settle(undefined);
    });
  const end = async () => {
    if (ended()) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  };
  try {
    const ready = await receive(({ ready }) => ready !== undefined, startTimeoutMs + heapMegabytes * 100);
    if (ready.ready !== true) throw new Error(`the target could not start: ${ready.message}`);
    if (ready.pid !== child.pid) throw new Error("the target is another process than the one that was started");
    const requests = requestsOf((request) => child.stdin.write(`${JSON.stringify(request)}\n`), receive);
    return { ...(ready as unknown as Target), ask: requests, end, nodeVersion: String(ready.version) };
  } catch (error) {
    await end();
    throw error;
  }
}

type Receive = (wanted: (message: Message) => boolean, timeoutMs: number) => Promise<Message>;

function requestsOf(send: (request: Message) => void, receive: Receive): (probe: ProbeName) => Promise<ProbeAnswer> {
  let last = 0;
  return async (probe) => {
    last += 1;
    const request = last;
    const answer = receive((message) => message.request === request, answerTimeoutMs);
    send({ request, probe });
    const { vuln = null, info, error } = (await answer) as Partial<ProbeAnswer>;
    return { vuln, ...(info === undefined ? {} : { info }), ...(error === undefined ? {} : { error }) };
  };
}

/** Packages may print lines of their own; those are no messages. */
function parseMessage(line: string): Message {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? (value as Message) : {};
  } catch {
    // Not ours.
    return {};
  }
}

function lastLine(text: string): string {
  const lines = text.trim().split("\n");
  return lines.find((line) => /Error|FATAL|Check failed/.test(line)) ?? lines.at(-1) ?? "";
}
