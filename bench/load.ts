/** `npm run bench:load`: a service under load, patched and reverted 100 times. Exit code 1 if a request failed or a hole was not as it should be. */
import { availableParallelism } from "node:os";
import type { LatencySummary } from "../sample/latency.ts";
import { loadBenchHelp, parseLoadBenchArguments } from "./arguments.ts";
import { type LoadFigures, type Memory, runLoadRounds } from "./load-rounds.ts";

const MiB = 1024 * 1024;
const phases = [
  ["before", "load alone"],
  ["beside", "commands that do not touch the service (yardstick)"],
  ["during", "patched and reverted without end"],
  ["after", "load alone again"],
] as const;

function summary(figures: LoadFigures): string {
  const { load, memory, applyPauses, revertPauses } = figures;
  const yardstick = load.phases.beside;
  const lines = [
    `rounds of apply and revert   ${figures.rounds}`,
    `requests                     ${load.requests}, failed ${load.failed}`,
    `connections opened           ${load.connectionsOpened}`,
    `pause, apply                 median ${ms(applyPauses.medianMs)}, max ${ms(applyPauses.maxMs)}`,
    `pause, revert                median ${ms(revertPauses.medianMs)}, max ${ms(revertPauses.maxMs)}`,
    `heap after collection        ${growth(memory, "heapUsedBytes")}`,
    `resident memory              ${growth(memory, "rssBytes")}`,
    "",
    `${"latency".padEnd(10)}${"requests".padStart(10)}${"p50".padStart(11)}${"p99".padStart(11)}${"max".padStart(11)}${"p99 ratio".padStart(12)}`,
    ...phases.map(([name, what]) => `${latencyRow(name, load.phases[name], yardstick)}   ${what}`),
    "",
    `${availableParallelism()} processors, Node ${process.version}; the ratio is to the yardstick, measured in the same run.`,
  ];
  return `${lines.join("\n")}\n`;
}

function latencyRow(name: string, figures: LatencySummary | undefined, yardstick: LatencySummary | undefined): string {
  if (figures === undefined || yardstick === undefined) return name;
  const { requests, p50Ms, p99Ms, maxMs } = figures;
  const cells = [p50Ms, p99Ms, maxMs].map((value) => ms(value).padStart(11)).join("");
  const ratio = `${(p99Ms / yardstick.p99Ms).toFixed(2)}`;
  return `${name.padEnd(10)}${String(requests).padStart(10)}${cells}${ratio.padStart(12)}`;
}

function growth({ before, afterFirst, afterLast }: LoadFigures["memory"], key: keyof Memory): string {
  const firstBytes = afterFirst[key] - before[key];
  const restBytes = afterLast[key] - afterFirst[key];
  return `${(before[key] / MiB).toFixed(1)} MiB; ${signed(firstBytes)} in the first round, ${signed(restBytes)} in all the others`;
}

function signed(bytes: number): string {
  return `${bytes < 0 ? "−" : "+"}${(Math.abs(bytes) / MiB).toFixed(2)} MiB`;
}

function ms(valueMs: number): string {
  return `${valueMs.toFixed(valueMs < 10 ? 2 : 1)} ms`;
}

/** What did not hold, as sentences. */
function faultsOf({ load, wrongStates, samePid }: LoadFigures): string[] {
  return [
    ...(load.failed > 0 ? [`${load.failed} requests failed: ${load.failures.join("; ")}`] : []),
    ...(samePid ? [] : ["the service is another process than at first"]),
    ...wrongStates,
  ];
}

async function main(): Promise<number> {
  let options: ReturnType<typeof parseLoadBenchArguments>;
  try {
    options = parseLoadBenchArguments(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`bench:load: ${(error as Error).message}; see npm run bench:load -- --help\n`);
    return 2;
  }
  if (options === "help") {
    process.stdout.write(loadBenchHelp);
    return 0;
  }
  const interrupted = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => interrupted.abort());
  const { json } = options;
  const say = (line: string) => process.stderr.write(`bench:load: ${line}\n`);
  try {
    const figures = await runLoadRounds({ ...options, say, signal: interrupted.signal });
    process.stdout.write(json ? `${JSON.stringify(figures, undefined, 2)}\n` : summary(figures));
    const faults = faultsOf(figures);
    for (const fault of faults) say(fault);
    return faults.length === 0 ? 0 : 1;
  } catch (error) {
    say(interrupted.signal.aborted ? "interrupted" : (error as Error).message);
    return interrupted.signal.aborted ? 130 : 1;
  }
}

process.exitCode = await main();
