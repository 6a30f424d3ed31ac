/** `npm run stock:native`: progress on standard error, a table on standard output, the verdict as exit code. */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { openDesk } from "../corpus/npm/command.ts";
import { readStockCases } from "./cases.ts";
import { runStockCase, type StockResult } from "./run-case.ts";

const usage = `usage: npm run stock:native -- [options]

Patches Debian's own binaries as they are installed, in programs that run: a hotpatch is built from Debian's source of the installed version, goes in, comes out, and goes in again; each time the program's behaviour tells.

  --only NAME,…  these cases of test/stock/cases
  --fresh        forget the results that earlier runs kept
  --json FILE    write all results to a file

What the builds need is installed with apt-get as root, and named otherwise.
Results of cases that held are kept in .cache/stock-native; others are tried again.
Exit code 0 when every case held; 1 when not; 2 for wrong usage.
`;

const say = (line: string): void => console.error(`stock: ${line}`);
const cache = resolve(import.meta.dirname, "..", "..", ".cache", "stock-native");
const kept = join(cache, "results.json");

function table(results: readonly StockResult[]): string {
  const lines = results.map(({ id, state, functions, answers, buildMs, note }) =>
    [
      id.padEnd(10),
      state.padEnd(8),
      `${((buildMs ?? 0) / 1000).toFixed(0)} s`.padStart(6),
      ` ${functions.join(", ")}${answers.length === 0 ? "" : `: "${answers[0]}" → "${answers[1]}"`}${note === "" ? "" : ` (${note})`}`,
    ].join(" "),
  );
  const held = results.filter(({ state }) => state === "held").length;
  return [...lines, "", `${held} of ${results.length} held`].join("\n");
}

async function run(): Promise<number> {
  const { values } = parseArgs({
    options: {
      only: { type: "string" },
      fresh: { type: "boolean", default: false },
      json: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) {
    console.log(usage.trimEnd());
    return 0;
  }
  const cases = readStockCases(values.only?.split(","));
  mkdirSync(cache, { recursive: true });
  const earlier = values.fresh || !existsSync(kept) ? [] : (JSON.parse(readFileSync(kept, "utf8")) as StockResult[]);
  const done = new Map(earlier.map((result) => [result.id, result]));
  const desk = await openDesk();
  const results: StockResult[] = [];
  try {
    for (const [index, one] of cases.entries()) {
      const known = done.get(one.id);
      const settled = known?.state === "held";
      say(`${index + 1} of ${cases.length}: ${one.id}: ${one.what}${settled ? " (kept: held)" : ""}`);
      const result = settled ? known : await runStockCase(one, { desk, folder: join(cache, one.id), say });
      if (!settled) say(`${one.id}: ${result.state}${result.note === "" ? "" : ` (${result.note})`}`);
      results.push(result);
      done.set(one.id, result);
      writeFileSync(`${kept}.new`, JSON.stringify([...done.values()]));
      renameSync(`${kept}.new`, kept);
    }
  } finally {
    desk.remove();
  }
  console.log(table(results));
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(results, undefined, 2)}\n`);
  return results.every(({ state }) => state === "held") ? 0 : 1;
}

try {
  process.exitCode = await run();
} catch (error) {
  console.error(`stock: ${(error as Error).message}\n\n${usage.trimEnd()}`);
  process.exitCode = 2;
}
