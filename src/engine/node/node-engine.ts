/**
 * The engine for Node.js: V8's live edit, led by a plan that was made when the hotpatch was built, carried out by an agent inside the process.
 *
 * Invariant: the target is changed in one turn of its event loop or not at all, and only after a rehearsal with the same Node.js has shown that the change takes effect.
 */
import { statSync } from "node:fs";
import { RebootlessError } from "../../base/errors.ts";
import { refuse } from "../../base/refusal.ts";
import type { Hotpatch } from "../../hotpatch/hotpatch.ts";
import { nodeChangeOf } from "../../hotpatch/manifest.ts";
import { classifyNode } from "../../process/node-executable.ts";
import { type ProcessInfo, readProcess } from "../../process/process.ts";
import type { Engine, Finding, Outcome, PlanPolicy, PlanSummary, ProcessReference, Verdict } from "../engine.ts";
import { isTool, mayLoad } from "../installed-packages.ts";
import type { AgentConnection } from "./attach/agent-connection.ts";
import { loadAgentSource } from "./attach/agent-source.ts";
import { identifyNodeProcess } from "./attach/checks.ts";
import { openAgent, openExistingAgent } from "./attach/open-agent.ts";
import { cautiousModel, modelFromRehearsal, type PauseModel } from "./pause.ts";
import { type RehearsalResult, rehearse } from "./rehearsal.ts";
import { type WireHotpatch, wireHotpatch } from "./wire.ts";

export interface LoadedCopy {
  readonly filename: string;
  readonly path: string;
}

export interface AgentStatus {
  readonly pid: number;
  readonly node: string;
  readonly heapUsedBytes: number;
  readonly argv: readonly string[];
  readonly coversModules: boolean;
  readonly applied: readonly AppliedHotpatch[];
}

export interface AppliedHotpatch {
  readonly id: string;
  readonly digest: string;
  readonly appliedAt: string;
  readonly pauseMs: number;
  readonly copies: readonly LoadedCopy[];
  readonly loadedLater: number;
}

export interface NodeProbe {
  readonly target: ProcessReference;
  readonly command: string;
  readonly node: string;
  readonly heapUsedBytes: number;
  readonly windowMs: number;
  readonly copies: readonly LoadedCopy[];
  readonly mismatched: readonly string[];
  /** Hotpatches in place that change the same files. */
  readonly conflicts: readonly string[];
  readonly alreadyApplied: boolean;
  readonly rehearsal: RehearsalResult | undefined;
}

export interface NodePlan extends PlanSummary {
  /** A sacrificial process has shown that V8 finds the functions again. */
  readonly wasRehearsed: boolean;
  readonly target: ProcessReference;
  readonly node: string;
  readonly heapUsedBytes: number;
  readonly windowMs: number;
  readonly copies: readonly LoadedCopy[];
}

export interface NodeOutcome extends Outcome {
  readonly windowMs: number;
  readonly predictedPauseMs: number;
  readonly heapUsedBytes: number;
  readonly copies: readonly LoadedCopy[];
  readonly findings: readonly Finding[];
}

export interface NodeRevertOutcome extends Outcome {
  /** Files that were loaded while the hotpatch was in place, with the fixed text, and that have it still. */
  readonly keptFixed: readonly string[];
}

/** What the agent answers to `revert`. */
interface Reverted {
  readonly pauseMs: number;
  readonly totalMs: number;
  readonly leftBehind: readonly { readonly name: string }[];
  readonly keptFixed: readonly string[];
}

export interface NodeEngineOptions {
  /** The longest that turning the debugger on may hold the event loop; the same figure as the plan's budget. */
  readonly maxPauseMs: number;
  /** How long to wait for calls of changed functions to end, in milliseconds. */
  readonly waitMs: number;
  readonly rehearse: boolean;
  progress(message: string): void;
}

const ballastMb = 24;
/** For a full collection; half a millisecond was measured on a machine with two cores, and objects may be knottier. */
const collectMsPerMb = 3;

export class NodeEngine implements Engine<NodeProbe, NodePlan> {
  readonly runtime = "node" as const;
  readonly #options: NodeEngineOptions;
  readonly #digest: string;
  /** Rehearsals that went well, by what they went with. */
  readonly #rehearsals = new Map<string, RehearsalResult>();

  /** `digest` is that of the opened hotpatch: what a process says of itself later names it. */
  constructor(options: NodeEngineOptions, digest: string) {
    this.#options = options;
    this.#digest = digest;
  }

