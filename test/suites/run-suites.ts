/** Every chosen suite on every chosen Node.js, one after the other: install, build once for each package, run. */
import { openDesk } from "../corpus/npm/command.ts";
import { type NodeMajor, nodeBinary } from "../support/node-versions.ts";
import { comparisons, type SuiteCase } from "./suite-cases.ts";
import { installSuites } from "./suite-installation.ts";
import { buildHotpatch, runSuite, type SuiteResult, shortcomings } from "./suite-run.ts";

export interface SuitesOptions {
  readonly cases: readonly SuiteCase[];
  readonly majors: readonly NodeMajor[];
}

type Say = (line: string) => void;

export async function runSuites({ cases, majors }: SuitesOptions, say: Say): Promise<readonly SuiteResult[]> {
  const folders = await installSuites(say);
  const nodes: string[] = [];
  for (const major of majors) nodes.push(await nodeBinary(major));
  const desk = await openDesk();
  try {
    const results: SuiteResult[] = [];
    for (const [index, one] of cases.entries()) {
      say(`${index + 1}/${cases.length} ${one.id}: building ${one.package}@${one.vulnerable} → ${one.fixed}`);
      const built = await buildHotpatch(one, desk);
      for (const node of nodes) {
        const result =
          "file" in built
            ? await runSuite({ case: one, bench: { node, folders }, desk, hotpatch: built.file })
            : withoutHotpatch(one, built);
        results.push(result);
        say(`${index + 1}/${cases.length} ${one.id}, Node ${result.nodeVersion}: ${inShort(result)}`);
      }
    }
    return results;
  } finally {
    desk.remove();
  }
}

function withoutHotpatch(one: SuiteCase, why: Pick<SuiteResult, "failure" | "refusal">): SuiteResult {
  const found = Object.fromEntries(comparisons.map((name) => [name, []])) as unknown as SuiteResult["found"];
  return { case: one, nodeVersion: "–", ...why, checks: 0, visible: [], found };
}

function inShort(result: SuiteResult): string {
  if (result.failure !== undefined) return `failed: ${result.failure.split("\n", 1)[0]}`;
  if (result.refusal !== undefined) return `refused at build: ${result.refusal.split("\n", 1)[0]}`;
  const missing = shortcomings(result);
  const ending = missing.length === 0 ? "as the fixed version" : `${missing.length} differences`;
  return `${result.checks} checks, ${ending}; the fix shows in ${result.visible.length}`;
}
