/**
 * Through the inspector into a process and out again, as fast as can be.
 *
 * While the inspector's port is open, every local user could run code in the process, so the one evaluated expression closes it, and whatever goes wrong here, closing it comes first.
 * Must run in the network namespace of the target.
 */
import { setTimeout as wait } from "node:timers/promises";
import { type Refusal, RefusalError, refuse } from "../../../base/refusal.ts";
import type { TcpListener } from "../../../process/proc-format.ts";
import { isAlive, type ProcessInfo } from "../../../process/process.ts";
import { tcpListeners } from "../../../process/sockets.ts";
import { closeInspectorExpression, type EvaluationAnswer } from "./agent-source.ts";
import { checkPort, checkRunning, checkSignal, identifyNodeProcess } from "./checks.ts";
import { findInspector, type InspectorSession, openSession } from "./inspector-client.ts";
import { rehearseInspector } from "./inspector-rehearsal.ts";
import { lockInspectorPort } from "./lock.ts";
import { observeLoop } from "./stillness.ts";

/** Plain JSON, since it may have to travel into another network namespace. */
export interface InjectionRequest {
  readonly pid: number;
  readonly startTicks: string;
  readonly expression: string;
  readonly lockTimeoutMs: number;
  /** For the listener to appear, and again for the expression to be evaluated. */
  readonly answerTimeoutMs: number;
}

export type InjectionResult =
  | { readonly state: "done" /** From the listener being seen to its being gone. */; readonly windowMs: number }
  /** `guardMs`: for so long the process may still open its port when it wakes up, so it must be guarded. */
  | { readonly state: "refused"; readonly refusals: readonly Refusal[]; readonly guardMs: number };

const pollMs = 2;
const portRetryMs = 20;
const closeTimeoutMs = 2000;
/** Longer than any sensible blockage; a guard ends earlier when its process does. */
const guardBlockedMs = 24 * 60 * 60 * 1000;
/** An idle process would have opened its port at once; the guard is for the case that it only seemed idle. */
const guardIdleMs = 30_000;

/** Sends SIGUSR1, evaluates the expression, and waits until the port is closed again. */
export async function inject(request: InjectionRequest): Promise<InjectionResult> {
  try {
    const unlock = await lockInspectorPort(request.lockTimeoutMs);
    try {
      await rehearseInspector();
      const target = await checkAll(request);
      const before = new Set(tcpListeners(target.pid).map((listener) => listener.inode));
      process.kill(target.pid, "SIGUSR1");
      const windowMs = await enter(target, before, request);
      return { state: "done", windowMs };
    } finally {
      unlock();
    }
  } catch (error) {
    if (error instanceof RefusalError) return { state: "refused", refusals: error.refusals, guardMs: guardTime(error) };
    throw error;
  }
}

function guardTime(error: RefusalError): number {
  if (error.refusals.some((refusal) => refusal.code === "target/unresponsive")) return guardBlockedMs;
  return error.refusals.some((refusal) => refusal.code === "target/own-signal-handler") ? guardIdleMs : 0;
}

/** All checks, as late as possible before the signal; a port that another attach is just leaving, or left open when it was ended by force, is waited for. */
async function checkAll(request: InjectionRequest): Promise<ProcessInfo> {
  const begin = performance.now();
  for (;;) {
    const { process: target } = identifyNodeProcess({ pid: request.pid, startTicks: BigInt(request.startTicks) });
    checkRunning(target);
    const options = checkSignal(target);
    try {
      checkPort(target, options);
      return target;
    } catch (error) {
      const code = error instanceof RefusalError ? error.refusals[0]?.code : undefined;
      const patienceMs = code === "target/port-taken" ? 500 : code === "target/inspector-open" ? 2000 : 0;
      if (performance.now() > begin + Math.min(request.lockTimeoutMs, patienceMs)) throw error;
      await wait(portRetryMs);
    }
  }
}

async function enter(target: ProcessInfo, before: ReadonlySet<string>, request: InjectionRequest): Promise<number> {
  const { listener, url, seenAt } = await waitForInspector(target, before, request);
  const session = await openSession(url, request.answerTimeoutMs);
  if (session === undefined) refuseUnresponsive(target, "opened its inspector and does not answer there");
  try {
    const evaluation = session.evaluate(request.expression);
    const closed = waitUntilClosed(target, listener, request.answerTimeoutMs);
    const first = await Promise.race([evaluation, closed]);
    if (typeof first === "boolean") {
      if (!first) refuseUnresponsive(target, "opened its inspector and does not evaluate anything");
      return performance.now() - seenAt;
    }
    await leave(session, target, listener);
    refuseAnswer(
      target,
      "value" in first ? String(first.value) : JSON.stringify({ outcome: "failed", message: first.exception }),
    );
  } finally {
    session.close();
  }
}

/** Waits for a listener that this very process has opened since and that answers as an inspector. */
async function waitForInspector(target: ProcessInfo, before: ReadonlySet<string>, request: InjectionRequest) {
  const until = performance.now() + request.answerTimeoutMs;
  while (performance.now() < until) {
    for (const listener of tcpListeners(target.pid)) {
      if (before.has(listener.inode)) continue;
      const seenAt = performance.now();
      const url = await findInspector(reachable(listener), request.answerTimeoutMs);
      if (url !== undefined) return { listener, url, seenAt };
    }
    if (!isAlive(target.pid, target.startTicks))
      refuse("target/gone", `Process ${target.pid} (${target.comm}) has ended meanwhile.`);
    await wait(pollMs);
  }
  if (observeLoop(target.pid) === "waiting") {
    const message = `Process ${target.pid} (${target.comm}) opened no inspector within ${request.answerTimeoutMs} ms though it is idle: it handles SIGUSR1 itself. Let it start with NODE_OPTIONS=--require of the agent's preload, which needs no signal.`;
    refuse("target/own-signal-handler", message);
  }
  refuseUnresponsive(target, "does not open its inspector");
}

export function reachable({ host, port }: TcpListener): { host: string; port: number } {
  return { host: host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host, port };
}

/** True as soon as the listener is gone, with its process or without. */
async function waitUntilClosed(target: ProcessInfo, listener: TcpListener, timeoutMs: number): Promise<boolean> {
  const until = performance.now() + timeoutMs;
  while (performance.now() < until) {
    if (tcpListeners(target.pid).every((other) => other.inode !== listener.inode)) return true;
    await wait(pollMs);
  }
  return false;
}

/** Closes the inspector by a second expression, when the first answered instead of closing it. */
async function leave(session: InspectorSession, target: ProcessInfo, listener: TcpListener): Promise<void> {
  void session.evaluate(closeInspectorExpression);
  await waitUntilClosed(target, listener, closeTimeoutMs);
}

function refuseAnswer(target: ProcessInfo, text: string): never {
  const answer = JSON.parse(text) as EvaluationAnswer;
  if (answer.outcome === "wrong-process") {
    refuse(
      "target/wrong-process",
      `The inspector that was opened belongs to process ${answer.pid}, not to process ${target.pid}; nothing was changed.`,
    );
  }
  const message = `Process ${target.pid} (${target.comm}) could not take the agent: ${answer.message.slice(0, 2000)}`;
  refuse("target/agent-failed", message);
}

function refuseUnresponsive({ pid, comm }: ProcessInfo, what: string): never {
  refuse(
    "target/unresponsive",
    `Process ${pid} (${comm}) ${what}: its event loop is blocked. Try again when it is less busy; nothing was changed.`,
  );
}
