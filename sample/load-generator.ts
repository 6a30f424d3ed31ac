/**
 * Hammers the settings service over keep-alive connections at a bounded rate, and keeps count of every request.
 *
 * Each connection has its own timetable: a request that could not be sent in time, because the one before it was still unanswered, counts from the moment at which it was due.
 * A pause of the service so shows in full, not only in the few requests that were under way (no coordinated omission).
 */
import { Agent, type IncomingMessage, request } from "node:http";
import { setTimeout as wait } from "node:timers/promises";
import { type LatencySummary, summarize } from "./latency.ts";

export interface LoadOptions {
  readonly port: number;
  readonly connections: number;
  /** Of all connections together. */
  readonly requestsPerSecond: number;
}

export interface LoadReport {
  readonly requests: number;
  /** Requests with no answer, a late answer, or a wrong answer. */
  readonly failed: number;
  /** What went wrong with the first few of them. */
  readonly failures: readonly string[];
  /** As many as there are connections, unless one had to be opened anew. */
  readonly connectionsOpened: number;
  readonly phases: Readonly<Record<string, LatencySummary>>;
}

const timeoutMs = 30_000;
const keptFailures = 5;
const themes = ["light", "dark", "contrast"] as const;

export class LoadGenerator {
  readonly #options: LoadOptions;
  readonly #agent: Agent;
  readonly #latenciesMs = new Map<string, number[]>();
  readonly #sockets = new WeakSet<object>();
  readonly #failures: string[] = [];
  readonly #work: Promise<unknown>;
  #phase = "start";
  #requests = 0;
  #failed = 0;
  #connectionsOpened = 0;
  #stopped = false;

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#agent = new Agent({ keepAlive: true, maxSockets: options.connections });
    const startedMs = performance.now();
    const intervalMs = (1000 * options.connections) / options.requestsPerSecond;
    this.#work = Promise.all(
      Array.from({ length: options.connections }, (_, index) =>
        this.#hammer({ firstMs: startedMs + (index * intervalMs) / options.connections, intervalMs }),
      ),
    );
  }

  /** Requests that are due from now on are counted under this name; a name may come back. */
  enterPhase(name: string): void {
    this.#phase = name;
  }

  report(): LoadReport {
    return {
      requests: this.#requests,
      failed: this.#failed,
      failures: [...this.#failures],
      connectionsOpened: this.#connectionsOpened,
      phases: Object.fromEntries([...this.#latenciesMs].map(([name, values]) => [name, summarize(values)])),
    };
  }

  /** Waits for the answers that are still outstanding. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#work;
    this.#agent.destroy();
  }

  async #hammer(timetable: { firstMs: number; intervalMs: number }): Promise<void> {
    let dueMs = timetable.firstMs;
    for (let turn = 0; !this.#stopped; turn += 1) {
      const earlyMs = dueMs - performance.now();
      if (earlyMs > 0) await wait(earlyMs);
      // A timer that fires a little late is the generator's delay, not the service's.
      const fromMs = earlyMs > 0 ? performance.now() : dueMs;
      await this.#measure(turn, fromMs);
      dueMs += timetable.intervalMs;
    }
  }

  async #measure(turn: number, fromMs: number): Promise<void> {
    const phase = this.#phase;
    const wrong = await this.#ask(turn);
    const latencies = this.#latenciesMs.get(phase) ?? [];
    this.#latenciesMs.set(phase, latencies);
    latencies.push(performance.now() - fromMs);
    this.#requests += 1;
    if (wrong === undefined) return;
    this.#failed += 1;
    if (this.#failures.length < keptFailures) this.#failures.push(`${phase}: ${wrong}`);
  }

  /** What is wrong with the answer, if anything is. */
  #ask(turn: number): Promise<string | undefined> {
    const theme = themes[turn % themes.length] as string;
    const pageSize = 10 + (turn % 90);
    const body = `{\n  // settings of request ${turn}\n  theme: '${theme}',\n  pageSize: 0x${pageSize.toString(16)},\n}`;
    const expected = JSON.stringify({ theme, language: "en", pageSize });
    return new Promise((resolve) => {
      const outgoing = request({
        agent: this.#agent,
        host: "127.0.0.1",
        port: this.#options.port,
        method: "POST",
        path: "/settings",
        headers: { "content-type": "application/json5", "content-length": Buffer.byteLength(body) },
        timeout: timeoutMs,
      });
      outgoing.on("socket", (socket) => {
        if (this.#sockets.has(socket)) return;
        this.#sockets.add(socket);
        this.#connectionsOpened += 1;
      });
      outgoing.on("timeout", () => outgoing.destroy(new Error(`no answer within ${timeoutMs} ms`)));
      outgoing.on("error", (error) => resolve(error.message));
      outgoing.on("response", (response) => {
        readAnswer(response).then(
          (text) => resolve(whatIsWrong({ status: response.statusCode ?? 0, text }, expected)),
          (error: Error) => resolve(error.message),
        );
      });
      outgoing.end(body);
    });
  }
}

async function readAnswer(response: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of response.setEncoding("utf8")) text += chunk;
  return text;
}

function whatIsWrong(answer: { status: number; text: string }, expected: string): string | undefined {
  if (answer.status !== 200) return `status ${answer.status}: ${answer.text.slice(0, 200)}`;
  let body: { settings: unknown; administration?: unknown };
  try {
    body = JSON.parse(answer.text) as typeof body;
  } catch {
    return `an answer that is no JSON: ${answer.text.slice(0, 200)}`;
  }
  if (JSON.stringify(body.settings) !== expected || body.administration !== undefined) {
    return `a wrong answer: ${answer.text.slice(0, 200)}`;
  }
  return undefined;
}
