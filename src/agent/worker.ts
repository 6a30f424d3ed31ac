/**
 * The one who works: leads each course through its stages, and puts what is in force into processes that start later.
 *
 * One thing after the other, since processes share the debugging port.
 * Invariant: what an effect leads to is in the journal before the next effect begins; an effect whose outcome is not there yet is done again, which changes nothing where it was done already.
 */
import { randomBytes } from "node:crypto";
import { apiLimits } from "../api/api-limits.ts";
import type { ActionState, ProcessOutcome, Report } from "../api/schemas/actions.ts";
import { RebootlessError } from "../base/errors.ts";
import { RefusalError } from "../base/refusal.ts";
import { backOffMs } from "./back-off.ts";
import { runBackupHook } from "./backup-hook.ts";
import type { AgentContext } from "./context.ts";
import { advance, type Course, type CourseOutcome, courseTable, isStanding } from "./course.ts";
import type { SeenProcess } from "./process-scanner.ts";
import { judge, known, type ProcessResult, reasonOf, reasonOfError, Treatment } from "./treatment.ts";
import { Watch } from "./watch.ts";

/** What an effect came to. */
interface Done {
  readonly outcome: CourseOutcome;
  readonly reason?: string;
  readonly results?: readonly ProcessResult[];
  readonly fetched?: true;
}

/** Nothing is wrong with the hotpatch or a process; it is tried again later. */
const passing: ReadonlySet<string> = new Set([
  ...["agent/server-away", "failure/catalog-unreachable", "failure/file-write", "repository/busy"],
  ...["server/answer", "server/storage", "server/busy", "server/no-catalog", "access/rate-limited"],
  "server/database-away",
  ...["access/device-revoked", "access/credentials-missing", "access/forbidden", "catalog/too-slow"],
]);

function isPassing(error: unknown): error is RefusalError | RebootlessError {
  if (error instanceof RebootlessError) return passing.has(error.code);
  return error instanceof RefusalError && error.refusals.some(({ code }) => passing.has(code));
}

export class Worker {
  readonly #context: AgentContext;
  readonly #treatments = new Map<string, Treatment>();
  readonly #watches = new Map<string, Watch>();
  readonly #postponed = new Map<string, { attempts: number; untilMs: number }>();

  constructor(context: AgentContext) {
    this.#context = context;
  }

