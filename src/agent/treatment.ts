/**
 * What an action does in the processes of this machine, through the engine, as the commands `apply`, `verify` and `revert` with `--all` do.
 *
 * Each process is entirely on the old code or entirely on the new; the rule for several of them is in `judge`.
 */
import { apiLimits } from "../api/api-limits.ts";
import type { ProcessOutcome } from "../api/schemas/actions.ts";
import { RebootlessError } from "../base/errors.ts";
import { printable } from "../base/printable.ts";
import { type RefusalCode, RefusalError } from "../base/refusal.ts";
import type { AnyEngine, NativeEvidence, Outcome, PlanSummary, ProcessReference } from "../engine/engine.ts";
import { engineFor } from "../engine/engines.ts";
import type { BinaryLooks } from "../engine/linux/process-binaries.ts";
import { isUnconcerned, type Treated, treat, treatEach } from "../engine/sweep.ts";
import type { OpenedHotpatch } from "../hotpatch/open-hotpatch.ts";
import type { CourseOutcome, KnownProcess } from "./course.ts";
import { keyOf, programOf, type SeenProcess } from "./process-scanner.ts";

export interface TreatmentOptions {
  /** The longest that a process may stand still at a stretch, in milliseconds. */
  readonly maxPauseMs: number;
  /** How long to wait for calls of changed functions to end, in milliseconds. */
  readonly waitMs: number;
  readonly binaryLooks: BinaryLooks;
  progress(message: string): void;
  onPoint(point: string): void;
}

/** A process that has just started is left to the look a second later. */
const tooEarly: ReadonlySet<string> = new Set<RefusalCode>(["target/starting"]);

/** What came of one process; `undefined` where the hotpatch has nothing to do there (now). */
export type ProcessResult = ProcessOutcome & { readonly message?: string };

/** One hotpatch in processes. Plans are kept between the plan and the apply of one life of the agent. */
export class Treatment {
  readonly #opened: OpenedHotpatch;
  readonly #engine: AnyEngine;
  readonly #options: TreatmentOptions;
  readonly #plans = new Map<string, PlanSummary>();

  constructor(opened: OpenedHotpatch, options: TreatmentOptions) {
    this.#opened = opened;
    this.#options = options;
    this.#engine = engineFor(opened.hotpatch.manifest, { ...options, rehearse: true }, opened.digest);
  }

  get digest(): string {
    return this.#opened.digest;
  }

  /** Whether a process is to be entered at all. */
  readonly mayLoad = ({ info }: SeenProcess): boolean => this.#engine.mayLoad(info, this.#opened.hotpatch);

  /** Why the hotpatch is in no process. */
  absence(seen: readonly SeenProcess[]): string {
    const infos = seen.map(({ info }) => info);
    return `${this.#engine.absence(infos, this.#opened.hotpatch)}; processes that start with it later get the hotpatch.`;
  }

