/**
 * What the agent and its server say to each other: work that comes in, reports and facts that go out, and the certificate.
 *
 * A server that is away is asked again less and less often; one that has cut this machine off, once in an hour.
 * Nothing here decides what is done on the machine: that is in the journal, and the worker's.
 */
import { apiLimits } from "../api/api-limits.ts";
import type { Assignment, Report } from "../api/schemas/actions.ts";
import type { Facts } from "../api/schemas/devices.ts";
import { RebootlessError } from "../base/errors.ts";
import { RefusalError } from "../base/refusal.ts";
import { backOffLimits, backOffMs } from "./back-off.ts";
import type { AgentContext } from "./context.ts";
import { reconcile } from "./course.ts";
import { difference } from "./facts.ts";
import { Wake } from "./wake.ts";

export type ServerState = "unknown" | "connected" | "away" | "cut-off";

export interface Contact {
  readonly state: ServerState;
  readonly lastContactAt?: string;
  /** Why it is away, or cut this machine off. */
  readonly message?: string;
}

const pollMs = apiLimits.pollMs - 5_000;
/** Between two polls, whatever the server answers. */
const breathMs = 100;

const cutOffCodes: ReadonlySet<string> = new Set([
  ...["access/device-revoked", "access/credentials-missing", "access/forbidden"],
]);

/** What a server says of a report itself, and not of its own state. */
const declinedCode = /^(action|report|request)\//;

export class Conversation {
  readonly #context: AgentContext;
  readonly #onContact: () => void;
  readonly #poll = new Wake();
  readonly #reports = new Wake();
  #contact: Contact = { state: "unknown" };
  #attempts = 0;
  #polling: AbortController | undefined;
  #revision: number | undefined;
  #told: { revision: number; facts: Facts } | undefined;

  /** `onContact` is called whenever the server answers again after it was away. */
  constructor(context: AgentContext, onContact: () => void) {
    this.#context = context;
    this.#onContact = onContact;
  }

  get contact(): Contact {
    return this.#contact;
  }

  wakeReporter(): void {
    this.#reports.wake();
  }

  /** Asks for work until the signal; `renewed` is called between two polls. */
  async pollUntil(signal: AbortSignal, renewed: () => Promise<void>): Promise<void> {
    while (!signal.aborted) {
      try {
        await renewed();
        await this.#pollOnce(signal);
        await this.#poll.wait(breathMs, signal);
      } catch (error) {
        if (signal.aborted) return;
        // Ended by this agent itself, to ask anew.
        const isOwn = this.#polling?.signal.aborted === true;
        this.#polling = undefined;
        if (isOwn) continue;
        await this.#poll.wait(this.#troubled(error), signal);
      }
    }
  }

  async #pollOnce(signal: AbortSignal): Promise<void> {
    const { link } = this.#context;
    this.#polling = new AbortController();
    const waitMs = this.#revision === undefined ? 0 : pollMs;
    const query = this.#revision === undefined ? { waitMs } : { after: this.#revision, waitMs };
    const either = AbortSignal.any([signal, this.#polling.signal]);
    const assignment = await link().ask("poll", { query }, { signal: either, extraMs: waitMs });
    this.#reached();
    this.#take(assignment);
    this.#revision = assignment.revision;
  }

  #take({ actions }: Assignment): void {
    const { journal, log, wakeWorker } = this.#context;
    const { courses, reports } = journal.state;
    const unreported = new Set(reports.map(({ actionId }) => actionId));
    const isWhole = actions.length < apiLimits.pollActions;
    for (const change of reconcile(courses, unreported, { actions, isWhole })) {
      if (change.kind === "forgotten") {
        const hotpatch = courses.get(change.actionId)?.hotpatchId;
        journal.append({ kind: "forgotten", actionId: change.actionId });
        log({ level: "info", message: "withdrawn", hotpatch });
      } else {
        journal.append({ kind: "moved", course: change.course });
        log({ level: "info", message: "told", hotpatch: change.course.hotpatchId, to: change.course.stage });
      }
    }
    wakeWorker();
  }

