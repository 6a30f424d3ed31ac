/** The command with a signing key and a trust store of its own, and what it answers in JSON. */
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { TestContext } from "node:test";
import { checkout, type Ended, type RunOptions, runProgram } from "./run-program.ts";

const main = path.join(checkout, "src", "cli", "main.ts");

export interface Answer extends Ended {
  /** Standard output, parsed. */
  readonly data: Record<string, unknown> & {
    readonly refused?: readonly { readonly code: string; readonly message: string }[];
    readonly outcomes?: readonly Record<string, unknown>[];
    readonly verdicts?: readonly Record<string, unknown>[];
    readonly plans?: readonly Record<string, unknown>[];
    readonly error?: { readonly code: string; readonly message: string };
  };
}

export interface Desk {
  readonly folder: string;
  readonly key: string;
  /** As a person runs it. */
  say(...words: readonly string[]): Promise<Ended>;
  /** With `--json`. */
  run(...words: readonly string[]): Promise<Answer>;
  /** Starts it and ends it by force after so many milliseconds, unless it has ended by itself; tells whether it had. */
  runAndKill(words: readonly string[], afterMs: number): Promise<boolean>;
}

export async function openDesk(test: Pick<TestContext, "after">): Promise<Desk> {
  const folder = mkdtempSync(path.join(tmpdir(), "rebootless-desk-"));
  test.after(() => rmSync(folder, { recursive: true, force: true }));
  const env = { REBOOTLESS_TRUST_DIR: path.join(folder, "trusted"), REBOOTLESS_KEY_PASSPHRASE: undefined };
  const say = (...words: readonly string[]): Promise<Ended> =>
    runProgram([main, ...patiently(words)], { env, cwd: folder });
  const run = async (...words: readonly string[]): Promise<Answer> => {
    const ended = await say(...words, "--json");
    return { ...ended, data: JSON.parse(ended.out || "{}") };
  };
  const runAndKill = (words: readonly string[], afterMs: number): Promise<boolean> =>
    startAndKill([main, ...patiently(words), "--json"], { env, cwd: folder }, afterMs);
  const key = path.join(folder, "keys", "desk.key");
  for (const words of [
    ["key", "generate", "--out", key],
    ["key", "trust", path.join(folder, "keys", "desk.pub")],
  ]) {
    const { code, error } = await say(...words);
    if (code !== 0) throw new Error(error);
  }
  return { folder, key, say, run, runAndKill };
}

/** A test asserts nothing about speed, so a busy machine must not make the budget refuse; tests of the budget give one. */
function patiently(words: readonly string[]): readonly string[] {
  return words[0] === "apply" && !words.includes("--max-pause") ? [...words, "--max-pause", "60000"] : words;
}

async function startAndKill(args: readonly string[], options: RunOptions, afterMs: number): Promise<boolean> {
  let end = (): void => undefined;
  const killed = new Promise<void>((resolve) => {
    end = resolve;
  });
  const ended = await runProgram(args, {
    ...options,
    onStart: (child) => {
      const timer = setTimeout(() => child.kill("SIGKILL"), afterMs);
      void once(child, "exit").then(() => {
        clearTimeout(timer);
        end();
      });
    },
  });
  await killed;
  return ended.signal === null;
}
