/** Real processes for the attach tests: started, asked whether they still work, and ended by their own id. */
import { type ChildProcess, spawn } from "node:child_process";
import { on, once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { RefusalError } from "../../../../src/base/refusal.ts";
import type { ProcessReference } from "../../../../src/engine/engine.ts";
import { type AgentSource, loadAgentSource } from "../../../../src/engine/node/attach/agent-source.ts";
import type { OpenAgentOptions } from "../../../../src/engine/node/attach/open-agent.ts";
import { readStat } from "../../../../src/process/process.ts";
import { type NodeMajor, nodeBinary } from "../../../support/node-versions.ts";

export interface Target {
  readonly child: ChildProcess;
  readonly reference: ProcessReference;
  stderr(): string;
  /** Asks the application for an answer from its event loop. */
  works(): Promise<boolean>;
}

export interface TargetOptions {
  readonly major?: NodeMajor;
  readonly flags?: readonly string[];
  readonly environment?: Record<string, string>;
  /** Runs once at the start, before the application says that it is ready. */
  readonly code?: string;
  /** Words that come before the program, such as those of unshare(1). */
  readonly prefix?: readonly string[];
}

const answering = "process.on('message', (text) => process.send(text)); process.send('ready');";

export async function startTarget(test: TestContext, options: TargetOptions = {}): Promise<Target> {
  const { major = 26, flags = [], environment = {}, code = "", prefix = [] } = options;
  const words = [...prefix, await nodeBinary(major), ...flags, "-e", `${code};${answering}`];
  return follow(
    test,
    spawn(words[0] as string, words.slice(1), {
      stdio: ["ignore", "ignore", "pipe", "ipc"],
      env: { ...process.env, ...environment },
    }),
  );
}

async function follow(test: TestContext, child: ChildProcess): Promise<Target> {
  endWith(test, child);
  let complaint = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    complaint += text;
  });
  const ready = await Promise.race([once(child, "message"), once(child, "exit").then(() => undefined)]);
  if (ready === undefined) throw new Error(`the target ended at its start: ${complaint}`);
  const ask = async () => {
    const answers = on(child, "message", { signal: AbortSignal.timeout(15_000) });
    child.send("ping");
    // Answers to earlier messages may still be on their way.
    for await (const [answer] of answers) if (answer === "ping") return true;
    return false;
  };
  return { child, reference: referenceOf(child.pid as number), stderr: () => complaint, works: ask };
}

export function endWith(test: TestContext, child: ChildProcess): void {
  test.after(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  });
}

export function referenceOf(pid: number): ProcessReference {
  const stat = readStat(pid);
  if (stat === undefined) throw new Error(`process ${pid} is gone`);
  return { pid, startTicks: stat.startTicks };
}

export function temporaryFolder(test: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "rebootless-test-"));
  test.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const agentFile = `"use strict";
const { double } = require("./arithmetic.cjs");
let count = 0;
exports.createMethods = () => ({
  double: ({ number }) => double(number),
  count: () => ++count,
  refuse: () => { throw Object.assign(new Error("no way"), { code: "plan/no-way", details: { line: 3 } }); },
  fail: async () => { throw new TypeError("odd"); },
  forever: () => new Promise(() => {}),
  cyclic: () => { const value = {}; value.self = value; return value; },
  large: ({ length }) => "x".repeat(length),
});
`;

/** A folder with a small agent of two files. */
export function agentFolder(test: TestContext, text: string = agentFile): string {
  const folder = join(temporaryFolder(test), "agent");
  mkdirSync(folder);
  writeFileSync(join(folder, "agent.cjs"), text);
  writeFileSync(join(folder, "arithmetic.cjs"), '"use strict"; exports.double = (number) => number * 2;\n');
  return folder;
}

export function testAgent(test: TestContext): AgentSource {
  return loadAgentSource(agentFolder(test));
}

/** Waits generously, since the tests share the machine. */
export function patient(test: TestContext): OpenAgentOptions {
  return { agentSource: testAgent(test), answerTimeoutMs: 15_000, lockTimeoutMs: 60_000 };
}

/** The codes of the refusal that the work ends in. */
export async function refusalOf(work: Promise<unknown>): Promise<{ code: string; message: string }> {
  try {
    await work;
  } catch (error) {
    if (error instanceof RefusalError && error.refusals[0] !== undefined) return error.refusals[0];
    throw error;
  }
  throw new Error("the work was not refused");
}

export async function until(condition: () => boolean, what: string, timeoutMs = 20_000): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`waited in vain until ${what}`);
    await wait(5);
  }
}