  /** By the packages that lie within reach of it: the way in opens the debugging port, which nobody else's process should have. */
  mayLoad(info: ProcessInfo, hotpatch: Hotpatch): boolean {
    const { target } = hotpatch.manifest;
    return this.mayCarry(info) && (target.kind !== "npm" || mayLoad(info, target));
  }

  mayCarry(info: ProcessInfo): boolean {
    return classifyNode(info).kind === "node" && !isTool(info);
  }

  absence(): string {
    return "No process has the package now";
  }

  async probe(target: ProcessReference, hotpatch: Hotpatch): Promise<NodeProbe> {
    const { process: info } = identifyNodeProcess(target);
    const agent = await openAgent(target);
    try {
      const status = (await agent.call("status")) as AgentStatus;
      checkNodeVersion(status.node, hotpatch);
      const { enableMs } = cautiousModel(0).predict(status.heapUsedBytes);
      checkBudget(enableMs, status.heapUsedBytes, this.#options.maxPauseMs);
      const wire = wireHotpatch(hotpatch, this.#digest);
      const looked = (await agent.call("probe", { hotpatch: wire })) as Pick<
        NodeProbe,
        "copies" | "mismatched" | "conflicts" | "heapUsedBytes"
      >;
      const alreadyApplied = status.applied.some(({ id, digest }) => id === wire.id && digest === wire.digest);
      const rehearsal =
        alreadyApplied || looked.copies.length === 0 ? undefined : await this.#rehearse(target, wire, looked.copies);
      const probe = {
        target,
        command: info.commandLine.join(" ").slice(0, 200),
        node: status.node,
        heapUsedBytes: looked.heapUsedBytes,
        windowMs: agent.windowMs,
        copies: looked.copies,
        mismatched: looked.mismatched,
        // An agent that another release of the command put there may not say it.
        conflicts: looked.conflicts ?? [],
        alreadyApplied,
        rehearsal,
      };
      const heapUsedBytes = await this.#withoutGarbage(agent, probe, hotpatch);
      return { ...probe, heapUsedBytes };
    } finally {
      agent.close();
    }
  }

  /**
   * A live edit walks only over what is alive, so that where garbage alone may be what exceeds the budget, the process is asked to collect it.
   * That holds the event loop as well, so it is done only where it fits into the budget with room to spare.
   */
  async #withoutGarbage(agent: AgentConnection, probe: NodeProbe, hotpatch: Hotpatch): Promise<number> {
    const { maxPauseMs } = this.#options;
    const { heapUsedBytes } = probe;
    const { editMs } = modelFor(probe, hotpatch).predict(heapUsedBytes);
    const collectMs = (heapUsedBytes / (1024 * 1024)) * collectMsPerMb;
    if (probe.alreadyApplied || editMs <= maxPauseMs || collectMs > maxPauseMs) return heapUsedBytes;
    return (await agent.call("collectGarbage")) as number;
  }

  /** Once for all processes of one Node.js, one user and the same files: what is the same in all of them is what a rehearsal shows. */
  async #rehearse(
    target: ProcessReference,
    hotpatch: WireHotpatch,
    copies: readonly LoadedCopy[],
  ): Promise<RehearsalResult | undefined> {
    const info = readProcess(target.pid);
    if (!this.#options.rehearse || info === undefined) return undefined;
    const program = statSync(`/proc/${target.pid}/exe`, { throwIfNoEntry: false });
    const paths = copies.map(({ path }) => path).sort();
    const key = JSON.stringify([program?.dev, program?.ino, program?.mtimeMs, info.uid.effective, paths]);
    const known = program === undefined ? undefined : this.#rehearsals.get(key);
    if (known !== undefined) return known;
    this.#options.progress(`Rehearsing with the Node.js of process ${target.pid}`);
    const result = await this.#rehearseNow(info, hotpatch, copies);
    if (result.applied) this.#rehearsals.set(key, result);
    return result;
  }

  /** In a process of the target's own Node.js and user, with the very files that it has loaded. */
  async #rehearseNow(
    info: ProcessInfo,
    hotpatch: WireHotpatch,
    copies: readonly LoadedCopy[],
  ): Promise<RehearsalResult> {
    const paths = new Set(copies.map(({ path }) => path));
    const formats = new Map(hotpatch.files.map(({ path, format }) => [path, format]));
    const sameRoot = info.root === "/" && info.namespaces.mount === readProcess(process.pid)?.namespaces.mount;
    const isOwn = info.uid.effective === process.geteuid?.();
    return await rehearse(
      {
        hotpatch: { ...hotpatch, files: hotpatch.files.filter(({ path }) => paths.has(path)) },
        base: "/",
        entries: [],
        files: copies.map(({ filename, path }) => ({
          filename: sameRoot ? filename : `/proc/${info.pid}/root${filename}`,
          path,
          format: formats.get(path) ?? "commonjs",
        })),
        ballastMb,
      },
      {
        nodePath: `/proc/${info.pid}/exe`,
        ...(isOwn ? {} : { user: { uid: info.uid.effective, gid: info.gid.effective } }),
      },
    );
  }

