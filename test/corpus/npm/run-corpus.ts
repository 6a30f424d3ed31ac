/** One run over a corpus: install, build, then each case on each Node.js, one after the other, so that timings have a quiet moment. */
import { nodeBinary } from "../../support/node-versions.ts";
import type { CaseResult } from "./case-result.ts";
import { runCase } from "./case-run.ts";
import { type CorpusCase, onlyCases, readCorpus, sampleCases } from "./cases.ts";
import { type Desk, openDesk } from "./command.ts";
import { type Bench, type Control, control } from "./control.ts";
import { type Built, buildAll } from "./hotpatches.ts";
import { install } from "./installation.ts";
import type { CorpusOptions } from "./options.ts";
import { firstLine, type Totals, totalsOf } from "./report.ts";

export interface CorpusRun {
  readonly results: readonly CaseResult[];
  readonly totals: readonly Totals[];
}

type Say = (line: string) => void;

interface Prepared {
  readonly cases: readonly CorpusCase[];
  /** One for each Node.js. */
  readonly benches: readonly Bench[];
}

async function prepare(options: CorpusOptions, say: Say): Promise<Prepared> {
  const corpus = readCorpus(options.corpus);
  const { only, sample, heapMegabytes } = options;
  const chosen = only === undefined ? corpus.cases : onlyCases(corpus.cases, only);
  const cases = sample === undefined ? chosen : sampleCases(chosen, sample);
  const installation = await install(corpus, say);
  const benches: Bench[] = [];
  for (const major of options.majors) benches.push({ node: await nodeBinary(major), installation, heapMegabytes });
  return { cases, benches };
}

export async function runCorpus(options: CorpusOptions, say: Say): Promise<CorpusRun> {
  const { cases, benches } = await prepare(options, say);
  const desk = await openDesk();
  try {
    const hotpatches = await buildAll(cases, desk, (line) => say(`build ${line}`));
    const results: CaseResult[] = [];
    const totals: Totals[] = [];
    for (const bench of benches) {
      const ofNode = await runOnNode({ cases, bench, desk, hotpatches, options }, say);
      results.push(...ofNode);
      totals.push(totalsOf(versionOf(ofNode), ofNode));
    }
    return { results, totals };
  } finally {
    desk.remove();
  }
}

interface NodeRun {
  readonly cases: readonly CorpusCase[];
  readonly bench: Bench;
  readonly desk: Desk;
  readonly hotpatches: ReadonlyMap<string, Built>;
  readonly options: CorpusOptions;
}

async function runOnNode({ cases, bench, desk, hotpatches, options }: NodeRun, say: Say): Promise<CaseResult[]> {
  const results: CaseResult[] = [];
  for (const one of cases) {
    const startedMs = performance.now();
    const built = hotpatches.get(one.id) as Built;
    const result = await runCase({
      case: one,
      control: await control(one, bench),
      built,
      bench,
      desk,
      maxPauseMs: options.maxPauseMs,
    });
    results.push(result);
    const pauses = result.applies.map(({ pauseMs }) => `${Math.round(pauseMs)} ms`).join(", ");
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
    const where = `Node ${result.nodeVersion} ${results.length}/${cases.length} ${one.id}`;
    const why = result.reason === "" ? "" : ` (${firstLine(result.reason)})`;
    say(`${where}: ${result.kind}${why}${pauses === "" ? "" : `, pauses ${pauses}`}; ${seconds} s`);
  }
  return results;
}

/** From a case whose target could start. */
function versionOf(results: readonly CaseResult[]): string {
  return results.find(({ nodeVersion }) => nodeVersion !== "")?.nodeVersion ?? "unknown";
}

export interface ControlResult {
  readonly case: CorpusCase;
  readonly node: string;
  readonly control: Control;
}

/** The probes alone; nothing is built or patched. */
export async function runControls(options: CorpusOptions, say: Say): Promise<readonly ControlResult[]> {
  const { cases, benches } = await prepare(options, say);
  const results: ControlResult[] = [];
  for (const bench of benches) {
    for (const one of cases) {
      const found = await control(one, bench);
      const node = found.usable ? found.probes.nodeVersion : found.nodeVersion;
      const how = found.usable ? ["usable", ...found.probes.notes].join("; ") : `unusable: ${found.reason}`;
      say(`Node ${node} ${one.id}: ${how}`);
      results.push({ case: one, node, control: found });
    }
  }
  return results;
}
