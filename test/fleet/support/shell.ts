/** Lines of README.md, run as a person types them. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync, statSync } from "node:fs";
import path from "node:path";
import type { TestContext } from "node:test";
import { checkout } from "../../cli/run-program.ts";
import type { Machine } from "./machine.ts";

/** npx changes the mode of the command's file, which nobody may do in somebody else's checkout. */
export const mayRunNpx = process.geteuid?.() === statSync(checkout).uid || process.geteuid?.() === 0;

/** The first block of commands behind a line of the README. */
export function linesOfReadme(behind: RegExp, count: number): readonly string[] {
  const readme = readFileSync(path.join(checkout, "README.md"), "utf8");
  const text = readme.slice(readme.search(behind));
  const block = /^```\n(.*?)^```$/ms.exec(text)?.[1] ?? "";
  const lines = block.trim().split("\n");
  assert.equal(lines.length, count, `README.md shows ${count} lines behind ${behind}`);
  return lines;
}

/** A line as a person types it, in the checkout, here or on the other machine. */
export class Shell {
  readonly #test: TestContext;
  readonly #env: NodeJS.ProcessEnv;

  constructor(t: TestContext, folder: string, env: NodeJS.ProcessEnv = {}) {
    this.#test = t;
    // The home is the test's own, so that nothing of this user's is read or written; npx asks no registry.
    const home = { HOME: folder, XDG_STATE_HOME: path.join(folder, "state"), XDG_CONFIG_HOME: undefined };
    this.#env = {
      ...process.env,
      ...home,
      NODE_TEST_CONTEXT: undefined,
      NODE_OPTIONS: undefined,
      npm_config_offline: "true",
      ...env,
    };
  }

  #words(line: string, machine: Machine | undefined): [string, string[]] {
    const [command = "", ...rest] = [...(machine?.entry ?? []), "sh", "-c", `cd ${checkout} && ${line}`];
    return [command, rest];
  }

  run(line: string, machine?: Machine): { code: number | null; out: string; error: string } {
    const { status, stdout, stderr } = spawnSync(...this.#words(line, machine), { env: this.#env, encoding: "utf8" });
    return { code: status, out: stdout, error: stderr };
  }

  /** Runs it until the test ends; the test's own namespaces take whatever it has started along. */
  start(line: string, machine?: Machine): { readonly child: ChildProcess; said(): string } {
    const [command, words] = this.#words(`exec ${line}`, machine);
    const child = spawn(command, words, { env: this.#env, stdio: ["ignore", "pipe", "pipe"], detached: true });
    let said = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        said += text;
      });
    }
    this.#test.after(async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, "exit");
      process.kill(-(child.pid as number), "SIGKILL");
      await ended;
    });
    return { child, said: () => said };
  }
}
