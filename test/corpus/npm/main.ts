/** `npm run corpus:npm`: progress on standard error, the table and the totals on standard output, and the verdict as exit code. */
import { writeFileSync } from "node:fs";
import { corpusExists } from "./cases.ts";
import { type CorpusOptions, readOptions, usage } from "./options.ts";
import { shortcomings, table, totalsLine } from "./report.ts";
import { runControls, runCorpus } from "./run-corpus.ts";

const say = (line: string) => console.error(`corpus: ${line}`);

function optionsOrExit(): CorpusOptions {
  try {
    const options = readOptions(process.argv.slice(2));
    if (options === undefined) {
      console.log(usage.trimEnd());
      process.exit(0);
    }
    if (corpusExists(options.corpus)) return options;
    throw new Error(`${options.corpus} holds no corpus (cases.json and probes.cjs); name one with --corpus DIR`);
  } catch (error) {
    console.error(`corpus: ${(error as Error).message}\n\n${usage.trimEnd()}`);
    process.exit(2);
  }
}

async function checkControls(options: CorpusOptions): Promise<number> {
  const results = await runControls(options, say);
  if (options.json !== undefined)
    writeFileSync(options.json, `${JSON.stringify({ controls: results }, undefined, 2)}\n`);
  const unusable = results.filter((result) => !result.control.usable);
  console.log(`${results.length - unusable.length} of ${results.length} probes are usable`);
  return unusable.length === 0 ? 0 : 1;
}

async function checkCases(options: CorpusOptions): Promise<number> {
  const startedAt = new Date().toISOString();
  const { results, totals } = await runCorpus(options, say);
  const missing = shortcomings(totals);
  console.log(`${table(results)}\n\n${totals.map(totalsLine).join("\n")}`);
  for (const one of missing) console.log(`Not good enough: ${one}.`);
  if (options.json !== undefined) {
    const { corpus, heapMegabytes, maxPauseMs } = options;
    const everything = { startedAt, corpus, heapMegabytes, maxPauseMs, totals, shortcomings: missing, results };
    writeFileSync(options.json, `${JSON.stringify(everything, undefined, 2)}\n`);
  }
  return missing.length === 0 ? 0 : 1;
}

const options = optionsOrExit();
try {
  process.exitCode = options.controlsOnly ? await checkControls(options) : await checkCases(options);
} catch (error) {
  say((error as Error).message);
  process.exitCode = 1;
}
