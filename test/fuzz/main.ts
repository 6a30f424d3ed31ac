/** `npm run fuzz`: damaged files, unwind information, bundles and records; only typed errors, no hang, no memory beyond bounds. */
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { describeFinding, runFuzz } from "./run-fuzz.ts";

const usage = `usage: npm run fuzz -- [options]

  --count N        so many inputs (default: 100000)
  --seed S         which ones (default: a new one each time, printed)
  --only KIND      elf, binary, object, patch-object, unwind, expression, bundle, record or process-texts
  --processes N    at once (default: 2)

An input that was answered wrongly is written to .cache/fuzz; put into test/fuzz/cases it is tried by npm test from then on.
Exit code 0 when none was; 1 when some were; 2 for wrong usage.
`;

function number(text: string, name: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new Error(`${name} takes a whole number, not ${text}`);
}

async function run(): Promise<number> {
  const { values } = parseArgs({
    options: {
      count: { type: "string", default: "100000" },
      seed: { type: "string" },
      only: { type: "string" },
      processes: { type: "string", default: "2" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) {
    console.log(usage.trimEnd());
    return 0;
  }
  const seed = values.seed === undefined ? Date.now() % 2 ** 31 : number(values.seed, "--seed");
  const count = number(values.count, "--count");
  const processes = Math.max(1, number(values.processes, "--processes"));
  console.error(`fuzz: ${count} inputs of seed ${seed}`);
  const { inputs, findings, tookMs } = await runFuzz({
    seed,
    count,
    processes,
    only: values.only,
    keepIn: resolve(import.meta.dirname, "..", "..", ".cache", "fuzz"),
    progress: (text) => console.error(`fuzz: ${text}`),
  });
  console.log(
    `${inputs} inputs of seed ${seed} in ${(tookMs / 1000).toFixed(1)} s: ${findings.length} answered wrongly`,
  );
  for (const finding of findings) console.log(describeFinding(finding).split("\n", 3).join("\n"));
  return findings.length === 0 && inputs === count ? 0 : 1;
}

try {
  process.exitCode = await run();
} catch (error) {
  console.error(`fuzz: ${(error as Error).message}\n\n${usage.trimEnd()}`);
  process.exitCode = 2;
}
