/** Real targets: C programs that a test writes, compiles and runs, and that check themselves all the time. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { TestContext } from "node:test";

export function temporaryFolder(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "rebootless-linux-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Runs a tool to its end; throws with what it said when it fails. */
export function run(command: string, words: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(command, words, { encoding: "utf8", timeout: 60_000 });
  if (status !== 0) throw new Error(`${command} ${words.join(" ")} ended with ${status}:\n${stderr}`);
  return stdout;
}

export function compile(folder: string, name: string, source: string, flags: readonly string[] = []): string {
  const file = join(folder, `${name}.c`);
  writeFileSync(file, source);
  const output = join(folder, name);
  run("gcc", ["-O2", "-Wl,--build-id", "-o", output, file, "-pthread", ...flags]);
  return output;
}

/** A running target: answers lines, and tells how it ended. */
export class Target {
  readonly pid: number;
  readonly ended: Promise<string>;
  /** The signal or the exit code, once it has ended. */
  ending: string | undefined;
  readonly #child: ChildProcess;
  readonly #lines: string[] = [];
  #wake: () => void = () => undefined;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.pid = child.pid as number;
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on("line", (line) => {
      this.#lines.push(line);
      this.#wake();
    });
    this.ended = new Promise((resolve) =>
      child.once("exit", (code, signal) => {
        this.ending = signal ?? String(code);
        resolve(this.ending);
        this.#lines.push("(ended)");
        this.#wake();
      }),
    );
  }

  /** A child that was started with pipes for its input and output. */
  static of(child: ChildProcess): Target {
    return new Target(child);
  }

  /** Ends it by force. */
  async end(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.ended;
  }

  /** Waits for the line `ready`. */
  static async start(context: TestContext, program: string, words: readonly string[] = []): Promise<Target> {
    const target = Target.of(spawn(program, words, { stdio: ["pipe", "pipe", "inherit"] }));
    context.after(() => target.end());
    const first = await target.line();
    if (first !== "ready") throw new Error(`the target said ${first}`);
    return target;
  }

  async line(): Promise<string> {
    while (this.#lines.length === 0) await new Promise<void>((resolve) => (this.#wake = resolve));
    return this.#lines.shift() as string;
  }

  /** Sends a line and answers the next one. */
  async ask(question: string): Promise<string> {
    this.#child.stdin?.write(`${question}\n`);
    return await this.line();
  }
}