  plan(probe: NodeProbe, hotpatch: Hotpatch, { maxPauseMs }: PlanPolicy): NodePlan {
    if (!probe.alreadyApplied) checkCopies(probe, hotpatch);
    const { enableMs, editMs } = modelFor(probe, hotpatch).predict(probe.heapUsedBytes);
    const predictedPauseMs = probe.alreadyApplied ? 0 : Math.max(enableMs, editMs);
    checkBudget(predictedPauseMs, probe.heapUsedBytes, maxPauseMs);
    return {
      target: probe.target,
      process: { pid: probe.target.pid, description: probe.command },
      node: probe.node,
      heapUsedBytes: probe.heapUsedBytes,
      windowMs: probe.windowMs,
      copies: probe.copies,
      isInPlace: probe.alreadyApplied,
      wasRehearsed: probe.rehearsal?.applied === true,
      predictedPauseMs,
      steps: probe.alreadyApplied ? ["nothing to do: the hotpatch is in place"] : describeSteps(probe, hotpatch),
    };
  }

  async apply(plan: NodePlan, hotpatch: Hotpatch): Promise<NodeOutcome> {
    const common = {
      pid: plan.target.pid,
      hotpatchId: hotpatch.manifest.id,
      windowMs: plan.windowMs,
      predictedPauseMs: plan.predictedPauseMs,
      heapUsedBytes: plan.heapUsedBytes,
    };
    const agent = await openAgent(plan.target);
    try {
      if (plan.isInPlace) {
        const verdict = (await agent.call("verify", { id: common.hotpatchId })) as {
          state: string;
          findings: Finding[];
        };
        if (verdict.state !== "in-place")
          throw new RebootlessError(
            "failure/verify",
            `${common.hotpatchId} was applied to process ${common.pid} before, but is not in place as a whole; revert it and apply it again.`,
          );
        return {
          ...common,
          state: "unchanged",
          pauseMs: 0,
          totalMs: 0,
          copies: plan.copies,
          findings: verdict.findings,
        };
      }
      const { waitMs } = this.#options;
      const wire = wireHotpatch(hotpatch, this.#digest);
      const done = (await agent.call(
        "apply",
        {
          hotpatch: wire,
          waitMs,
          agentText: loadAgentSource().text,
          planned: plan.copies,
          wasRehearsed: plan.wasRehearsed,
          maxPauseMs: this.#options.maxPauseMs,
        },
        { timeoutMs: waitMs + 60_000 },
      )) as NodeOutcome;
      return {
        ...common,
        state: "applied",
        pauseMs: done.pauseMs,
        totalMs: done.totalMs,
        copies: done.copies,
        findings: done.findings,
      };
    } finally {
      agent.close();
    }
  }

  async verify(target: ProcessReference, hotpatch: Hotpatch): Promise<Verdict> {
    const { id } = hotpatch.manifest;
    const verdict = await this.#withExisting(
      target,
      async (agent) =>
        (await agent.call("verify", { id, digest: this.#digest })) as Pick<Verdict, "state" | "findings">,
    );
    return { pid: target.pid, hotpatchId: id, state: verdict?.state ?? "absent", findings: verdict?.findings ?? [] };
  }

  async revert(target: ProcessReference, hotpatch: Hotpatch): Promise<NodeRevertOutcome> {
    const { id } = hotpatch.manifest;
    const { waitMs } = this.#options;
    const done = await this.#withExisting(target, async (agent) => {
      const answer = await agent.call("revert", { id, waitMs }, { timeoutMs: waitMs + 60_000 });
      return answer as Reverted;
    });
    if (done === undefined)
      refuse("target/not-applied", `${id} is not in place in process ${target.pid}.`, { pid: target.pid });
    if (done.leftBehind.length > 0) {
      throw new RebootlessError(
        "failure/revert",
        `Process ${target.pid} keeps the new code of ${done.leftBehind.map(({ name }) => name).join(", ")}; restart it to have the old code again.`,
      );
    }
    const { pauseMs, totalMs, keptFixed } = done;
    return { pid: target.pid, hotpatchId: id, state: "reverted", pauseMs, totalMs, keptFixed };
  }

  /** Without an agent nothing was ever applied, so none is put in. */
  async #withExisting<T>(
    target: ProcessReference,
    use: (agent: AgentConnection) => Promise<T>,
  ): Promise<T | undefined> {
    identifyNodeProcess(target);
    const agent = await openExistingAgent(target);
    if (agent === undefined) return undefined;
    try {
      return await use(agent);
    } finally {
      agent.close();
    }
  }
}