  /** Does one thing that is due; false when nothing is. Throws `failure/file-write` when the journal cannot be written. */
  async turn(): Promise<boolean> {
    const { journal, scanner } = this.#context;
    const seen = scanner.scan();
    const now = performance.now();
    const courses = [...journal.state.courses.values()].sort((a, b) => (a.createdAt < b.createdAt ? -1 : 1));
    const due = courses.find(
      ({ stage, actionId }) =>
        courseTable[stage].effect !== undefined && (this.#postponed.get(actionId)?.untilMs ?? 0) <= now,
    );
    if (due !== undefined) {
      await this.#step(due, seen);
      return true;
    }
    for (const course of courses) if (isStanding(course) && (await this.#watchOver(course, seen))) return true;
    return false;
  }

  async #step(course: Course, seen: readonly SeenProcess[]): Promise<void> {
    const { journal, onPoint } = this.#context;
    const { actionId, stage } = course;
    const { effect } = courseTable[stage];
    onPoint(`before effect ${effect}`);
    const done = await this.#effect(course, seen);
    onPoint(`after effect ${effect}`);
    const current = journal.state.courses.get(actionId);
    // The server changed its mind meanwhile: it was withdrawn before it began, or is to be taken back.
    if (done === undefined || current?.stage !== stage) return;
    this.#postponed.delete(actionId);
    this.#move(current, done);
  }

  /** Undefined when it was put off. */
  async #effect(course: Course, seen: readonly SeenProcess[]): Promise<Done | undefined> {
    try {
      return await this.#done(course, seen);
    } catch (error) {
      if (isPassing(error)) {
        this.#putOff(course, error);
        return undefined;
      }
      if (!(error instanceof RefusalError || error instanceof RebootlessError)) {
        const stack = error instanceof Error ? error.stack : String(error);
        this.#context.log({ level: "error", message: "something went wrong that should not", stack });
        return { outcome: "failed", reason: "bug/invariant: Something went wrong in the agent; its log says what." };
      }
      const mayRefuse = courseTable[course.stage].on.refused !== undefined;
      const outcome = error instanceof RefusalError && mayRefuse ? "refused" : "failed";
      return { outcome, reason: reasonOfError(error) };
    }
  }

  #putOff({ actionId, hotpatchId, stage }: Course, { message }: Error): void {
    const attempts = this.#postponed.get(actionId)?.attempts ?? 0;
    const waitMs = backOffMs(attempts, this.#context.random());
    this.#postponed.set(actionId, { attempts: attempts + 1, untilMs: performance.now() + waitMs });
    this.#context.log({ level: "warning", message: "put off", hotpatch: hotpatchId, stage, waitMs, why: message });
  }

  /** The server answers again: what was put off need not wait any longer. */
  resume(): void {
    this.#postponed.clear();
    this.#context.wakeWorker();
  }

  async #done(course: Course, seen: readonly SeenProcess[]): Promise<Done> {
    const { store, link } = this.#context;
    const { effect } = courseTable[course.stage];
    if (effect === "begin") return { outcome: "done" };
    if (effect === "fetch") {
      const { digest } = await store.fetch(course.hotpatchId, link());
      // What was learned of processes with this very hotpatch stays known.
      if (this.#treatments.get(course.hotpatchId)?.digest !== digest) this.#treatments.delete(course.hotpatchId);
      return { outcome: "done", fetched: true };
    }
    if (effect === "prepare") {
      const { actionId, hotpatchId } = course;
      await runBackupHook({ folder: this.#context.folder.hooks, actionId, hotpatchId });
      return { outcome: "done" };
    }
    const treatment = await this.#treatment(course.hotpatchId);
    if (effect === "plan") return planned(await treatment.plan(seen));
    if (effect === "apply") {
      const results = await treatment.apply(seen);
      return { outcome: judge(results), reason: reasonOf(results), results };
    }
    if (effect === "revert") {
      const results = await treatment.revert(seen);
      // What refuses to be taken back is in place still, which must not be called reverted.
      const outcome = judge(results) === "done" ? "done" : "failed";
      return { outcome, reason: reasonOf(results), results };
    }
    const verified = await treatment.verify(seen, course.patched);
    const results = verified.map((result) => ({ ...pauseOf(course, result.pid), ...result }));
    const outcome = judge(results) === "done" ? "done" : "failed";
    return { outcome, reason: results.length === 0 ? treatment.absence(seen) : reasonOf(results), results };
  }

  async #treatment(hotpatchId: string): Promise<Treatment> {
    const known = this.#treatments.get(hotpatchId);
    if (known !== undefined) return known;
    const { store, link, maxPauseMs, waitMs, binaryLooks, log, onPoint } = this.#context;
    const opened = await store.open(hotpatchId).catch(async (error) => {
      if (!(error instanceof RebootlessError) || error.code !== "input/file-missing") throw error;
      return await store.fetch(hotpatchId, link());
    });
    const progress = (message: string) => log({ level: "info", message, hotpatch: hotpatchId });
    const treatment = new Treatment(opened, { maxPauseMs, waitMs, binaryLooks, progress, onPoint });
    this.#treatments.set(hotpatchId, treatment);
    return treatment;
  }

  #move(course: Course, { outcome, reason = "", results, fetched }: Done): void {
    const arrow = advance(course.stage, outcome);
    if (arrow === undefined) {
      throw new RebootlessError("bug/invariant", `An action that is ${course.stage} cannot be ${outcome}.`);
    }
    const { journal, log, clock } = this.#context;
    const processes = results === undefined ? course.processes : bounded(results);
    const moved: Course = {
      ...course,
      stage: arrow.to,
      fetched: course.fetched || fetched === true,
      reason,
      processes,
      patched: patchedAfter(course, arrow.to, { results, seen: this.#context.scanner.scan() }),
    };
    const report: Report = {
      key: randomBytes(16).toString("hex"),
      actionId: course.actionId,
      event: arrow.report,
      at: clock().toISOString(),
      ...(reason === "" ? {} : { reason }),
      ...(results === undefined ? {} : { processes: [...processes] }),
    };
    journal.append({ kind: "moved", course: moved, report });
    this.#watches.delete(course.actionId);
    const level = arrow.to === "failed" || arrow.to === "refused" ? "warning" : "info";
    const why = reason === "" ? {} : { reason };
    log({ level, message: "action", hotpatch: course.hotpatchId, from: course.stage, to: arrow.to, ...why });
    this.#context.noteProcessesChanged();
    this.#context.wakeReporter();
  }

  /** Looks at one process that is due; false when none is. */
  async #watchOver(course: Course, seen: readonly SeenProcess[]): Promise<boolean> {
    const { actionId, hotpatchId } = course;
    const watch = this.#watches.get(actionId) ?? new Watch(hinderedIn(course), course.patched);
    this.#watches.set(actionId, watch);
    watch.forget(seen);
    if ((this.#postponed.get(actionId)?.untilMs ?? 0) > performance.now()) return false;
    const treatment = await this.#treatment(hotpatchId).catch((error: unknown) => {
      // The file of the hotpatch is gone, and the server from which it came is away.
      if (!isPassing(error)) throw error;
      this.#putOff(course, error);
    });
    if (treatment === undefined) return false;
    const process = nextInReach(watch, treatment, seen);
    if (process === undefined) {
      if (course.stage !== "refused" || watch.isHindered) return false;
      this.#again(course);
      return true;
    }
    if (watch.isKnownHindrance(process)) {
      watch.note(process, (await treatment.isClear(process)) ? "clear" : "refused", performance.now());
      return true;
    }
    const result = await treatment.protect(process);
    const current = this.#context.journal.state.courses.get(actionId);
    if (current?.stage !== course.stage) return true;
    const state = result === undefined ? "absent" : result.state === "verified" ? "verified" : "refused";
    if (state === "verified") this.#context.noteProcessesChanged();
    if (result !== undefined) this.#tell(hotpatchId, result, watch.isNews(process, state));
    const lasts = watch.note(process, state, performance.now());
    if (lasts && course.stage === "verified") this.#again(current);
    return true;
  }

  #tell(hotpatchId: string, result: ProcessResult, isNews: boolean): void {
    if (!isNews) return;
    const { pid, state, code, message: why } = result;
    const level = state === "verified" ? "info" : "warning";
    const more = code === undefined ? {} : { code, why };
    this.#context.log({ level, message: "a process that started later", hotpatch: hotpatchId, pid, state, ...more });
  }

  /** Goes through all processes once more, so that the server is told how it stands with each. */
  #again(course: Course): void {
    this.#move(course, { outcome: "again" });
  }
}

