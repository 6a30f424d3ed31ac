/**
 * `npm run bench:native [-- ROUNDS]`: how long a process stands still for a hotpatch, beside a bare C tracer that only stops and resumes all its threads.
 *
 * Both are measured in turn in one run, as the tracer sees it and as a busy thread of the target sees it by its own clock.
 */
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { buildNativeHotpatch } from "../test/engine/linux/support/native-hotpatch.ts";
import { apply, revert } from "../test/engine/linux/support/patching.ts";
import { compile, run, Target, temporaryFolder } from "../test/engine/linux/support/target.ts";

const rounds = Number(process.argv[2] ?? 50);
const threadCounts = [1, 8, 64, 512];

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

test("pauses", { timeout: 3_600_000 }, async (context) => {
  const folder = temporaryFolder(context);
  const tracer = compile(folder, "bare-tracer", source("./bare-tracer.c"));
  const program = compile(folder, "native-target", source("./native-target.c"));
  const hotpatch = buildNativeHotpatch({
    folder,
    binary: program,
    functions: ["answer"],
    source: "int answer(int x) { return x + 2; }",
  });
  for (const threads of threadCounts) {
    const target = await Target.start(context, program, [String(threads)]);
    const gap = async () => Number((await target.ask("gap")).split(" ")[0]) / 1e6;
    const seen = {
      bare: [] as number[],
      bareGap: [] as number[],
      ours: [] as number[],
      oursGap: [] as number[],
      whole: [] as number[],
    };
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
    const ratio = quantile(seen.ours, 0.5) / quantile(seen.bare, 0.5);
    console.log(`\n${threads} threads, ${rounds} rounds                 median ms    p99 ms`);
    console.log(row("bare tracer, by its clock", seen.bare));
    console.log(row("hotpatch, by the engine's clock", seen.ours));
    if (threads > 1) {
      console.log(row("bare tracer, longest gap in target", seen.bareGap));
      console.log(row("hotpatch, longest gap in target", seen.oursGap));
    }
    console.log(row("whole apply", seen.whole));
    console.log(`ratio of the medians by the tracers' clocks: ${ratio.toFixed(2)}`);
  }
});
