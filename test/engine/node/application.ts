/** Applications to be patched: small programs in temporary folders, run as real processes and asked over their IPC channel. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { TestContext } from "node:test";
import type { ProcessReference } from "../../../src/engine/engine.ts";
import { readStat } from "../../../src/process/process.ts";
import { type NodeMajor, nodeBinary } from "../../support/node-versions.ts";

/** Texts by relative path; a single text is `index.js`. */
export type Files = string | Readonly<Record<string, string>>;

export interface Application {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly reference: ProcessReference;
  stderr(): string;
  /** What the function that the program gave to `answer` gives for these arguments. */
  ask(...values: readonly unknown[]): Promise<unknown>;
  /** Ends it and waits for the end. */
  end(): Promise<void>;
}

export interface ApplicationOptions {
  readonly major?: NodeMajor;
  readonly flags?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** The program is an ES module. */
  readonly isModule?: boolean;
  /** Further files beside the program. */
  readonly files?: Files;
}

/** What every program finds: `answer(fn)` says how it answers. */
const runner = `"use strict";
let respond = () => undefined;
globalThis.answer = (fn) => { respond = fn; };
process.on("message", async ({ id, values }) => {
  try { process.send({ id, result: await respond(...values) }); }
  catch (error) { process.send({ id, error: String(error && error.stack) }); }
});
process.on("disconnect", () => process.exit());
const file = process.argv[2];
Promise.resolve(file.endsWith(".mjs") ? import(file) : require(file)).then(() => process.send("ready"));
`;
const askTimeoutMs = 60_000;

export function temporaryFolder(test: TestContext): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "rebootless-test-")));
  test.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export function writeFiles(folder: string, files: Files): void {
  for (const [path, text] of Object.entries(typeof files === "string" ? { "index.js": files } : files)) {
    const file = join(folder, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
}

/** A package's folder; `package.json` is made unless it is among the files. */
export function writePackage(
  folder: string,
  files: Files,
  about: { name?: string; version: string; type?: string },
): void {
  const manifest = { name: "sample", main: "index.js", ...about };
  writeFiles(folder, { "package.json": JSON.stringify(manifest) });
  writeFiles(folder, files);
}

/** Starts the program `text` in `folder`, with whatever lies in its `node_modules`. */
export async function startApplication(
  test: TestContext,
  folder: string,
  text: string,
  options: ApplicationOptions = {},
): Promise<Application> {
  const { major = 26, flags = [], environment = {}, isModule = false, files = {} } = options;
  const program = join(folder, isModule ? "application.mjs" : "application.cjs");
  writeFiles(folder, files);
  writeFiles(folder, { "runner.cjs": runner });
  writeFileSync(program, text);
  const child = spawn(await nodeBinary(major), [...flags, join(folder, "runner.cjs"), program], {
    stdio: ["ignore", "ignore", "pipe", "ipc"],
    env: { ...process.env, NODE_TEST_CONTEXT: undefined, NODE_OPTIONS: undefined, ...environment },
  });
  return await follow(test, child);
}

async function follow(test: TestContext, child: ChildProcess): Promise<Application> {
  let complaint = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    complaint += text;
  });
  const end = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  };
  test.after(end);
  const first = await Promise.race([once(child, "message"), once(child, "exit").then(() => undefined)]);
  if (first === undefined) throw new Error(`the application ended at its start: ${complaint}`);
  const pid = child.pid as number;
  const stat = readStat(pid);
  if (stat === undefined) throw new Error(`process ${pid} is gone`);
  let lastId = 0;
  const ask = (...values: readonly unknown[]): Promise<unknown> => question(child, ++lastId, values, () => complaint);
  return { child, pid, reference: { pid, startTicks: stat.startTicks }, stderr: () => complaint, ask, end };
}

interface Reply {
  readonly id?: number;
  readonly result?: unknown;
  readonly error?: string;
}

function question(
  child: ChildProcess,
  id: number,
  values: readonly unknown[],
  complaint: () => string,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const settle = (action: () => void): void => {
      clearTimeout(timer);
      child.off("message", onMessage);
      child.off("exit", onExit);
      action();
    };
    const onMessage = (reply: Reply): void => {
      if (reply.id !== id) return;
      settle(() => (reply.error === undefined ? resolve(reply.result) : reject(new Error(reply.error))));
    };
    const onExit = (): void =>
      settle(() => reject(new Error(`the application ended (${child.signalCode ?? child.exitCode}): ${complaint()}`)));
    const timer = setTimeout(() => settle(() => reject(new Error("the application does not answer"))), askTimeoutMs);
    child.on("message", onMessage);
    child.once("exit", onExit);
    child.send({ id, values });
  });
}
