/** An agent as its server sees it: mutual TLS, long polls and reports, on one connection that is kept; it has no machine behind it. */
import { randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { Agent, request as httpsRequest } from "node:https";
import type { ActionState, AgentEvent, Assignment, ReportAnswers } from "../../src/api/schemas/actions.ts";

interface Step {
  readonly event: AgentEvent;
  readonly to: ActionState;
}

/** What an agent reports next of an action in that state; each report stands for something that a real one has done. */
const steps: Readonly<Partial<Record<ActionState, Step>>> = {
  offered: { event: "fetch-started", to: "fetching" },
  fetching: { event: "fetch-done", to: "fetched" },
  fetched: { event: "plan-done", to: "planned" },
  planned: { event: "apply-started", to: "applying" },
  applying: { event: "apply-done", to: "applied" },
  applied: { event: "verify-started", to: "verifying" },
  verifying: { event: "verify-done", to: "verified" },
  reverting: { event: "revert-done", to: "reverted" },
};
const failure: Step = { event: "fail", to: "failed" };

export interface AgentCredentials {
  readonly deviceId: string;
  readonly key: string;
  readonly certificate: string;
  /** The authority's certificate. */
  readonly ca: string;
}

export class SimulatedAgent {
  readonly deviceId: string;
  readonly #server: URL;
  readonly #connections: Agent;
  /** So that one that was started anew gives its reports other keys. */
  readonly #run = randomUUID();
  #reports = 0;

  constructor(server: string, { deviceId, key, certificate, ca }: AgentCredentials) {
    this.deviceId = deviceId;
    this.#server = new URL(server);
    // No session is taken up again: each connection shows the certificate that the device has by now.
    this.#connections = new Agent({ keepAlive: true, maxSockets: 1, maxCachedSessions: 0, key, cert: certificate, ca });
  }

  async poll(waitMs: number, after?: number): Promise<Assignment> {
    const query = after === undefined ? `waitMs=${waitMs}` : `waitMs=${waitMs}&after=${after}`;
    return (await this.ask("GET", `/v1/agent/actions?${query}`)) as Assignment;
  }

  /** Reports each action until it is verified, failed where `fails` says so, or reverted: as its work takes no time, the first step alone, and together what came to be meanwhile. */
  async work({ actions }: Assignment, fails: (hotpatchId: string) => boolean = () => false): Promise<void> {
    for (const { id, state, hotpatchId } of actions) {
      const reports: unknown[] = [];
      for (let at: ActionState | undefined = state; at !== undefined; ) {
        const step: Step | undefined = at === "applying" && fails(hotpatchId) ? failure : steps[at];
        if (step === undefined) break;
        this.#reports += 1;
        reports.push({ key: `fleet-${this.#run}-${this.#reports}`, actionId: id, event: step.event });
        at = step.to;
      }
      const [first, ...rest] = reports;
      if (first === undefined) continue;
      await this.ask("POST", "/v1/agent/reports", first);
      if (rest.length === 0) continue;
      const { answers } = (await this.ask("POST", "/v1/agent/report-batches", { reports: rest })) as ReportAnswers;
      if (answers.length !== rest.length || answers.some((answer) => "declined" in answer)) {
        throw new Error(`the server declined a report: ${JSON.stringify(answers)}`);
      }
    }
  }

  disconnect(): void {
    this.#connections.destroy();
  }

  /** Answers the body of an answer with 200 or 201; fails with any other. */
  ask(method: string, path: string, body?: unknown): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const payload = body === undefined ? undefined : JSON.stringify(body);
      const headers = payload === undefined ? {} : { "content-type": "application/json" };
      const options = { method, headers, agent: this.#connections };
      const request = httpsRequest(new URL(path, this.#server), options, (response) => read(response, resolve, reject));
      request.on("error", reject);
      request.end(payload);
    });
  }
}

function read(response: IncomingMessage, resolve: (value: unknown) => void, reject: (error: Error) => void): void {
  const chunks: Buffer[] = [];
  response.on("data", (chunk: Buffer) => chunks.push(chunk));
  response.on("error", reject);
  response.on("end", () => {
    const text = Buffer.concat(chunks).toString("utf8");
    if (response.statusCode === 200 || response.statusCode === 201) resolve(JSON.parse(text));
    else reject(new Error(`the server answered ${response.statusCode}: ${text}`));
  });
}
