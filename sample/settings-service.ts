/** The settings service as a child process: started, asked, attacked. */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { printable } from "../src/hotpatch/printable.ts";
import type { Household } from "./household.ts";

const program = join(import.meta.dirname, "service", "main.cjs");
const keptCharacters = 2000;
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
  readonly child: ChildProcess;
  readonly pid: number;
  readonly port: number;
  /** Rejects when the service ends before `end` is called; never resolves. */
  readonly untimelyEnd: Promise<never>;
  readonly #household: Household;
  #ending = false;

  private constructor(household: Household, started: { child: ChildProcess; port: number; lastOutput: () => string }) {
    this.#household = household;
    this.child = started.child;
    this.pid = started.child.pid as number;
    this.port = started.port;
    this.untimelyEnd = new Promise((_, reject) => {
      started.child.once("close", (code, signal) => {
        if (!this.#ending) reject(new Error(endText({ code, signal }, started.lastOutput())));
      });
    });
    // Whoever waits for it sees the rejection; nobody has to.
    this.untimelyEnd.catch(() => undefined);
  }

  /** Resolves when the service listens. Throws with its last output when it ends instead. */
  static async start(household: Household, options: ServiceOptions): Promise<SettingsService> {
    const words = [...(options.nodeFlags ?? []), program, "--port", String(options.port)];
    const child = household.start(process.execPath, words, {
      env: { ...process.env, SETTINGS_ADMINISTRATOR_TOKEN: options.administratorToken },
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    });
    let output = "";
    const keep = (text: string) => {
      output = (output + text).slice(-keptCharacters);
    };
    child.stdout?.setEncoding("utf8").on("data", keep);
    child.stderr?.setEncoding("utf8").on("data", keep);
    const ended = once(child, "close").then(([code, signal]) => {
      throw new Error(endText({ code, signal }, output));
    });
    const [message] = (await Promise.race([once(child, "message"), ended])) as [{ listening: number }];
    // From now on `untimelyEnd` tells of its end.
    ended.catch(() => undefined);
    return new SettingsService(household, { child, port: message.listening, lastOutput: () => output });
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
    this.expectEnd();
    await this.#household.end(this.child);
  }

  /** The household is about to be closed: the end of the service is no surprise any more. */
  expectEnd(): void {
    this.#ending = true;
  }
}

function endText(end: { code: number | null; signal: NodeJS.Signals | null }, output: string): string {
  const how = end.signal === null ? `with exit code ${end.code}` : `by ${end.signal}`;
  const said = output.trim().split("\n").slice(-10).map(printable).join("\n");
  return `The settings service ended ${how}. ${said === "" ? "It had printed nothing." : `Its last output:\n${said}`}`;
}