function checkNodeVersion(version: string, { manifest }: Hotpatch): void {
  const minimum = /^>=(\d+)/.exec(manifest.requirements.node ?? "")?.[1] ?? "20";
  if (Number.parseInt(version, 10) >= Number(minimum)) return;
  refuse(
    "target/node-version",
    `The process runs Node.js ${version}; ${manifest.id} needs ${manifest.requirements.node ?? ">=20"}.`,
  );
}

function checkBudget(predictedMs: number, heapUsedBytes: number, maxPauseMs: number): void {
  if (predictedMs <= maxPauseMs) return;
  const predicted = Math.ceil(predictedMs);
  const heapMb = Math.round(heapUsedBytes / (1024 * 1024));
  refuse(
    "plan/pause-over-budget",
    `The event loop would stand still for about ${predicted} ms (heap: ${heapMb} MB), more than the ${maxPauseMs} ms allowed; allow more with --max-pause ${predicted}, or apply it at a quieter time.`,
    { predictedPauseMs: predicted, maxPauseMs, heapUsedBytes },
  );
}

function checkCopies({ copies, mismatched, conflicts, target, rehearsal }: NodeProbe, { manifest }: Hotpatch): void {
  if (conflicts.length > 0) {
    const [conflict] = conflicts;
    const what =
      conflict === manifest.id ? `another build of ${conflict}` : `${conflict}, which changes the same files`;
    refuse("target/conflicting-hotpatch", `Process ${target.pid} carries ${what}; take that out first.`, { conflicts });
  }
  if (mismatched.length > 0) {
    refuse(
      "target/version-mismatch",
      `Process ${target.pid} has loaded files that are neither the old nor the fixed version: ${mismatched.slice(0, 3).join(", ")}.`,
      { mismatched },
    );
  }
  if (copies.length === 0) {
    const what =
      manifest.target.kind === "npm" ? `${manifest.target.name}@${manifest.target.version}` : manifest.target.name;
    refuse(
      "target/package-absent",
      `Process ${target.pid} has loaded no file that ${manifest.id} changes; it is for ${what}, recognised by content.`,
    );
  }
  const loaded = new Set(copies.map(({ path }) => path));
  const gap = nodeChangeOf(manifest).files.find(({ path, unreachable }) => loaded.has(path) && unreachable.length > 0);
  const [first] = gap?.unreachable ?? [];
  if (gap && first)
    refuse(
      "plan/no-way",
      `${gap.path}: ${first.name}: ${first.reason}. Process ${target.pid} has loaded this file; restart it on the fixed version.`,
    );
  if (rehearsal?.applied === false) {
    refuse(
      "plan/rehearsal",
      `The rehearsal in a sacrificial process of Node.js ${rehearsal.node} failed: ${rehearsal.fault?.message}`,
    );
  }
  if ((rehearsal?.leftBehind.length ?? 0) > 0) {
    refuse(
      "plan/rehearsal",
      `The rehearsal with Node.js ${rehearsal?.node} could not take back ${rehearsal?.leftBehind.map(({ name }) => name).join(", ")}.`,
    );
  }
}

function modelFor({ rehearsal, copies }: NodeProbe, { manifest }: Hotpatch): PauseModel {
  if (rehearsal?.applied && rehearsal.heavier) return modelFromRehearsal(rehearsal, rehearsal.heavier);
  const loaded = new Set(copies.map(({ path }) => path));
  return cautiousModel(
    nodeChangeOf(manifest).files.filter(({ path, live }) => loaded.has(path) && live !== undefined).length,
  );
}

function describeSteps({ copies }: NodeProbe, { manifest }: Hotpatch): string[] {
  return copies.map(({ filename, path }) => {
    const file = nodeChangeOf(manifest).files.find((candidate) => candidate.path === path);
    const names = file?.functions.map(({ name }) => name) ?? [];
    const parts = [
      ...(names.length > 0
        ? [`live edit of ${names.slice(0, 6).join(", ")}${names.length > 6 ? ` and ${names.length - 6} more` : ""}`]
        : []),
      ...(file?.delta === undefined ? [] : ["values and bindings"]),
    ];
    return `${filename}: ${parts.join("; ")}`;
  });
}
