/** Killing the patcher at each of its calls, while the target works and checks itself. */
import assert from "node:assert/strict";
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import type { Hotpatch } from "../../../../src/hotpatch/hotpatch.ts";
import { apply, revert } from "./patching.ts";
import { newPair, oldPair, reportOf, type SelfChecking, type SelfReport } from "./self-checking.ts";
import type { Target } from "./target.ts";

const patcher = new URL("./die-at-call.ts", import.meta.url).pathname;

export function storeHotpatch(folder: string, { manifest, payloads }: Hotpatch): string {
  const file = join(folder, "stored.json");
  const texts = [...payloads].map(([name, bytes]) => [name, Buffer.from(bytes).toString("base64")]);
  writeFileSync(file, JSON.stringify({ manifest, payloads: texts }));
  return file;
}

type Patcher = ChildProcessByStdio<Writable, Readable, null>;

/** Started while others work, since starting takes longer than patching; they end with this process, whose end closes their input. */
const ready: Patcher[] = [];
const kept = 2;

function start(): Patcher {
  const child = spawn(process.execPath, [patcher], { stdio: ["pipe", "pipe", "inherit"] });
  for (const one of [child, child.stdin, child.stdout] as unknown as { unref(): void }[]) one.unref();
  return child;
}

function takePatcher(): Patcher {
  const child = ready.shift() ?? start();
  while (ready.length < kept) ready.push(start());
  for (const one of [child, child.stdin, child.stdout] as unknown as { ref(): void }[]) one.ref();
  return child;
}

/** Undefined when it was killed, else the number of its calls. */
export async function runDying(
  pid: number,
  action: "apply" | "revert",
  file: string,
  at: number,
): Promise<number | undefined> {
  const child = takePatcher();
  child.stdin.end(`${JSON.stringify([pid, action, file, at])}\n`);
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (part: string) => (text += part));
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve) =>
    child.once("close", (...ending) => resolve(ending)),
  );
  if (signal === "SIGKILL") return undefined;
  assert.equal(code, 0, `the patcher ended with ${code}`);
  return Number(text);
}

/** All old or all new, alive, and without a fault. */
export async function checkTarget(target: Target, when: string): Promise<SelfReport> {
  const report = await reportOf(target);
  assert.equal(report.faults, 0, `${when}: ${report.first}`);
  assert.equal(report.mixtures, 0, `${when}: old and new code were mixed`);
  assert.ok(report.pair === oldPair || report.pair === newPair, `${when}: ${report.pair}`);
  const later = await reportOf(target);
  assert.ok(later.rounds >= report.rounds, when);
  return report;
}

/** One kill, then the repair by a run that is not killed, in the same or the other direction. Answers whether the kill came to pass. */
export async function killOnce(
  target: Target,
  { hotpatch }: SelfChecking,
  file: string,
  action: "apply" | "revert",
  at: number,
): Promise<boolean> {
  const fresh = action === "apply" ? undefined : await apply(target.pid, hotpatch, 10_000);
  if (fresh !== undefined) assert.equal(fresh.state, "applied");
  const ended = await runDying(target.pid, action, file, at);
  const when = `${action}, killed before call ${at}`;
  await checkTarget(target, when);
  await apply(target.pid, hotpatch, 10_000);
  assert.equal((await checkTarget(target, `${when}, applied again`)).pair, newPair, when);
  await revert(target.pid, hotpatch, 10_000);
  assert.equal((await checkTarget(target, `${when}, reverted`)).pair, oldPair, when);
  return ended === undefined;
}
