/** The client seen from the program that starts it. */
import type { ChildProcess } from "node:child_process";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import type { ClientAnswer, ClientOrder } from "./client.ts";
import type { Household } from "./household.ts";
import type { LoadOptions, LoadReport } from "./load-generator.ts";

const program = join(import.meta.dirname, "client.ts");
const pollMs = 50;
const patienceMs = 120_000;

export class ClientProcess {
  readonly pid: number;
  /** Rejects when the client ends before `stop` is called; never resolves. */
  readonly untimelyEnd: Promise<never>;
  readonly #child: ChildProcess;
  readonly #household: Household;
  readonly #answers = new Map<number, (report: LoadReport) => void>();
  #orders = 0;
  #ending = false;

  private constructor(household: Household) {
    this.#household = household;
    this.#child = household.start(process.execPath, [program], { stdio: ["ignore", "ignore", "inherit", "ipc"] });
    this.pid = this.#child.pid as number;
    this.#child.on("message", (message) => {
      const { id, report } = message as ClientAnswer;
      this.#answers.get(id)?.(report);
      this.#answers.delete(id);
    });
    this.untimelyEnd = new Promise((_, reject) => {
      this.#child.once("exit", (code, signal) => {
        if (!this.#ending) reject(new Error(`The client ended by itself (${signal ?? `exit code ${code}`}).`));
      });
    });
    // Whoever waits for it sees the rejection; nobody has to.
    this.untimelyEnd.catch(() => undefined);
  }

  static async start(household: Household, options: LoadOptions): Promise<ClientProcess> {
    const client = new ClientProcess(household);
    await client.#order({ kind: "start", ...options });
    return client;
  }

  report(): Promise<LoadReport> {
    return this.#order({ kind: "report" });
  }

  /** Counts what is due from now on under this name. */
  async enterPhase(name: string): Promise<void> {
    await this.#order({ kind: "phase", name });
  }

  /** Waits until so many requests of a phase have been answered. */
  async untilAnswered(phase: string, requests: number): Promise<LoadReport> {
    const end = performance.now() + patienceMs;
    for (;;) {
      const report = await this.report();
      if ((report.phases[phase]?.requests ?? 0) >= requests) return report;
      if (performance.now() > end) {
        throw new Error(
          `Only ${report.phases[phase]?.requests ?? 0} of ${requests} requests were answered within ${patienceMs / 1000} s.`,
        );
      }
      await wait(pollMs);
    }
  }

  /** Ends the client when all its requests are answered, and gives its last report. */
  async stop(): Promise<LoadReport> {
    const report = await this.#order({ kind: "stop" });
    this.expectEnd();
    await this.#household.end(this.#child);
    return report;
  }

  /** The household is about to be closed: the end of the client is no surprise any more. */
  expectEnd(): void {
    this.#ending = true;
  }

  #order(order: ClientOrder): Promise<LoadReport> {
    this.#orders += 1;
    const id = this.#orders;
    const answer = new Promise<LoadReport>((resolve, reject) => {
      this.#answers.set(id, resolve);
      // Without a callback, a client that has ended would end us by an event that nobody listens to.
      this.#child.send({ id, order }, (error) => error && reject(error));
    });
    return Promise.race([answer, this.untimelyEnd]);
  }
}
