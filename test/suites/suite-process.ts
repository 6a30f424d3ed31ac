/** A process that runs a suite, as seen from outside: started, told to run a round, and ended by its own id. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { endWithUs, plainEnvironment } from "../corpus/npm/child-process.ts";
import type { CheckResult } from "./comparison.ts";
import type { SuiteCase } from "./suite-cases.ts";
import type { Side, SuiteFolders } from "./suite-installation.ts";

export interface SuiteProcess {
  readonly pid: number;
  /** Such as 26.10.0. */
  readonly nodeVersion: string;
  /** Carries out every check once. */
  round(): Promise<readonly CheckResult[]>;
  end(): Promise<void>;
}

export interface SuiteBench {
  readonly node: string;
  readonly folders: SuiteFolders;
}

type Message = { ready?: boolean; version?: string; request?: number; results?: CheckResult[]; error?: string };

const startTimeoutMs = 60_000;
/** Slow regular expressions on a busy machine; each check has a shorter limit of its own. */
const roundTimeoutMs = 300_000;

/** Starts a process that has loaded the package and keeps what an application keeps; rejects with the reason when it cannot. */
export async function startSuite(one: SuiteCase, side: Side, { node, folders }: SuiteBench): Promise<SuiteProcess> {
  const folder = folders[side];
  const suite = one.suite ? join(import.meta.dirname, "packages", `${one.id}.cjs`) : null;
  const job = { id: one.id, esm: one.esm, folder, suite, tests: one.tests ?? null };
  const child = spawn(node, [join(import.meta.dirname, "suite-process.cjs"), JSON.stringify(job)], {
    cwd: folder,
    // Suites print and parse dates, and the outcome must not depend on where they run.
    env: plainEnvironment({ TZ: "UTC", LANG: "C" }),
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  endWithUs(child);
  let complaint = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    complaint = (complaint + text).slice(-2000);
  });
  const end = () => endChild(child);
  try {
    const ready = await receive(child, startTimeoutMs, ({ ready }) => ready !== undefined);
    if (ready.ready !== true) throw new Error(`the suite could not start: ${ready.error}`);
    const round = rounds(child);
    return { pid: child.pid as number, nodeVersion: String(ready.version), round, end };
  } catch (error) {
    await end();
    throw complaint === "" ? error : new Error(`${(error as Error).message}\n${complaint}`);
  }
}

function rounds(child: ChildProcess): () => Promise<readonly CheckResult[]> {
  let last = 0;
  return async () => {
    last += 1;
    const request = last;
    const answer = receive(child, roundTimeoutMs, (message) => message.request === request);
    // A process that has just died is told by the missing answer.
    child.send({ request }, () => {});
    const { results, error } = await answer;
    if (results === undefined) throw new Error(`the suite could not run: ${error}`);
    return results;
  };
}

function receive(child: ChildProcess, timeoutMs: number, wanted: (message: Message) => boolean): Promise<Message> {
  return new Promise((resolve, reject) => {
    const settle = (finish: () => void) => {
      clearTimeout(timer);
      child.off("message", look);
      child.off("exit", died);
      finish();
    };
    const look = (message: Message) => {
      if (wanted(message)) settle(() => resolve(message));
    };
    const died = () => {
      const how = child.signalCode ?? `exit code ${child.exitCode}`;
      settle(() => reject(new Error(`the process of the suite ended with ${how}`)));
    };
    const timer = setTimeout(() => settle(() => reject(new Error(`no answer after ${timeoutMs / 1000} s`))), timeoutMs);
    child.on("message", look);
    child.on("exit", died);
    if (child.exitCode !== null || child.signalCode !== null) died();
  });
}

async function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGKILL");
  await once(child, "exit");
}
