/** One case: a hotpatch from Debian's source, taken by the stock program that runs, and given back. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { CommandAnswer, Desk } from "../corpus/npm/command.ts";
import { reasonOf } from "../corpus/npm/command.ts";
import type { StockCase } from "./cases.ts";
import { startStock } from "./stock-process.ts";

export interface StockResult {
  readonly id: string;
  /** `held`: old behaviour, new, old again with the file's bytes, new again, all in one process. */
  readonly state: "held" | "refused" | "failed";
  readonly binary: string;
  readonly functions: readonly string[];
  readonly answers: readonly string[];
  readonly buildMs?: number;
  readonly note: string;
}

export interface RunOptions {
  readonly desk: Desk;
  /** A folder for the case alone. */
  readonly folder: string;
  say(message: string): void;
}

const buildTimeoutMs = 900_000;
const applyTimeoutMs = 300_000;

export async function runStockCase(one: StockCase, { desk, folder, say }: RunOptions): Promise<StockResult> {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const [name, content] of Object.entries(one.files ?? {})) writeFileSync(join(folder, name), content);
  const file = join(folder, "stock.hotpatch");
  const base = { id: one.id, binary: one.binary, functions: [] as string[], answers: [] as string[] };
  say(`${one.id}: building the hotpatch from Debian's source of ${one.package}`);
  const built = await desk.run(
    [
      ...["build", "elf", "--deb", one.package, "--patch", join(one.folder, "fix.diff"), "--binary", one.binary],
      ...["--install-build-deps", "--key", desk.key, "-o", file],
    ],
    buildTimeoutMs,
  );
  const note = reasonOf(built).slice(0, 600);
  if (built.kind !== "done") return { ...base, state: built.kind, note };
  const binaries = built.data.binaries as { code: { name: string }[] }[];
  const result = {
    ...base,
    functions: binaries.flatMap(({ code }) => code.map(({ name }) => name)),
    buildMs: Math.round(built.tookMs),
  };
  say(`${one.id}: ${one.argv[0]} takes it`);
  try {
    return { ...result, state: "held", answers: await showInProcess(one, file, { desk, folder, say }), note: "" };
  } catch (error) {
    return { ...result, state: "failed", note: (error as Error).message.slice(0, 600) };
  }
}

/** Throws with a sentence at the first step that does not hold. */
async function showInProcess(one: StockCase, file: string, { desk, folder }: RunOptions): Promise<string[]> {
  const running = startStock(one, folder);
  const answers: string[] = [];
  const expect = async (pattern: string, when: string): Promise<void> => {
    const answer = await running.ask();
    answers.push(answer);
    if (!new RegExp(pattern).test(answer)) throw new Error(`${when}, the answer is: ${answer.slice(0, 200)}`);
  };
  const command = async (word: string): Promise<CommandAnswer & { kind: "done" }> => {
    const answer = await desk.run([word, file, "--pid", String(running.pid)], applyTimeoutMs);
    if (answer.kind !== "done") throw new Error(`${word}: ${reasonOf(answer)}`);
    return answer;
  };
  try {
    await expect(one.before, "before");
    await command("apply");
    await expect(one.after, "with the hotpatch");
    await command("verify");
    await command("revert");
    await expect(one.before, "after the revert");
    if (!running.codeIsFiles()) throw new Error("after the revert, code in memory is not the file's");
    await command("apply");
    await expect(one.after, "with the hotpatch again");
    return answers;
  } finally {
    await running.stop();
  }
}
