/**
 * The agent of a machine as one running thing: it listens to its server, works, looks for new processes, and tells.
 *
 * Everything that it must not forget is in the journal; this file only starts the parts, and ends them in order.
 */
import { RebootlessError } from "../base/errors.ts";
import { RefusalError } from "../base/refusal.ts";
import { BinaryLooks } from "../engine/linux/process-binaries.ts";
import { type AgentFolder, holdFolder } from "./agent-folder.ts";
import { hasBackupHook } from "./backup-hook.ts";
import type { AgentContext, LogLine } from "./context.ts";
import { Conversation } from "./conversation.ts";
import { isDue, renew } from "./enrolment.ts";
import { factsOf, type ToldProcess } from "./facts.ts";
import { HotpatchStore } from "./hotpatch-store.ts";
import { type Identity, readIdentity } from "./identity.ts";
import { Inventory } from "./inventory.ts";
import { Journal } from "./journal.ts";
import { MachineFacts } from "./machine-facts.ts";
import { ProcessScanner } from "./process-scanner.ts";
import { ServerLink } from "./server-link.ts";
import { writeStatus } from "./status-file.ts";
import { Wake } from "./wake.ts";
import { Worker } from "./worker.ts";

export interface RunAgentOptions {
  readonly folder: AgentFolder;
  readonly version: string;
  /** Ends the agent in order. */
  readonly signal: AbortSignal;
  readonly maxPauseMs: number;
  readonly waitMs: number;
  readonly clock?: () => Date;
  readonly random?: () => number;
  /** Told before and after each write of the journal and each effect. */
  readonly onPoint?: (point: string) => void;
  log(line: LogLine): void;
}

const scanMs = 1_000;
/** Processes that live for a moment come and go by the dozen where programs are started, and nobody asks about them later. */
const settledMs = 5_000;
const targetsMs = 600_000;
const renewRetryMs = 600_000;
const storageRetryMs = 5_000;

/** Runs until the signal. Throws `agent/not-enrolled`, `agent/state-busy`, `agent/state-damaged`. */
export async function runAgent(options: RunAgentOptions): Promise<void> {
  const { folder } = options;
  // Before the folder is made: whoever is not enrolled has none.
  await readIdentity(folder);
  await holdFolder(folder, async () => {
    const agent = new RunningAgent(options, await readIdentity(folder));
    await agent.run();
  });
}

class RunningAgent {
  readonly #options: RunAgentOptions;
  readonly #context: AgentContext;
  readonly #conversation: Conversation;
  readonly #worker: Worker;
  readonly #binaryLooks = new BinaryLooks();
  readonly #inventory = new Inventory(this.#binaryLooks);
  readonly #machine = new MachineFacts();
  readonly #work = new Wake();
  readonly #startedAt = new Date().toISOString();
  #identity: Identity;
  #link: ServerLink;
  #targets: { ids: Set<string>; atMs: number } | undefined;
  #shown = "";
  #renewAfterMs = 0;

