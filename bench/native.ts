/**
 * `npm run bench:native [-- ROUNDS]`: how long a process stands still for a hotpatch, beside a bare C tracer that only stops and resumes all its threads.
 *
 * Both are measured in turn in one run, as the tracer sees it and as a busy thread of the target sees it by its own clock.
 * Then what a call of a patched function costs, and how long a hotpatch takes to be built.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { encodeHotpatch } from "../src/hotpatch/container.ts";
import type { Hotpatch } from "../src/hotpatch/hotpatch.ts";
import { launcher } from "../test/cli/run-program.ts";
import { buildNativeHotpatch } from "../test/engine/linux/support/native-hotpatch.ts";
import { apply, revert } from "../test/engine/linux/support/patching.ts";
import { compile, run, Target, temporaryFolder } from "../test/engine/linux/support/target.ts";
import { measureBuild } from "./native-build.ts";

const rounds = Number(process.argv[2] ?? 50);
const threadCounts = [1, 8, 64, 512];
const commands = Math.min(rounds, 5);
const callRounds = Math.min(rounds, 5);

function source(name: string): string {
  return readFileSync(new URL(name, import.meta.url), "utf8");
}

function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}

function row(label: string, values: readonly number[]): string {
  return `${label.padEnd(34)} ${quantile(values, 0.5).toFixed(3).padStart(9)} ${quantile(values, 0.99).toFixed(3).padStart(9)}`;
}

interface Seen {
  readonly bare: number[];
  readonly bareGap: number[];
  readonly ours: number[];
  readonly oursGap: number[];
  readonly whole: number[];
}

/** Bare and ours in turn, so that the load of the machine is the same for both. */
async function measurePauses(target: Target, tracer: string, hotpatch: Hotpatch): Promise<Seen> {
  const gap = async () => Number((await target.ask("gap")).split(" ")[0]) / 1e6;
  const seen: Seen = { bare: [], bareGap: [], ours: [], oursGap: [], whole: [] };
  for (let round = 0; round < rounds + 2; round++) {
    await gap();
    const bare = Number(run(tracer, [String(target.pid)])) / 1e6;
    const bareGap = await gap();
    const { pauseMs, totalMs } = await apply(target.pid, hotpatch, 20_000);
    const oursGap = await gap();
    await revert(target.pid, hotpatch, 20_000);
    // The first rounds warm the engine up, as a service that patches many processes is.
    if (round < 2) continue;
    seen.bare.push(bare);
    seen.bareGap.push(bareGap);
    seen.ours.push(pauseMs);
    seen.oursGap.push(oursGap);
    seen.whole.push(totalMs);
  }
  return seen;
}

/** One command for one process, Node.js and all. */
function measureCommand(target: Target, file: string): number[] {
  const command = (name: string) => {
    const from = performance.now();
    run(process.execPath, [launcher, name, file, "--pid", String(target.pid), "--allow-unsigned", "--json"]);
    return performance.now() - from;
  };
  return Array.from({ length: commands }, () => {
    const took = command("apply");
    command("revert");
    return took;
  });
}

async function measureCalls(target: Target, hotpatch: Hotpatch): Promise<{ before: number[]; after: number[] }> {
  const call = async () => Number((await target.ask("calls")).split(" ")[0]);
  const before: number[] = [];
  const after: number[] = [];
  for (let round = 0; round < callRounds; round++) {
    before.push(await call());
    await apply(target.pid, hotpatch, 20_000);
    after.push(await call());
    await revert(target.pid, hotpatch, 20_000);
  }
  return { before, after };
}

test("native hotpatches", { timeout: 3_600_000 }, async (context) => {
  const folder = temporaryFolder(context);
  const tracer = compile(folder, "bare-tracer", source("./bare-tracer.c"));
  const program = compile(folder, "native-target", source("./native-target.c"));
  const fixed = `__attribute__((noinline)) int answer(int x) { __asm__ volatile("" ::: "memory"); return x + 1; }`;
  const hotpatch = buildNativeHotpatch({ folder, binary: program, functions: ["answer"], source: fixed });
  const file = join(folder, "bench.hotpatch");
  writeFileSync(file, encodeHotpatch(hotpatch, []));
  for (const threads of threadCounts) {
    const target = await Target.start(context, program, [String(threads)]);
    const seen = await measurePauses(target, tracer, hotpatch);
    const ratio = quantile(seen.ours, 0.5) / quantile(seen.bare, 0.5);
    console.log(`\n${threads} threads, ${rounds} rounds                 median ms    p99 ms`);
    console.log(row("bare tracer, by its clock", seen.bare));
    console.log(row("hotpatch, by the engine's clock", seen.ours));
    if (threads > 1) {
      console.log(row("bare tracer, longest gap in target", seen.bareGap));
      console.log(row("hotpatch, longest gap in target", seen.oursGap));
    }
    console.log(row("whole apply, without the command", seen.whole));
    console.log(row("whole apply command", measureCommand(target, file)));
    console.log(`ratio of the medians by the tracers' clocks: ${ratio.toFixed(2)}`);
    await target.end();
  }
  const target = await Target.start(context, program, ["1"]);
  const { before, after } = await measureCalls(target, hotpatch);
  const price = quantile(after, 0.5) - quantile(before, 0.5);
  console.log(
    `\none call: ${quantile(before, 0.5).toFixed(2)} ns before, ${quantile(after, 0.5).toFixed(2)} ns patched: ${price >= 0 ? "+" : ""}${price.toFixed(2)} ns`,
  );
  const { twoCompilesMs, hotpatchMs, files, functions } = measureBuild(folder);
  console.log(
    `build of ${files} files with ${functions} functions: two plain compiles ${(twoCompilesMs / 1e3).toFixed(1)} s, hotpatch ${(hotpatchMs / 1e3).toFixed(1)} s: ${(hotpatchMs / twoCompilesMs).toFixed(2)} times`,
  );
});
