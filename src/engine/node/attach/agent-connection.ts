/**
 * The client's end of the channel to an agent: JSON lines over a unix socket, each request with a time limit.
 */
import { connect, type Socket } from "node:net";
import { type ErrorCode, errorCodes, RebootlessError } from "../../../base/errors.ts";
import { type RefusalCode, RefusalError, refusalCodes } from "../../../base/refusal.ts";

export interface CallOptions {
  readonly timeoutMs?: number;
}

const lineBytesMax = 64 * 1024 * 1024;
const callTimeoutMs = 30_000;

interface Waiting {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

interface Answer {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: { readonly code?: unknown; readonly message?: unknown; readonly details?: unknown };
}

export class AgentConnection {
  readonly pid: number;
  /** How long the debugging port was open on the way in, in milliseconds; 0 when no port was needed. */
  readonly windowMs: number;
  readonly #socket: Socket;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;
  #chunks: Buffer[] = [];
  #sizeBytes = 0;

  private constructor(socket: Socket, pid: number, windowMs: number) {
    this.#socket = socket;
    this.pid = pid;
    this.windowMs = windowMs;
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
    socket.on("error", (error) => this.#lose(error));
    socket.on("close", () => this.#lose());
  }

  /** Connects, or gives `undefined` when nothing listens there. */
  static open(
    path: string,
    { pid, windowMs }: { pid: number; windowMs: number },
  ): Promise<AgentConnection | undefined> {
    return new Promise((resolve) => {
      const socket = connect({ path });
      socket.once("error", () => resolve(undefined));
      socket.once("connect", () => resolve(new AgentConnection(socket, pid, windowMs)));
    });
  }

  /**
   * Calls a method of the agent and gives its result.
   * Throws what the agent threw, `RefusalError` or `RebootlessError` by its code; `failure/agent-lost` when the process ends or does not answer in `timeoutMs` (30 s unless told).
   */
  call(method: string, params: unknown = {}, { timeoutMs = callTimeoutMs }: CallOptions = {}): Promise<unknown> {
    const id = ++this.#lastId;
    const line = Buffer.from(`${JSON.stringify({ id, method, params })}\n`);
    if (line.length > lineBytesMax) {
      return Promise.reject(
        new RebootlessError("input/too-large", `The request ${method} is larger than ${lineBytesMax} bytes.`),
      );
    }
    if (this.#socket.destroyed) return Promise.reject(this.#lost());
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        const message = `The agent in process ${this.pid} did not answer ${method} within ${timeoutMs} ms; its event loop is blocked.`;
        reject(new RebootlessError("failure/agent-lost", message, { details: { method, timeoutMs } }));
      }, timeoutMs);
      this.#waiting.set(id, { resolve, reject, timer });
      this.#socket.write(line);
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    let rest = chunk;
    for (let end = rest.indexOf(0x0a); end >= 0; end = rest.indexOf(0x0a)) {
      this.#chunks.push(rest.subarray(0, end));
      const line = Buffer.concat(this.#chunks).toString("utf8");
      this.#chunks = [];
      this.#sizeBytes = 0;
      rest = rest.subarray(end + 1);
      this.#settle(line);
    }
    this.#chunks.push(rest);
    this.#sizeBytes += rest.length;
    if (this.#sizeBytes > lineBytesMax) this.#socket.destroy(new Error("the agent's answer is too large"));
  }

  #settle(line: string): void {
    let answer: Answer;
    try {
      answer = JSON.parse(line);
    } catch (error) {
      this.#socket.destroy(error as Error);
      return;
    }
    const waiting = this.#waiting.get(answer.id);
    if (waiting === undefined) return;
    this.#waiting.delete(answer.id);
    clearTimeout(waiting.timer);
    if (answer.error === undefined) waiting.resolve(answer.result);
    else waiting.reject(errorOf(answer.error));
  }

  #lost(cause?: unknown): RebootlessError {
    return new RebootlessError(
      "failure/agent-lost",
      `The agent in process ${this.pid} is gone; the process has ended or closed the connection.`,
      { cause },
    );
  }

  #lose(cause?: unknown): void {
    for (const waiting of this.#waiting.values()) {
      clearTimeout(waiting.timer);
      waiting.reject(this.#lost(cause));
    }
    this.#waiting.clear();
  }
}

function errorOf({ code, message, details }: NonNullable<Answer["error"]>): Error {
  const text = String(message);
  const particulars =
    details !== null && typeof details === "object" ? { details: details as Record<string, unknown> } : {};
  if (refusalCodes.includes(code as RefusalCode))
    return new RefusalError({ code: code as RefusalCode, message: text, ...particulars });
  if (Object.hasOwn(errorCodes, String(code))) return new RebootlessError(code as ErrorCode, text, particulars);
  return new RebootlessError("failure/agent-error", `The agent failed: ${text}`, {
    details: { agentCode: code, ...particulars.details },
  });
}