  async plan(seen: readonly SeenProcess[]): Promise<ProcessResult[]> {
    this.#plans.clear();
    const treated = await this.#each(seen.filter(this.mayLoad), async (target) => {
      this.#plans.set(keyOf(target), await this.#planFor(target));
    });
    return this.#results(treated, seen, () => ({ state: "patched" }));
  }

  /** A process that has it already is counted among those that have it, after another look at it. */
  async apply(seen: readonly SeenProcess[]): Promise<ProcessResult[]> {
    const treated = await this.#each(seen.filter(this.mayLoad), async (target) => await this.#applyTo(target));
    return this.#results(treated, seen, ({ pauseMs }) => ({ state: "patched", pauseMs }));
  }

  /** Applies and verifies in one process that started later. */
  async protect(seen: SeenProcess): Promise<ProcessResult | undefined> {
    const [applied] = await this.apply([seen]);
    if (applied?.state !== "patched") return applied;
    const [verified] = await this.verify([seen], [known(seen)]);
    return verified === undefined ? undefined : { ...applied, ...verified };
  }

  /** Whether nothing stands in the way of a process any more. */
  async isClear(seen: SeenProcess): Promise<boolean> {
    const { kind } = await this.#treat(seen.reference, async (target) => await this.#planFor(target));
    return kind === "done";
  }

  /** Where it is not in place as a whole it is taken out again, and the process counts as failed. `patched` are those that must have it. */
  async verify(seen: readonly SeenProcess[], patched: readonly KnownProcess[]): Promise<ProcessResult[]> {
    const { hotpatch } = this.#opened;
    const expected = new Set(patched.map(keyOf));
    const found: ProcessResult[] = [];
    for (const process of seen) {
      if (!expected.has(process.key) && !this.#engine.mayCarry(process.info, hotpatch)) continue;
      const { reference } = process;
      const treated = await this.#treat(reference, async (target) => {
        const verdict = await this.#around("verify", async () => await this.#engine.verify(target, hotpatch));
        const { state, findings } = verdict;
        if (state === "in-place") return verdict;
        if (state === "absent" && !expected.has(process.key)) return undefined;
        if (state === "broken") await this.#engine.revert(target, hotpatch);
        const bad = findings.find((finding) => finding.state === "broken");
        const why = bad === undefined ? "it is not there any more" : `${bad.subject}: ${bad.evidence}`;
        throw new RebootlessError("failure/verify", `It did not hold, and was taken out again: ${why}.`);
      });
      if (treated.kind === "done" && treated.result === undefined) continue;
      found.push(
        ...this.#results([treated], [process], (verdict) => ({ state: "verified", ...evidenceIn(verdict?.native) })),
      );
    }
    return found;
  }

  async revert(seen: readonly SeenProcess[]): Promise<ProcessResult[]> {
    const { hotpatch } = this.#opened;
    const treated = await this.#each(
      seen.filter(({ info }) => this.#engine.mayCarry(info, hotpatch)),
      async (target) => await this.#around("revert", async () => await this.#engine.revert(target, hotpatch)),
    );
    return this.#results(treated, seen, ({ pauseMs }) => ({ state: "reverted", pauseMs }));
  }

  async #planFor(target: ProcessReference): Promise<PlanSummary> {
    const { hotpatch } = this.#opened;
    const { maxPauseMs } = this.#options;
    return this.#engine.plan(await this.#engine.probe(target, hotpatch), hotpatch, { maxPauseMs });
  }

  async #applyTo(target: ProcessReference): Promise<Outcome> {
    const key = keyOf(target);
    const plan = this.#plans.get(key) ?? (await this.#planFor(target));
    this.#plans.delete(key);
    return await this.#around("apply", async () => await this.#applyOrMend(plan, target));
  }

  async #around<Result>(step: "apply" | "verify" | "revert", work: () => Promise<Result>): Promise<Result> {
    this.#options.onPoint(`before process ${step}`);
    const result = await work();
    this.#options.onPoint(`after process ${step}`);
    return result;
  }

  /** What was put there before and is not whole any more is taken out, and put in once more. */
  async #applyOrMend(plan: PlanSummary, target: ProcessReference): Promise<Outcome> {
    const { hotpatch } = this.#opened;
    try {
      return await this.#engine.apply(plan, hotpatch);
    } catch (error) {
      if (!plan.isInPlace || !(error instanceof RebootlessError) || error.code !== "failure/verify") throw error;
    }
    await this.#engine.revert(target, hotpatch);
    return await this.#engine.apply(await this.#planFor(target), hotpatch);
  }

  async #each<Result>(
    seen: readonly SeenProcess[],
    action: (target: ProcessReference) => Promise<Result>,
  ): Promise<Treated<Result>[]> {
    return await treatEach(
      seen.map(({ reference }) => reference),
      action,
    );
  }

  #results<Result>(
    treated: readonly Treated<Result>[],
    seen: readonly SeenProcess[],
    done: (result: Result) => Pick<ProcessOutcome, "state" | "pauseMs" | "native">,
  ): ProcessResult[] {
    const infos = new Map(seen.map(({ key, info }) => [key, info]));
    return treated.flatMap((entry): ProcessResult[] => {
      const { pid } = entry.target;
      const info = infos.get(keyOf(entry.target));
      const command = (info?.commandLine ?? []).join(" ").slice(0, commandCharacters);
      const common = { pid, command: printable(command).slice(0, 200) };
      if (entry.kind === "done") return [{ ...common, ...done(entry.result) }];
      if (entry.kind === "failed") {
        const { code, message } = entry.failure;
        return [{ ...common, state: "failed", code, message }];
      }
      const [refusal] = entry.refusals.filter((given) => !isUnconcerned(given) && !tooEarly.has(given.code));
      if (refusal === undefined) return [];
      return [{ ...common, state: "refused", code: refusal.code, message: refusal.message }];
    });
  }

  async #treat<Result>(target: ProcessReference, action: (target: ProcessReference) => Promise<Result>) {
    return await treat(target, action);
  }
}

/** As many build-ids as a report holds. */
function evidenceIn(native: NativeEvidence | undefined): Pick<ProcessOutcome, "native"> {
  if (native === undefined) return {};
  return { native: { ...native, buildIds: native.buildIds.slice(0, apiLimits.buildIdsPerProcess) } };
}

export function known(seen: SeenProcess): KnownProcess {
  const { pid, startTicks } = seen.reference;
  return { pid, startTicks: String(startTicks), program: programOf(seen) };
}

const commandCharacters = 120;

/**
 * What comes of an action whose processes did not all fare alike.
 * It is done when every process that it concerns is: one that failed makes it failed, else one that refused makes it refused. What is in place in the others stays.
 */
export function judge(results: readonly ProcessResult[]): CourseOutcome {
  if (results.some(({ state }) => state === "failed")) return "failed";
  return results.some(({ state }) => state === "refused") ? "refused" : "done";
}

const reasonCharacters = 2000;
const namedInReason = 5;

/** Which processes are in the way, and why. */
export function reasonOf(results: readonly ProcessResult[]): string {
  const bad = results.filter(({ state }) => state === "failed" || state === "refused");
  const more = bad.length > namedInReason ? ` And ${bad.length - namedInReason} more processes.` : "";
  const named = bad.slice(0, namedInReason).map(({ pid, code, message }) => `${pid}: ${code}: ${message}`);
  return `${named.join(" ").slice(0, reasonCharacters - 100)}${more}`;
}

/** Why something went wrong that is about no single process. */
export function reasonOfError(error: RefusalError | RebootlessError): string {
  const [first] = error instanceof RefusalError ? error.refusals : [error];
  return `${first?.code}: ${first?.message}`.slice(0, reasonCharacters);
}
