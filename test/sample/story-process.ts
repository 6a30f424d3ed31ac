/** The story run as a user runs it, watched from outside, and whatever it may leave behind looked for. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { TestContext } from "node:test";
import type { Figures } from "../../sample/story/stage.ts";
import { isAlive, listPids, readEnvironment, readStat } from "../../src/process/process.ts";

export const checkout = path.resolve(import.meta.dirname, "../..");
const story = path.join(checkout, "sample", "story.ts");

export interface StoryEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly out: string;
  readonly error: string;
}

export interface StoryProcess {
  readonly child: ChildProcess;
  /** The folder in which everything of the story lies. */
  readonly temporaryFolder: string;
  readonly state: string;
  readonly end: Promise<StoryEnd>;
  /** Resolves when the story has told something that matches; rejects when it ends without. */
  told(pattern: RegExp): Promise<RegExpExecArray>;
}

export interface StoryOptions {
  readonly program?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Of an earlier start; a new one unless told. */
  readonly state?: string;
}

/** Starts the story with temporary files in a folder of its own; when the test is over, it is asked to end if it has not. */
export function startStory(test: TestContext, words: readonly string[], options: StoryOptions = {}): StoryProcess {
  const temporaryFolder = mkdtempSync(path.join(tmpdir(), "rebootless-story-test-"));
  const state = options.state ?? path.join(temporaryFolder, "state");
  const child = spawn(process.execPath, [options.program ?? story, "--state", state, ...words], {
    cwd: checkout,
    env: { ...process.env, TMPDIR: temporaryFolder, NODE_TEST_CONTEXT: undefined, ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output = { out: "", error: "" };
  const end = new Promise<StoryEnd>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve({ code, signal, ...output }));
  });
  const listeners = new Set<() => void>();
  for (const [name, stream] of [["out", child.stdout] as const, ["error", child.stderr] as const]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output[name] += text;
      for (const listener of listeners) listener();
    });
  }
  test.after(async () => {
    // A story that is told to end takes its children with it, which no harder signal would do.
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGTERM");
    await end;
    rmSync(temporaryFolder, { recursive: true, force: true });
  });
  const told = (pattern: RegExp) =>
    new Promise<RegExpExecArray>((resolve, reject) => {
      const look = () => {
        const match = pattern.exec(output.out + output.error);
        if (match === null) return;
        listeners.delete(look);
        resolve(match);
      };
      listeners.add(look);
      end.then(({ out, error }) => reject(new Error(`the story ended without ${pattern}:\n${out}${error}`)));
      look();
    });
  return { child, temporaryFolder, state, end, told };
}

export function figuresOf({ out }: StoryEnd): Figures {
  return JSON.parse(out) as Figures;
}

/** A process as it is now, to be asked later whether it is gone. */
export function watch(pid: number): { gone(): boolean } {
  const stat = readStat(pid);
  if (stat === undefined) throw new Error(`process ${pid} is gone already`);
  return { gone: () => !isAlive(pid, stat.startTicks) };
}

/** What a story that has ended left behind besides its state, as sentences: files, and processes of its folders. */
export function leftBehind({ temporaryFolder, state }: StoryProcess): string[] {
  const files = readdirSync(temporaryFolder).filter((name) => path.join(temporaryFolder, name) !== state);
  const runs = existsSync(state) ? readdirSync(state).filter((name) => name.startsWith("run-")) : [];
  const folders = [temporaryFolder, state];
  return [...[...files, ...runs].map((name) => `the file ${name}`), ...folders.flatMap(processesNaming)];
}

/** Every child of the story gets its TMPDIR, so that the environment tells them from the children of other tests. */
function processesNaming(folder: string): string[] {
  return listPids()
    .filter((pid) => [...(readEnvironment(pid)?.values() ?? [])].some((value) => value.startsWith(folder)))
    .map((pid) => `process ${pid}`);
}