  /** Tells what the journal holds, in order, until the signal. */
  async reportUntil(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#reportAll(signal);
        await this.#reports.wait(backOffLimits.longestMs, signal);
      } catch (error) {
        if (signal.aborted) return;
        await this.#reports.wait(this.#troubled(error), signal);
      }
    }
  }

  async #reportAll(signal: AbortSignal): Promise<void> {
    const { journal } = this.#context;
    for (;;) {
      const reports = journal.state.reports.slice(0, apiLimits.reportsAtOnce);
      const [report] = reports;
      if (report === undefined || signal.aborted) return;
      if (reports.length === 1 || !(await this.#reportTogether(reports, signal))) await this.#reportOne(report, signal);
    }
  }

  /** What came to be while the server was away or answered another report. False where it takes no such bundle. */
  async #reportTogether(reports: readonly Report[], signal: AbortSignal): Promise<boolean> {
    const { link, onPoint } = this.#context;
    for (const { event } of reports) onPoint(`before report ${event}`);
    try {
      const { answers } = await link().ask("reportAll", { body: { reports: [...reports] } }, { signal });
      this.#reached();
      for (const [index, report] of reports.entries()) {
        const answer = answers[index];
        if (answer === undefined) break;
        if ("declined" in answer) this.#declined(report, answer.declined);
        else this.#taken(report, answer.changedAt);
      }
      return answers.length > 0;
    } catch (error) {
      if (!declinedCode.test(codeOf(error))) throw error;
      return false;
    }
  }

  async #reportOne(report: Report, signal: AbortSignal): Promise<void> {
    const { link, onPoint } = this.#context;
    onPoint(`before report ${report.event}`);
    try {
      const { changedAt } = await link().ask("report", { body: report }, { signal });
      this.#reached();
      this.#taken(report, changedAt);
    } catch (error) {
      const code = codeOf(error);
      if (!declinedCode.test(code)) throw error;
      this.#declined(report, code);
    }
  }

  #taken({ key, event }: Report, changedAt: string): void {
    const { journal, onPoint } = this.#context;
    onPoint(`after report ${event}`);
    journal.append({ kind: "told", key, changedAt });
  }

  /** The server will never take it; what it wants instead comes with the next poll. */
  #declined({ key, event }: Report, code: string): void {
    const { journal, log } = this.#context;
    log({ level: "warning", message: "a report was declined", code, event });
    journal.append({ kind: "told", key });
    this.#askAnew();
  }

  #askAnew(): void {
    this.#revision = undefined;
    this.#polling?.abort();
    this.#poll.wake();
  }

  /** Tells what changed since the last time; whole where the server has forgotten what it knew. */
  async tellFacts(facts: Facts, signal: AbortSignal): Promise<void> {
    if (this.#contact.state !== "connected") return;
    const { link } = this.#context;
    const changes = this.#told === undefined ? facts : difference(this.#told.facts, facts);
    if (Object.keys(changes).length === 0) return;
    const base = this.#told?.revision ?? 0;
    try {
      const { revision } = await link().ask("changeFacts", { body: { base, changes } }, { signal });
      this.#told = { revision, facts };
    } catch (error) {
      if (signal.aborted) return;
      this.#told = undefined;
      if (codeOf(error) !== "facts/revision-stale") this.#troubled(error);
      else await this.tellFacts(facts, signal);
    }
  }

  #reached(): void {
    const { clock, log } = this.#context;
    const before = this.#contact.state;
    this.#contact = { state: "connected", lastContactAt: clock().toISOString() };
    this.#attempts = 0;
    if (before === "connected") return;
    log({ level: "info", message: "the server answers" });
    this.#reports.wake();
    this.#onContact();
  }

  /** How long to wait before the next attempt, in milliseconds. */
  #troubled(error: unknown): number {
    const { log, random } = this.#context;
    if (!(error instanceof RebootlessError || error instanceof RefusalError)) {
      const stack = error instanceof Error ? error.stack : String(error);
      log({ level: "error", message: "something went wrong that should not", stack });
      return backOffMs(this.#attempts++, random());
    }
    if (codeOf(error) === "failure/file-write") {
      log({ level: "error", message: "nothing can be written", why: error.message });
      return backOffMs(this.#attempts++, random());
    }
    const state = cutOffCodes.has(codeOf(error)) ? "cut-off" : "away";
    const { message } = error;
    if (this.#contact.state !== state) {
      const words = state === "away" ? "the server is away" : "the server has cut this machine off";
      log({ level: "warning", message: words, why: message });
    }
    this.#contact = { ...this.#contact, state, message };
    if (state === "cut-off") return backOffLimits.cutOffMs * (0.5 + random() / 2);
    return backOffMs(this.#attempts++, random());
  }
}

function codeOf(error: unknown): string {
  if (error instanceof RebootlessError) return error.code;
  return error instanceof RefusalError ? (error.refusals[0]?.code ?? "") : "";
}