/** The next process that is due and has the package within reach; those that have not are noted on the way, since they cost little. */
function nextInReach(watch: Watch, treatment: Treatment, seen: readonly SeenProcess[]): SeenProcess | undefined {
  for (;;) {
    const process = watch.nextDue(seen, performance.now());
    if (process === undefined || watch.isKnownHindrance(process) || treatment.mayLoad(process)) return process;
    watch.note(process, "absent", performance.now());
  }
}

function planned(results: readonly ProcessResult[]): Done {
  const isHopeless = results.length > 0 && results.every(({ state }) => state !== "patched");
  const bad = results.filter(({ state }) => state !== "patched");
  // Where one process can take it, the others are told of once it is done.
  return isHopeless ? { outcome: judge(bad), reason: reasonOf(bad), results: bad } : { outcome: "done" };
}

function patchedAfter(
  course: Course,
  to: ActionState,
  { results, seen }: { results: readonly ProcessResult[] | undefined; seen: readonly SeenProcess[] },
): Course["patched"] {
  if (to === "reverted") return [];
  if (results === undefined || (to !== "applied" && to !== "verified" && to !== "refused")) return course.patched;
  const has = new Set(results.flatMap(({ pid, state }) => (state === "patched" || state === "verified" ? [pid] : [])));
  return seen.filter(({ reference: { pid } }) => has.has(pid)).map(known);
}

function pauseOf({ processes }: Course, pid: number): { pauseMs?: number } {
  const pauseMs = processes.find((process) => process.pid === pid)?.pauseMs;
  return pauseMs === undefined ? {} : { pauseMs };
}

function hinderedIn({ processes, stage }: Course): number[] {
  return stage === "refused" ? processes.filter(({ state }) => state === "refused").map(({ pid }) => pid) : [];
}

/** As a report may hold them: those that need a person first. */
function bounded(results: readonly ProcessResult[]): ProcessOutcome[] {
  const rank = ({ state }: ProcessResult) => (state === "failed" ? 0 : state === "refused" ? 1 : 2);
  return results
    .toSorted((a, b) => rank(a) - rank(b))
    .slice(0, apiLimits.processesPerReport)
    .map(({ message: _, ...outcome }) => outcome);
}
