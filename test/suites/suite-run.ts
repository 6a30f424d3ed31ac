/**
 * One suite on one Node.js, in four processes of which two are patched from outside.
 *
 * 1. The fixed version runs the suite twice: what it answers is what a patched process must answer.
 * 2. The vulnerable version runs it twice: where its answers differ from the fixed version's, the suite sees the fix.
 * 3. A process that has only loaded the vulnerable version is patched, runs the suite, is reverted, and runs it again.
 * 4. A process that has run the suite on the vulnerable version, so that its code is warm and its caches are full, is patched and runs it again.
 *
 * Rounds are compared with rounds of the same number, since packages may remember what they were asked.
 */
import { type CommandAnswer, type Desk, reasonOf } from "../corpus/npm/command.ts";
import { type CheckResult, type Difference, differences, unexplained } from "./comparison.ts";
import { type ComparisonName, comparisons, type SuiteCase } from "./suite-cases.ts";
import { type SuiteBench, type SuiteProcess, startSuite } from "./suite-process.ts";

export interface SuiteResult {
  readonly case: SuiteCase;
  readonly nodeVersion: string;
  /** Undefined where every comparison could be made. */
  readonly failure?: string;
  /** The build's refusal: an answer, after which there is no patched process to compare. */
  readonly refusal?: string;
  readonly checks: number;
  /** Checks that the vulnerable version answers otherwise than the fixed one. */
  readonly visible: readonly Difference[];
  readonly found: Readonly<Record<ComparisonName, readonly Difference[]>>;
}

type Rounds = readonly [readonly CheckResult[], readonly CheckResult[]];

interface Work {
  readonly case: SuiteCase;
  readonly bench: SuiteBench;
  readonly desk: Desk;
  readonly hotpatch: string;
}

const buildTimeoutMs = 300_000;
const commandTimeoutMs = 120_000;
/** How long the pause is depends on the machine; what the process answers afterwards does not. */
const maxPauseMs = 20_000;

/** Builds and signs the hotpatch of a case from the registry; answers its file, or why there is none. */
export async function buildHotpatch(
  one: SuiteCase,
  desk: Desk,
): Promise<{ file: string } | Pick<SuiteResult, "failure" | "refusal">> {
  const file = `${desk.folder}/${one.id}.hotpatch`;
  const words = ["build", "npm", `${one.package}@${one.vulnerable}`, "--to", one.fixed, "--output", file];
  const answer = await desk.run([...words, "--key", desk.key, "--advisory", one.cve], buildTimeoutMs);
  if (answer.kind === "done") return { file };
  return answer.kind === "refused" ? { refusal: reasonOf(answer) } : { failure: `build: ${reasonOf(answer)}` };
}

export async function runSuite(work: Work): Promise<SuiteResult> {
  const nothing = { checks: 0, visible: [], found: noDifferences() };
  let nodeVersion = "";
  const withProcess: WithProcess = async (side, act) => {
    const suite = await startSuite(work.case, side, work.bench);
    nodeVersion = suite.nodeVersion;
    return await act(suite).finally(() => suite.end());
  };
  try {
    return { case: work.case, ...(await compare(work, withProcess)), nodeVersion };
  } catch (error) {
    return { case: work.case, nodeVersion, failure: (error as Error).message, ...nothing };
  }
}

type WithProcess = (side: "fixed" | "vulnerable", act: (suite: SuiteProcess) => Promise<Rounds>) => Promise<Rounds>;

async function compare(
  work: Work,
  withProcess: WithProcess,
): Promise<Pick<SuiteResult, "checks" | "visible" | "found">> {
  const explained = (name: ComparisonName) => work.case.explained.filter((one) => one.in.includes(name));
  const twice = async (suite: SuiteProcess): Promise<Rounds> => [await suite.round(), await suite.round()];
  const fixed = await withProcess("fixed", twice);
  const vulnerable = await withProcess("vulnerable", twice);
  const cold = await withProcess("vulnerable", async (suite) => {
    await run("apply", suite, work);
    const patched = await suite.round();
    await run("revert", suite, work);
    return [patched, await suite.round()];
  });
  const warm = await withProcess("vulnerable", async (suite) => {
    const before = await suite.round();
    await run("apply", suite, work);
    return [before, await suite.round()];
  });
  return {
    checks: fixed[0].length,
    visible: differences(fixed[0], vulnerable[0]),
    found: {
      patched: differences(fixed[0], cold[0], explained("patched")),
      "patched when warm": differences(fixed[1], warm[1], explained("patched when warm")),
      reverted: differences(vulnerable[1], cold[1], explained("reverted")),
      // Anything here means that the suite's outcomes are not the same each time.
      "before the patch": differences(vulnerable[0], warm[0]),
    },
  };
}

async function run(name: "apply" | "revert", suite: SuiteProcess, { desk, hotpatch }: Work): Promise<void> {
  const budget = name === "apply" ? ["--max-pause", String(maxPauseMs)] : [];
  const answer = await desk.run([name, hotpatch, "--pid", String(suite.pid), ...budget], commandTimeoutMs);
  const state = stateOf(answer, suite.pid);
  if (state !== (name === "apply" ? "applied" : "reverted")) {
    throw new Error(`${name}: ${answer.kind === "done" ? `the state is ${state}` : reasonOf(answer)}`);
  }
}

function stateOf(answer: CommandAnswer, pid: number): string | undefined {
  if (answer.kind !== "done") return undefined;
  return (answer.data.outcomes as { pid: number; state: string }[]).find((outcome) => outcome.pid === pid)?.state;
}

function noDifferences(): SuiteResult["found"] {
  return Object.fromEntries(comparisons.map((name) => [name, []])) as unknown as SuiteResult["found"];
}

/** Why a result is not good enough; empty where a patched process and the fixed version agree. */
export function shortcomings(result: SuiteResult): readonly string[] {
  if (result.failure !== undefined) return [result.failure];
  return comparisons.flatMap((name) =>
    unexplained(result.found[name]).map(({ name: check }) => `${name}: ${check} differs`),
  );
}
