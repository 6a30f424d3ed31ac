/** `npm run scenarios`: progress on standard error, a table on standard output, the verdict as exit code. */
import { spawnSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { installDebianPackages } from "../../../scripts/debian-packages.mjs";
import { runToEnd } from "../../corpus/npm/child-process.ts";
import type { ScenarioResult } from "./run-scenario.ts";
import { discover, type Scenario } from "./scenario.ts";

const usage = `usage: npm run scenarios -- [options]

Runs the farm of native scenarios: each builds and strips a target, builds its hotpatch, and shows in a live process the old behaviour, the new one and no old one, and the old one again, with all bytes as at first.

  --only WORD,…    those whose name has one of the words in it
  --parallel N     so many at once (default: 2)
  --json FILE      write all results to a file
  --list           print names and what they are about

Exit code 0 when every scenario held or was refused as it expects; 1 when one failed; 2 for wrong usage.
`;

const say = (line: string): void => console.error(`scenarios: ${line}`);
const runner = join(import.meta.dirname, "run-scenario.ts");

function whatIsMissing({ needs, compiler }: Scenario): string | undefined {
  for (const need of [...needs, compiler]) {
    if (!isThere(need)) return need;
  }
  return undefined;
}

/** A program on PATH, a file by its path, or `root`. */
function isThere(need: string): boolean {
  if (need === "root") return process.getuid?.() === 0;
  if (need.startsWith("/")) return existsSync(need);
  return spawnSync("sh", ["-c", `command -v ${need}`]).status === 0;
}

export async function runOne(scenario: Scenario): Promise<ScenarioResult> {
  const { name, timeoutMs } = scenario;
  const missing = whatIsMissing(scenario);
  if (missing !== undefined) return { name, state: "skipped", note: `needs ${missing}`, tookMs: 0 };
  const ended = await runToEnd({ command: process.execPath, args: [runner, name], timeoutMs });
  const tookMs = Math.round(ended.tookMs);
  if (ended.timedOut) return { name, state: "failed", note: `no end after ${timeoutMs / 1000} s`, tookMs };
  try {
    return JSON.parse(ended.out) as ScenarioResult;
  } catch {
    // It died before it could say anything; what stands on standard error tells why.
    const how = ended.signal ?? `exit code ${ended.code}`;
    return { name, state: "failed", note: `the runner ended with ${how}: ${ended.error.trim().slice(-1500)}`, tookMs };
  }
}

async function runAll(scenarios: readonly Scenario[], parallel: number): Promise<ScenarioResult[]> {
  const results: ScenarioResult[] = new Array(scenarios.length);
  let next = 0;
  let done = 0;
  const work = async (): Promise<void> => {
    for (let index = next++; index < scenarios.length; index = next++) {
      const result = await runOne(scenarios[index] as Scenario);
      results[index] = result;
      done++;
      say(`${done} of ${scenarios.length}: ${result.name}: ${result.state} (${(result.tookMs / 1000).toFixed(1)} s)`);
      if (result.state === "failed")
        say(`  ${[result.note, result.diagnosis ?? ""].join("\n").replaceAll("\n", "\n  ")}`);
    }
  };
  await Promise.all(Array.from({ length: parallel }, work));
  return results;
}

function table(results: readonly ScenarioResult[]): string {
  const rows = results.map(({ name, state, tookMs, pauseMs, tries, note }) =>
    [
      name.padEnd(28),
      state.padEnd(8),
      `${(tookMs / 1000).toFixed(1)} s`.padStart(8),
      (pauseMs === undefined ? "" : `pause ${pauseMs.toFixed(1)} ms`).padStart(16),
      (tries === undefined ? "" : `${tries} stops`).padStart(10),
      note === "" ? "" : `  ${note.split("\n")[0]?.slice(0, 120)}`,
    ].join(" "),
  );
  const counts = new Map<string, number>();
  for (const { state } of results) counts.set(state, (counts.get(state) ?? 0) + 1);
  return [...rows, "", [...counts].map(([state, count]) => `${count} ${state}`).join(", ")].join("\n");
}

async function run(): Promise<number> {
  const { values } = parseArgs({
    options: {
      only: { type: "string" },
      parallel: { type: "string", default: "2" },
      json: { type: "string" },
      list: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) {
    console.log(usage.trimEnd());
    return 0;
  }
  const words = values.only?.split(",");
  const scenarios = discover().filter(({ name }) => words?.some((word) => name.includes(word)) ?? true);
  const parallel = Number(values.parallel);
  if (!Number.isInteger(parallel) || parallel < 1) throw new Error("--parallel takes a number of at least 1");
  if (scenarios.length === 0) throw new Error(`no scenario has ${values.only} in its name`);
  if (values.list) {
    for (const { name, about } of scenarios) console.log(`${name.padEnd(28)} ${about}`);
    return 0;
  }
  await installDebianPackages({ say });
  say(`${scenarios.length} scenarios`);
  const results = await runAll(scenarios, parallel);
  console.log(table(results));
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(results, undefined, 2)}\n`);
  return results.some(({ state }) => state === "failed") ? 1 : 0;
}

if (import.meta.main) {
  try {
    process.exitCode = await run();
  } catch (error) {
    console.error(`scenarios: ${(error as Error).message}\n\n${usage.trimEnd()}`);
    process.exitCode = 2;
  }
}
