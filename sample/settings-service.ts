/** The settings service as a child process: started, asked, attacked. */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { Daemon } from "./daemon.ts";
import type { Household } from "./household.ts";

const program = join(import.meta.dirname, "service", "main.cjs");
const answerTimeoutMs = 15_000;

export interface ServiceStatus {
  readonly pid: number;
  readonly startedAt: string;
  readonly uptimeSeconds: number;
  /** Requests answered since the start. */
  readonly served: number;
  /** Connections taken since the start. */
  readonly connections: number;
}

export interface SettingsAnswer {
  readonly status: number;
  readonly text: string;
  readonly body: {
    readonly settings?: { readonly theme: string; readonly language: string; readonly pageSize: number };
    readonly servedBy?: number;
    readonly administration?: { readonly databasePassword: string };
    readonly error?: string;
  };
}

export interface ServiceOptions {
  /** 0: any free port. */
  readonly port: number;
  readonly administratorToken: string;
  /** Flags of Node. */
  readonly nodeFlags?: readonly string[];
}

export class SettingsService {
  readonly pid: number;
  readonly port: number;
  /** Rejects when the service ends before `end` is called; never resolves. */
  readonly untimelyEnd: Promise<never>;
  readonly #daemon: Daemon;

  private constructor(daemon: Daemon, port: number) {
    this.#daemon = daemon;
    this.pid = daemon.pid;
    this.port = port;
    this.untimelyEnd = daemon.untimelyEnd;
  }

  /** Resolves when the service listens. Throws with its last output when it ends instead. */
  static async start(household: Household, options: ServiceOptions): Promise<SettingsService> {
    const words = [...(options.nodeFlags ?? []), program, "--port", String(options.port)];
    const daemon = new Daemon(household, words, {
      name: "The settings service",
      env: { ...process.env, SETTINGS_ADMINISTRATOR_TOKEN: options.administratorToken },
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    });
    const [message] = (await Promise.race([once(daemon.child, "message"), daemon.untimelyEnd])) as [
      { listening: number },
    ];
    return new SettingsService(daemon, message.listening);
  }

  get child(): ChildProcess {
    return this.#daemon.child;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async status(): Promise<ServiceStatus> {
    const response = await fetch(`${this.url}/status`, { signal: AbortSignal.timeout(answerTimeoutMs) });
    return (await response.json()) as ServiceStatus;
  }

  /** Sends settings as a user does; with a token, as an administrator. */
  async send(settings: string, token?: string): Promise<SettingsAnswer> {
    const response = await fetch(`${this.url}/settings`, {
      method: "POST",
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      body: settings,
      signal: AbortSignal.timeout(answerTimeoutMs),
    });
    const text = await response.text();
    return { status: response.status, text: text.trim(), body: JSON.parse(text) as SettingsAnswer["body"] };
  }

  async end(): Promise<void> {
    await this.#daemon.end();
  }

  /** The household is about to be closed: the end of the service is no surprise any more. */
  expectEnd(): void {
    this.#daemon.expectEnd();
  }
}
