/**
 * Everything that is checked before a process gets a signal or a connection, each with its own answer.
 *
 * SIGUSR1 ends a process that does not catch it, so the caught-signal mask is the last word whatever the other checks say.
 */
import { readFileSync } from "node:fs";
import { refuse } from "../../../base/refusal.ts";
import { classifyNode } from "../../../process/node-executable.ts";
import { type InspectorOptions, inspectorOptions } from "../../../process/node-options.ts";
import { type ProcessInfo, readEnvironment, readProcess, readStat } from "../../../process/process.ts";
import { findSocketOwner, namespaceTcpListeners, socketInodes } from "../../../process/sockets.ts";
import type { ProcessReference } from "../../engine.ts";

/** Bit n-1 stands for signal n; SIGUSR1 is 10. */
const sigusr1Bit = 0x200n;
/** A process that has had this long and catches no SIGUSR1 will not any more. */
const startupMs = 30_000;
/** USER_HZ, in which proc(5) counts, is 100 on every architecture that Node runs on. */
const ticksPerSecond = 100;

export interface NodeProcess {
  readonly process: ProcessInfo;
  /** Such as `26.10.0`, from the executable's content. */
  readonly version: string;
}

/** The process behind the reference, if it is Node.js and this user may touch it. */
export function identifyNodeProcess(target: ProcessReference): NodeProcess {
  const found = readProcess(target.pid);
  if (found === undefined || found.startTicks !== target.startTicks || found.state === "Z" || found.state === "X") {
    const reused = found !== undefined && found.startTicks !== target.startTicks;
    const message = reused
      ? `Process ${target.pid} has ended, and its id belongs to another process (${found.comm}) now; list the processes again.`
      : `Process ${target.pid} has ended; list the processes again.`;
    refuse("target/gone", message, { reused });
  }
  const user = process.geteuid?.() ?? 0;
  if (user !== 0 && (found.uid.real !== user || found.uid.effective !== user)) {
    refuse(
      "target/not-permitted",
      `Process ${found.pid} (${found.comm}) belongs to user ${found.uid.real}; run the command as that user or as root.`,
    );
  }
  const answer = classifyNode(found);
  if (answer.kind === "other")
    refuse("target/not-node", `Process ${found.pid} (${found.comm}) does not run Node.js. ${answer.reason}`);
  if (answer.kind === "unknown")
    refuse("target/not-permitted", `Process ${found.pid} (${found.comm}) cannot be examined. ${answer.reason}`);
  return { process: found, version: answer.version };
}

/** Refuses when the process stands still and could not answer anything. */
export function checkRunning({ pid, comm, state, tracerPid }: ProcessInfo): void {
  if (tracerPid !== 0) {
    const tracer = readStat(tracerPid)?.comm ?? "?";
    const message = `Process ${pid} (${comm}) is traced by process ${tracerPid} (${tracer}); end that debugger or tracer first.`;
    refuse("target/debugger-attached", message, { tracerPid, tracer });
  }
  if (state === "T" || state === "t") {
    refuse(
      "target/stopped",
      `Process ${pid} (${comm}) is stopped (state ${state}) and answers nothing; continue it first (kill -CONT ${pid}).`,
    );
  }
}

/** Refuses when SIGUSR1 would do anything but open the inspector. */
export function checkSignal(target: ProcessInfo): InspectorOptions {
  const { pid, comm } = target;
  const options = inspectorOptions(target.commandLine, readEnvironment(pid)?.get("NODE_OPTIONS"));
  const way = "let it start with NODE_OPTIONS=--require of the agent's preload, which needs no signal";
  if (options.signalDisabled) {
    refuse(
      "target/inspector-disabled",
      `Process ${pid} (${comm}) runs with --disable-sigusr1, so its inspector cannot be opened; ${way}.`,
    );
  }
  if (options.permissionModel) {
    refuse(
      "target/permission-model",
      `Process ${pid} (${comm}) runs under Node's permission model, which allows no inspector; ${way}.`,
    );
  }
  if (!catchesSignal(target)) {
    if (ageMs(target) < startupMs) {
      refuse(
        "target/starting",
        `Process ${pid} (${comm}) is still starting and would be ended by the signal; try again in a moment.`,
      );
    }
    refuse(
      "target/inspector-disabled",
      `Process ${pid} (${comm}) does not catch SIGUSR1, so its inspector cannot be opened; ${way}.`,
    );
  }
  return options;
}

export function catchesSignal(target: ProcessInfo): boolean {
  return (target.signalsCaught & sigusr1Bit) !== 0n;
}

/** Refuses when the port of the inspector is in use already: by the process itself, or by another of its network namespace. */
export function checkPort({ pid, comm }: ProcessInfo, options: InspectorOptions): void {
  const own = socketInodes(pid);
  const listeners = namespaceTcpListeners(pid).filter(
    (listener) => listener.port === options.port && overlaps(listener.host, options.host),
  );
  if (listeners.some((listener) => own.has(listener.inode)) || (options.inspect && options.port === 0)) {
    const message = `The inspector of process ${pid} (${comm}) is open already; close the debugger that uses it, or start it without --inspect.`;
    refuse("target/inspector-open", message, { port: options.port });
  }
  const other = listeners[0];
  if (other === undefined) return;
  const owner = findSocketOwner(other.inode);
  const who = owner === undefined ? "a process that this user may not see" : `process ${owner.pid} (${owner.comm})`;
  const message = `Port ${options.port}, where process ${pid} (${comm}) would open its inspector, is taken by ${who}; free it first.`;
  refuse("target/port-taken", message, { port: options.port, ...(owner === undefined ? {} : { ownerPid: owner.pid }) });
}

/** Whether both cannot listen at one port: the same address, or one of them stands for all. */
function overlaps(taken: string, wanted: string): boolean {
  const wantedHost = wanted === "localhost" ? "127.0.0.1" : wanted;
  return (
    taken === wantedHost || taken === "0.0.0.0" || taken === "::" || wantedHost === "0.0.0.0" || wantedHost === "::"
  );
}

function ageMs(target: ProcessInfo): number {
  const uptimeSeconds = Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]);
  return uptimeSeconds * 1000 - (Number(target.startTicks) * 1000) / ticksPerSecond;
}
