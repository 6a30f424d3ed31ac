/**
 * The way into a running Node.js process: to the agent that is there already, or through the inspector for the blink of an eye.
 */
import { setTimeout as wait } from "node:timers/promises";
import { RebootlessError } from "../../../base/errors.ts";
import { RefusalError, refuse } from "../../../base/refusal.ts";
import { isAlive, type ProcessInfo } from "../../../process/process.ts";
import type { ProcessReference } from "../../engine.ts";
import { AgentConnection } from "./agent-connection.ts";
import { openAgentSocket } from "./agent-socket.ts";
import { type AgentSource, attachExpression, loadAgentSource } from "./agent-source.ts";
import { checkRunning, identifyNodeProcess } from "./checks.ts";
import { injectInNamespace } from "./namespace.ts";

export interface OpenAgentOptions {
  readonly agentSource?: AgentSource;
  /** For each wait on the way in: for the port, for the evaluation, for the agent's first answer. */
  readonly answerTimeoutMs?: number;
  /** How long to wait for another attach in the same network namespace. */
  readonly lockTimeoutMs?: number;
}

/** What an agent says of itself. */
interface Hello {
  readonly protocol: number;
  readonly pid: number;
  readonly failure?: { readonly message: string };
}

const protocol = 1;
const pollMs = 2;

/**
 * Connects to the agent in the process and puts it there when there is none.
 * Throws `RefusalError` (codes `target/…`) when the process cannot or must not be entered; it is unharmed then.
 */
export async function openAgent(target: ProcessReference, options: OpenAgentOptions = {}): Promise<AgentConnection> {
  const { answerTimeoutMs = 5000, lockTimeoutMs = 10_000 } = options;
  const { process: found } = identifyNodeProcess(target);
  checkRunning(found);
  const existing = await connectToAgent(found, 0);
  if (existing !== undefined) return await greet(existing, found, answerTimeoutMs);
  const ownPid = found.namespacePids.at(-1) ?? found.pid;
  const result = await injectInNamespace(found, {
    pid: found.pid,
    startTicks: String(found.startTicks),
    expression: attachExpression(options.agentSource ?? loadAgentSource(), ownPid),
    lockTimeoutMs,
    answerTimeoutMs,
  });
  if (result.state === "refused") throw new RefusalError(result.refusals);
  return await greet(await waitForAgent(found, result.windowMs, answerTimeoutMs), found, answerTimeoutMs);
}

/** Connects to an agent that is there already and does nothing else: no signal, no port; `undefined` when there is none. */
export async function openExistingAgent(
  target: ProcessReference,
  options: OpenAgentOptions = {},
): Promise<AgentConnection | undefined> {
  const { process: found } = identifyNodeProcess(target);
  checkRunning(found);
  const existing = await connectToAgent(found, 0);
  return existing === undefined ? undefined : await greet(existing, found, options.answerTimeoutMs ?? 5000);
}

async function connectToAgent(target: ProcessInfo, windowMs: number): Promise<AgentConnection | undefined> {
  const socket = openAgentSocket(target);
  if (socket === undefined) return undefined;
  try {
    return await AgentConnection.open(socket.path, { pid: target.pid, windowMs });
  } finally {
    socket.release();
  }
}

/** The agent starts in the next free turn of the event loop, so a busy process takes its time. */
async function waitForAgent(target: ProcessInfo, windowMs: number, timeoutMs: number): Promise<AgentConnection> {
  const until = performance.now() + timeoutMs;
  while (performance.now() < until) {
    const connection = await connectToAgent(target, windowMs);
    if (connection !== undefined) return connection;
    if (!isAlive(target.pid, target.startTicks))
      refuse("target/gone", `Process ${target.pid} (${target.comm}) has ended meanwhile.`);
    await wait(pollMs);
  }
  refuseBlocked(target, timeoutMs);
}

/** Checks that the right process answers, in time, and that its agent is whole. */
async function greet(connection: AgentConnection, target: ProcessInfo, timeoutMs: number): Promise<AgentConnection> {
  try {
    const hello = (await connection.call("channel.hello", {}, { timeoutMs })) as Hello;
    const ownPid = target.namespacePids.at(-1) ?? target.pid;
    if (hello.pid !== ownPid) {
      refuse(
        "target/wrong-process",
        `The agent that answers is in process ${hello.pid}, not in process ${ownPid}; nothing was changed.`,
      );
    }
    if (hello.protocol !== protocol) {
      refuse(
        "target/agent-failed",
        `The agent in process ${target.pid} speaks protocol ${hello.protocol}, this command ${protocol}; use the command that put it there.`,
      );
    }
    if (hello.failure !== undefined) {
      refuse("target/agent-failed", `The agent in process ${target.pid} could not start: ${hello.failure.message}`);
    }
    return connection;
  } catch (error) {
    connection.close();
    if (error instanceof RebootlessError && error.code === "failure/agent-lost") {
      if (!isAlive(target.pid, target.startTicks))
        refuse("target/gone", `Process ${target.pid} (${target.comm}) has ended meanwhile.`);
      refuseBlocked(target, timeoutMs);
    }
    throw error;
  }
}

function refuseBlocked({ pid, comm }: ProcessInfo, timeoutMs: number): never {
  const message = `Process ${pid} (${comm}) does not answer within ${timeoutMs} ms: its event loop is blocked. Try again when it is less busy; its inspector is closed.`;
  refuse("target/unresponsive", message);
}
