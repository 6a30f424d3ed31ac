/**
 * The story of one case on one Node.js: hole open, closed by apply, open again after revert, closed by applying again.
 *
 * Everything is done from outside, through the command; the same process answers from its first to its last word.
 */
import type { Finding } from "../../../src/engine/engine.ts";
import { type AppliedFigures, CaseEnd, type CaseResult, type RevertedFigures } from "./case-result.ts";
import type { CorpusCase } from "./cases.ts";
import { type CommandAnswer, type Desk, reasonOf } from "./command.ts";
import { type Bench, type Control, slowness, startOn, told, type UsableProbes } from "./control.ts";
import type { Built } from "./hotpatches.ts";
import type { ProbeAnswer, ProbeName, Target } from "./target.ts";

const phases = ["before", "applied", "reverted", "applied again"] as const;
type Phase = (typeof phases)[number];

/** Slow regular expressions count as open above this; a busy machine explains an answer up to twice as slow. */
const slowThresholdMs = 150;

export interface CaseJob {
  readonly case: CorpusCase;
  readonly control: Control;
  readonly built: Built;
  readonly bench: Bench;
  readonly desk: Desk;
  /** For `apply`, in milliseconds; undefined leaves the command its own budget. */
  readonly maxPauseMs: number | undefined;
}

/** What is gathered on the way. */
interface Gathered {
  readonly applies: AppliedFigures[];
  readonly reverts: RevertedFigures[];
  readonly answers: string[];
  readonly notes: string[];
}

interface Story extends CaseJob {
  readonly probes: UsableProbes;
  readonly hotpatch: Extract<Built, { kind: "built" }>;
  readonly record: Gathered;
}

export async function runCase(job: CaseJob): Promise<CaseResult> {
  const { control, built } = job;
  const record: Gathered = { applies: [], reverts: [], answers: [], notes: [] };
  const { nodeVersion } = control.usable ? control.probes : control;
  const end = (kind: CaseResult["kind"], reason: string): CaseResult => ({
    ...record,
    case: job.case,
    nodeVersion,
    kind,
    reason,
  });
  if (!control.usable) return end("probe unusable", control.reason);
  record.notes.push(...control.probes.notes);
  if (built.kind === "refused") return end("refused at build", built.reason);
  if (built.kind !== "built") return end("failed", `build: ${built.reason}`);
  const story = { ...job, probes: control.probes, hotpatch: built, record };
  try {
    if (control.probes.once) await tellInSeveralProcesses(story);
    else await tellInOneProcess(story);
    return end("closed", "");
  } catch (error) {
    // Anything else that is thrown, such as the death of the target, is a failure of the product until proven otherwise.
    return end(error instanceof CaseEnd ? error.kind : "failed", (error as Error).message);
  }
}

async function tellInOneProcess(story: Story): Promise<void> {
  const target = await startOn("vulnerable", story.case, story.bench);
  try {
    for (const phase of phases) {
      const complaint = await enter(phase, target, story);
      await ask(phase, target, story);
      failOn(complaint);
    }
  } finally {
    await target.end();
  }
}

/** For probes that answer truly once only: each phase is reached in a fresh process, and only there the probe is asked. */
async function tellInSeveralProcesses(story: Story): Promise<void> {
  for (const last of phases) {
    const target = await startOn("vulnerable", story.case, story.bench);
    try {
      let complaint: string | undefined;
      for (const phase of phases.slice(0, phases.indexOf(last) + 1)) complaint = await enter(phase, target, story);
      await ask(last, target, story);
      failOn(complaint);
    } finally {
      await target.end();
    }
  }
}

/** Answers what `verify` has to complain of: told only after the probe was asked, since an open hole is the graver finding. */
async function enter(phase: Phase, target: Target, story: Story): Promise<string | undefined> {
  if (phase === "before") return undefined;
  if (phase === "reverted") {
    await revert(target, story);
    return undefined;
  }
  await apply(target, story);
  return await verify(target, story);
}

function failOn(complaint: string | undefined): void {
  if (complaint !== undefined) throw new CaseEnd("failed", complaint);
}

/** An apply walks a heap of 1 GB several times, and each walk takes seconds. */
function timeoutMs({ bench }: Story): number {
  return 120_000 + bench.heapMegabytes * 300;
}

function run(name: string, target: Target, story: Story, options: readonly string[] = []): Promise<CommandAnswer> {
  return story.desk.run([name, story.hotpatch.file, "--pid", String(target.pid), ...options], timeoutMs(story));
}

