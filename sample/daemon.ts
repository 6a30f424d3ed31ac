/** A program that goes on running, such as the server or the agent, as a child process. */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { printable } from "../src/base/printable.ts";
import type { Household, StartOptions } from "./household.ts";

const keptCharacters = 4000;
const shownLines = 10;

export interface DaemonOptions extends StartOptions {
  /** What it is called in messages, such as `the server`. */
  readonly name: string;
}

export class Daemon {
  readonly name: string;
  readonly child: ChildProcess;
  readonly pid: number;
  /** Rejects when it ends before `expectEnd` is called; never resolves. */
  readonly untimelyEnd: Promise<never>;
  readonly #household: Household;
  readonly #listeners = new Set<() => void>();
  #output = "";
  #ending = false;

  constructor(household: Household, words: readonly string[], { name, ...options }: DaemonOptions) {
    this.name = name;
    this.#household = household;
    this.child = household.start(process.execPath, words, options);
    this.pid = this.child.pid as number;
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.#output = (this.#output + text).slice(-keptCharacters);
        for (const listener of this.#listeners) listener();
      });
    }
    this.untimelyEnd = once(this.child, "close").then(([code, signal]) => {
      if (this.#ending) return new Promise<never>(() => undefined);
      throw new Error(this.#endText(code as number | null, signal as NodeJS.Signals | null));
    });
    // Whoever waits for it sees the rejection; nobody has to.
    this.untimelyEnd.catch(() => undefined);
  }

  /** Waits until it has printed something that matches. Throws with its last output when it ends instead. */
  async said(pattern: RegExp): Promise<RegExpExecArray> {
    const found = new Promise<RegExpExecArray>((resolve) => {
      const look = () => {
        const match = pattern.exec(this.#output);
        if (match === null) return;
        this.#listeners.delete(look);
        resolve(match);
      };
      this.#listeners.add(look);
      look();
    });
    return await Promise.race([found, this.untimelyEnd]);
  }

  get lastOutput(): string {
    return this.#output;
  }

  async end(): Promise<void> {
    this.expectEnd();
    await this.#household.end(this.child);
  }

  /** The household is about to be closed: its end is no surprise any more. */
  expectEnd(): void {
    this.#ending = true;
  }

  #endText(code: number | null, signal: NodeJS.Signals | null): string {
    const how = signal === null ? `with exit code ${code}` : `by ${signal}`;
    const said = this.#output.trim().split("\n").slice(-shownLines).map(printable).join("\n");
    return `${this.name} ended ${how}. ${said === "" ? "It had printed nothing." : `Its last output:\n${said}`}`;
  }
}