  constructor(options: RunAgentOptions, identity: Identity) {
    const { folder, onPoint = () => undefined, clock = () => new Date(), random = Math.random } = options;
    this.#options = options;
    this.#identity = identity;
    this.#link = new ServerLink(identity);
    const { maxPauseMs, waitMs, log } = options;
    this.#context = {
      ...{ folder, maxPauseMs, waitMs, clock, random, log, onPoint },
      journal: Journal.open(folder.journal, onPoint),
      store: new HotpatchStore(folder),
      scanner: new ProcessScanner(),
      binaryLooks: this.#binaryLooks,
      link: () => this.#link,
      noteProcessesChanged: () => this.#inventory.invalidate(),
      wakeReporter: () => this.#conversation.wakeReporter(),
      wakeWorker: () => this.#work.wake(),
    };
    this.#worker = new Worker(this.#context);
    this.#conversation = new Conversation(this.#context, () => {
      this.#targets = undefined;
      this.#worker.resume();
    });
  }

  async run(): Promise<void> {
    const { signal, log } = this.#options;
    const { journal } = this.#context;
    const { server, deviceId } = this.#identity;
    log({ level: "info", message: "the agent begins", server, device: deviceId, actions: journal.state.courses.size });
    try {
      await Promise.all([
        this.#conversation.pollUntil(signal, () => this.#renewIfDue()),
        this.#conversation.reportUntil(signal),
        this.#workUntil(signal),
        this.#tellUntil(signal),
      ]);
    } finally {
      this.#link.close();
      journal.close();
    }
    log({ level: "info", message: "the agent ends; what is in place stays" });
  }

  async #workUntil(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        this.#context.journal.compactIfLarge();
        if (await this.#worker.turn()) continue;
        await this.#work.wait(scanMs, signal);
      } catch (error) {
        if (!(error instanceof RebootlessError) || error.code !== "failure/file-write") throw error;
        this.#options.log({ level: "error", message: "nothing can be written", why: error.message });
        await this.#work.wait(storageRetryMs, signal);
      }
    }
  }

  async #tellUntil(signal: AbortSignal): Promise<void> {
    const tell = new Wake();
    while (!signal.aborted) {
      const processes = await this.#inventory.of(this.#context.scanner.scan());
      await this.#show(processes);
      const targets = await this.#hotpatchTargets();
      const settled = processes.filter((told) => isSettled(told, this.#context.clock()));
      const binaries = this.#inventory.binaries(settled);
      const programs = this.#inventory.programs(settled);
      const machine = this.#machine.read();
      const { version } = this.#options;
      const told = {
        version,
        hasBackupHook: await hasBackupHook(this.#options.folder.hooks),
        targets,
        binaries,
        programs,
        machine,
      };
      await this.#conversation.tellFacts(factsOf(settled, told), signal);
      await tell.wait(scanMs, signal);
    }
    await this.#show(await this.#inventory.of(this.#context.scanner.scan()));
  }

  /** What the catalog has hotpatches for, looked up now and then while the server is there. */
  async #hotpatchTargets(): Promise<ReadonlySet<string>> {
    const known = this.#targets;
    const isFresh = known !== undefined && performance.now() - known.atMs < targetsMs;
    if (isFresh || this.#conversation.contact.state !== "connected") return known?.ids ?? new Set();
    let ids = known?.ids ?? new Set<string>();
    try {
      ids = await this.#context.store.targets(this.#link);
    } catch (error) {
      if (!(error instanceof RebootlessError || error instanceof RefusalError)) throw error;
      this.#options.log({ level: "warning", message: "the catalog cannot be read", why: error.message });
    }
    this.#targets = { ids, atMs: performance.now() };
    return ids;
  }

  async #show(processes: readonly ToldProcess[]): Promise<void> {
    const isProtected = ({ hotpatches }: ToldProcess) => hotpatches.length > 0;
    const status = {
      startedAt: this.#startedAt,
      server: this.#conversation.contact,
      processes: processes.filter(isProtected).map(({ pid, command, hotpatches }) => ({
        ...{ pid, command },
        hotpatches: hotpatches.map(({ id }) => id),
      })),
    };
    const shown = JSON.stringify(status);
    if (shown === this.#shown) return;
    this.#shown = shown;
    try {
      await writeStatus(this.#options.folder, status);
    } catch (error) {
      this.#options.log({ level: "warning", message: "the status cannot be written", why: String(error) });
    }
  }

  async #renewIfDue(): Promise<void> {
    if (performance.now() < this.#renewAfterMs || !isDue(this.#identity, this.#context.clock())) return;
    try {
      this.#identity = await renew(this.#options.folder, this.#identity, this.#link);
    } catch (error) {
      if (!(error instanceof RebootlessError || error instanceof RefusalError)) throw error;
      // The old one is good for days; whatever is in the way must not keep work from coming in.
      this.#renewAfterMs = performance.now() + renewRetryMs;
      this.#options.log({ level: "warning", message: "the certificate could not be renewed", why: error.message });
      return;
    }
    const old = this.#link;
    this.#link = new ServerLink(this.#identity);
    old.close();
    this.#options.log({ level: "info", message: "the certificate was renewed", until: this.#identity.expiresAt });
  }
}

function isSettled({ startedAt, hotpatches }: ToldProcess, now: Date): boolean {
  return hotpatches.length > 0 || now.getTime() - Date.parse(startedAt) >= settledMs;
}