async function apply(target: Target, story: Story): Promise<void> {
  let grantedPauseMs = story.maxPauseMs;
  let answer = await run("apply", target, story, budgetOption(grantedPauseMs));
  const predicted = grantedPauseMs === undefined ? refusedPause(answer) : undefined;
  if (predicted !== undefined) {
    // As an administrator does who reads the figure and grants it; the next prediction may be somewhat higher.
    grantedPauseMs = Math.ceil(predicted * 2);
    answer = await run("apply", target, story, budgetOption(grantedPauseMs));
  }
  if (answer.kind === "refused") throw new CaseEnd("refused at apply", reasonOf(answer));
  if (answer.kind === "failed") throw new CaseEnd("failed", `apply: ${answer.message}`);
  const outcome = outcomeFor(target, answer.data.outcomes, "apply");
  if (outcome.state !== "applied") throw new CaseEnd("failed", `apply: the state is ${outcome.state}`);
  const edited = new Set(story.hotpatch.files.filter(({ functions }) => functions.length > 0).map(({ path }) => path));
  const copies = (outcome.copies ?? []) as { path: string }[];
  const calls = copies.filter(({ path }) => edited.has(path)).length;
  const granted = predicted === undefined || grantedPauseMs === undefined ? {} : { grantedPauseMs };
  if (predicted !== undefined && story.record.applies.every((made) => made.grantedPauseMs === undefined))
    story.record.notes.push(`the command's budget refused ${Math.ceil(predicted)} ms; here it was granted`);
  story.record.applies.push({ ...(outcome as unknown as AppliedFigures), calls, ...granted });
}

function budgetOption(maxPauseMs: number | undefined): string[] {
  return maxPauseMs === undefined ? [] : ["--max-pause", String(maxPauseMs)];
}

/** The pause that the command predicted when it refused for that alone. */
function refusedPause(answer: CommandAnswer): number | undefined {
  if (answer.kind !== "refused") return undefined;
  const [only, ...others] = answer.refused;
  return only?.code === "plan/pause-over-budget" && others.length === 0 ? only.details?.predictedPauseMs : undefined;
}

async function verify(target: Target, story: Story): Promise<string | undefined> {
  const answer = await run("verify", target, story);
  if (answer.kind !== "done") return `verify after apply: ${reasonOf(answer)}`;
  const { state, findings } = outcomeFor(target, answer.data.verdicts, "verify");
  if (state === "in-place") return undefined;
  const broken = (findings as Finding[]).find((finding) => finding.state === "broken");
  return `verify after apply: ${state}${broken === undefined ? "" : ` (${broken.subject})`}`;
}

async function revert(target: Target, story: Story): Promise<void> {
  const answer = await run("revert", target, story);
  if (answer.kind !== "done") throw new CaseEnd("failed", `revert: ${reasonOf(answer)}`);
  const outcome = outcomeFor(target, answer.data.outcomes, "revert");
  if (outcome.state !== "reverted") throw new CaseEnd("failed", `revert: the state is ${outcome.state}`);
  story.record.reverts.push(outcome as unknown as RevertedFigures);
}

function outcomeFor(target: Target, list: unknown, name: string): { [key: string]: unknown } {
  const found = (Array.isArray(list) ? list : []).find(({ pid }) => pid === target.pid);
  if (found === undefined) throw new CaseEnd("failed", `${name} was done, but says nothing of process ${target.pid}`);
  return found;
}

async function ask(phase: Phase, target: Target, story: Story): Promise<void> {
  const open = phase === "before" || phase === "reverted";
  const { closing, deciding, once, onceOnly } = story.probes;
  // A probe that answers truly once only is asked where it counts: after the first apply.
  const closingNow = closing.filter((name) => once || !onceOnly.includes(name) || phase === "applied");
  for (const name of open ? [deciding] : closingNow) {
    const answer = await target.ask(name);
    story.record.answers.push(`${phase}: ${name === "companion" ? "the companion " : ""}${told(answer)}`);
    if (open && answer.vuln !== true) throw new CaseEnd("failed", `${phase}: the probe ${told(answer)}, not open`);
    if (!open && answer.vuln !== false) await explain(phase, name, answer, target, story);
  }
}

/**
 * The hole looks open after an apply.
 *
 * One thing excuses a second question: a time just above the threshold while the fixed version itself is as slow at this moment.
 */
async function explain(
  phase: Phase,
  name: ProbeName,
  answer: ProbeAnswer,
  target: Target,
  story: Story,
): Promise<void> {
  const tookMs = slowness(answer);
  let last = answer;
  if (answer.vuln === true && tookMs !== undefined && tookMs < 2 * slowThresholdMs) {
    const fixed = await startOn("fixed", story.case, { ...story.bench, heapMegabytes: 0 });
    const fixedMs = await fixed
      .ask(name)
      .then(slowness)
      .finally(() => fixed.end());
    if (fixedMs !== undefined && fixedMs > tookMs / 2) {
      story.record.notes.push(
        `${phase}: asked again, since ${tookMs} ms came while the fixed version took ${fixedMs} ms`,
      );
      last = await target.ask(name);
      story.record.answers.push(`${phase}: again ${told(last)}`);
    }
  }
  if (last.vuln === true)
    throw new CaseEnd("wrong", `${phase}: called applied and in place, yet the probe ${told(last)}`);
  if (last.vuln === null) throw new CaseEnd("failed", `${phase}: the probe ${told(last)}`);
}
