/** Runs one scenario to its end and prints the result as one line of JSON: a process of its own, so that a hang or a crash is one scenario's. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Drive, drive } from "./drive.ts";
import { discover, type Scenario } from "./scenario.ts";
import { Scene } from "./scene.ts";

export interface ScenarioResult {
  readonly name: string;
  readonly state: "held" | "refused" | "failed" | "skipped";
  readonly note: string;
  readonly tookMs: number;
  readonly pauseMs?: number;
  readonly tries?: number;
  /** For a failure: the target's report, the plan, the stacks. */
  readonly diagnosis?: string;
}

async function runScenario(scenario: Scenario): Promise<ScenarioResult> {
  const started = performance.now();
  const folder = mkdtempSync(join(tmpdir(), "rebootless-scenario-"));
  const scene = new Scene(scenario, folder);
  const result = (more: Pick<ScenarioResult, "state" | "note">, diagnosis?: string): ScenarioResult => ({
    name: scenario.name,
    ...more,
    tookMs: Math.round(performance.now() - started),
    ...(scene.pausesMs.length > 0 ? { pauseMs: Math.max(...scene.pausesMs), tries: scene.tries } : {}),
    ...(diagnosis === undefined ? {} : { diagnosis }),
  });
  try {
    scene.buildTarget();
    const steps = scenario.driver === undefined ? drive : ((await import(scenario.driver)) as { drive: Drive }).drive;
    await steps(scene);
    const { refuses } = scenario;
    return result({
      state: refuses === undefined ? "held" : "refused",
      note: refuses === undefined ? "" : refuses.code,
    });
  } catch (error) {
    return result({ state: "failed", note: (error as Error).message }, await scene.diagnosis());
  } finally {
    await scene.end();
    rmSync(folder, { recursive: true, force: true });
  }
}

const scenario = discover().find(({ name }) => name === process.argv[2]);
if (scenario === undefined) throw new Error(`there is no scenario ${process.argv[2]}`);
const result = await runScenario(scenario);
// A promise that nobody fulfils any more must not keep it from ending.
process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
