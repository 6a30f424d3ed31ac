/** `npm run corpus:native`: progress on standard error, a table on standard output, the verdict as exit code. */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { openDesk } from "../npm/command.ts";
import { corpusFolder, readCases, UsageError } from "./cases.ts";
import { installBuildTools } from "./packages.ts";
import { isEnough, isSettled, table } from "./report.ts";
import { type CaseResult, runCase } from "./run-case.ts";

const usage = `usage: npm run corpus:native -- [options]

Tries every case of a corpus of real holes in C programs: open, closed in the same process, open after revert, closed again.

  --corpus DIR   the folder with cases.json and drivers (or REBOOTLESS_NATIVE_CORPUS; by default ../shared/corpus/native)
  --only ID,…    these cases, or all cases of these packages
  --list         print the cases and end
  --fresh        forget the results that earlier runs kept
  --json FILE    write all results to a file

Missing tools (compilers, autotools, cmake, dpkg-dev) are installed with apt-get when run as root, and named otherwise.
Sources come from where the machine has its packages; its own apt configuration stays as it is.
Results of finished cases are kept in .cache/corpus-native, so that a broken run goes on where it was; failures are tried again.
Exit code 0 when at least 95 % of the cases are closed and all others refused at build; 1 when not; 2 for wrong usage.
`;

const say = (line: string): void => console.error(`corpus: ${line}`);
const cache = resolve(import.meta.dirname, "..", "..", "..", ".cache", "corpus-native");
const kept = join(cache, "results.json");
/** Of what lies in the cache: to be raised where an earlier run's would be read wrongly. */
const layout = "2\n";

/** The cache of this layout; one of another layout is taken away. */
function openCache(): void {
  const note = join(cache, "layout");
  if (existsSync(note) && readFileSync(note, "utf8") === layout) return;
  rmSync(cache, { recursive: true, force: true });
  mkdirSync(cache, { recursive: true });
  writeFileSync(note, layout);
}

function readKept(): CaseResult[] {
  return existsSync(kept) ? (JSON.parse(readFileSync(kept, "utf8")) as CaseResult[]) : [];
}

function keep(results: readonly CaseResult[]): void {
  writeFileSync(`${kept}.new`, JSON.stringify(results));
  renameSync(`${kept}.new`, kept);
}

async function run(): Promise<number> {
  const { values } = parseArgs({
    options: {
      corpus: { type: "string" },
      only: { type: "string" },
      list: { type: "boolean", default: false },
      fresh: { type: "boolean", default: false },
      json: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) {
    console.log(usage.trimEnd());
    return 0;
  }
  const corpus = corpusFolder(values.corpus);
  const cases = readCases(corpus, values.only?.split(","));
  if (cases.length === 0) throw new UsageError(`no case of ${corpus} is named ${values.only}`);
  if (values.list) {
    console.log(cases.map(({ id, package: name, version }) => `${id}  ${name} ${version}`).join("\n"));
    return 0;
  }
  openCache();
  const done = new Map(values.fresh ? [] : readKept().map((result) => [result.id, result]));
  await installBuildTools(say);
  const desk = await openDesk();
  const results: CaseResult[] = [];
  try {
    for (const [index, one] of cases.entries()) {
      const earlier = done.get(one.id);
      const settled = earlier !== undefined && isSettled(earlier);
      say(`${index + 1} of ${cases.length}: ${one.id}${settled ? ` (kept: ${earlier.state})` : ""}`);
      const result = settled ? earlier : await runCase(one, { corpus, cache, desk, say });
      if (!settled) say(`${one.id}: ${result.state}${result.note === "" ? "" : ` (${result.note})`}`);
      results.push(result);
      done.set(one.id, result);
      keep([...done.values()]);
    }
  } finally {
    desk.remove();
  }
  console.log(table(results));
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(results, undefined, 2)}\n`);
  return isEnough(results) ? 0 : 1;
}

try {
  process.exitCode = await run();
} catch (error) {
  const wrongUsage = error instanceof UsageError || (error as NodeJS.ErrnoException).code?.startsWith("ERR_PARSE_ARGS");
  console.error(`corpus: ${(error as Error).message}${wrongUsage ? `\n\n${usage.trimEnd()}` : ""}`);
  process.exitCode = wrongUsage ? 2 : 1;
}
