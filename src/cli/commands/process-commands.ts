/**
 * `apply`, `verify` and `revert`: the commands that act on running processes, each alone, with no server and no agent service.
 */
import { RebootlessError } from "../../base/errors.ts";
import { printable } from "../../base/printable.ts";
import type { Refusal } from "../../base/refusal.ts";
import type { AnyEngine, Finding, Outcome, Verdict } from "../../engine/engine.ts";
import { engineFor } from "../../engine/engines.ts";
import type { LinuxOutcome } from "../../engine/linux/linux-engine.ts";
import type { LinuxPlan } from "../../engine/linux/linux-plan.ts";
import type { NodeOutcome, NodePlan, NodeRevertOutcome } from "../../engine/node/node-engine.ts";
import type { Failure } from "../../engine/sweep.ts";
import type { OpenedHotpatch } from "../../hotpatch/open-hotpatch.ts";
import type { CommandInput, CommandIo, CommandOption, CommandResult, CommandSpec } from "../command.ts";
import { trustDirectoryOption } from "./key.ts";
import { openHotpatchFile } from "./open-file.ts";
import { checkTargetOptions, eachTarget, findTargets, type Swept, targetOptions } from "./targets.ts";

const fileArgument = { name: "<file>", description: "the hotpatch" };
const openOptions: readonly CommandOption[] = [
  trustDirectoryOption,
  {
    flags: "--allow-unsigned",
    description: "take a hotpatch that no trusted key has signed (for its author, at his own desk)",
  },
];
const waitOption: CommandOption = {
  flags: "--wait <seconds>",
  description: "how long to wait for calls of changed functions to end",
  default: "10",
};

export const applyCommand: CommandSpec = {
  name: "apply",
  summary: "put a hotpatch into running processes",
  description:
    "Changes the code in the memory of running processes, Node.js or native; nothing on disk is touched, no connection is dropped.\nAll that the hotpatch changes takes effect at one instant, or nothing does.",
  arguments: [fileArgument],
  options: [
    ...targetOptions,
    {
      flags: "--max-pause <ms>",
      description: "refuse when the process would stand still longer than this",
      default: "250",
    },
    { flags: "--dry-run", description: "show the plan and change nothing" },
    {
      flags: "--force-immediate",
      description:
        "native programs: do not wait for calls of changed functions to end; old and new code may then work side by side",
    },
    { flags: "--no-rehearsal", description: "do without the sacrificial process that tries the hotpatch first" },
    waitOption,
    ...openOptions,
  ],
  examples: [
    { command: "rebootless apply lodash.hotpatch --pid 4711", what: "close the hole in process 4711" },
    {
      command: "rebootless apply lodash.hotpatch --all --dry-run",
      what: "see which processes it would change, and for how long they would pause",
    },
  ],
  run: apply,
};

export const verifyCommand: CommandSpec = {
  name: "verify",
  summary: "prove from a process's memory whether a hotpatch is in place",
  arguments: [fileArgument],
  options: [...targetOptions, ...openOptions],
  examples: [
    { command: "rebootless verify lodash.hotpatch --pid 4711", what: "compare the live functions with the hotpatch" },
  ],
  run: verify,
};

export const revertCommand: CommandSpec = {
  name: "revert",
  summary: "take a hotpatch out of running processes",
  arguments: [fileArgument],
  options: [...targetOptions, waitOption, ...openOptions],
  examples: [
    { command: "rebootless revert lodash.hotpatch --pid 4711", what: "bring back the former code and values" },
  ],
  run: revert,
};

interface Prepared {
  readonly opened: OpenedHotpatch;
  readonly engine: AnyEngine;
  readonly maxPauseMs: number;
}

/** What the two engines give; which it is shows by its fields. */
type AnyPlan = NodePlan | LinuxPlan;
type AnyOutcome = NodeOutcome | LinuxOutcome;

async function prepare(input: CommandInput, io: CommandIo): Promise<Prepared> {
  const { options } = input;
  checkTargetOptions(input);
  const maxPauseMs = positive(options.maxPause ?? "250", "--max-pause");
  const waitMs = positive(options.wait ?? "10", "--wait") * 1000;
  const opened = await openHotpatchFile(
    input.arguments[0] as string,
    { trustDirectory: options.trustDir as string | undefined, allowUnsigned: options.allowUnsigned === true },
    io,
  );
  const rehearse = options.rehearsal !== false && options.noRehearsal !== true;
  const { manifest } = opened.hotpatch;
  const forceImmediate = options.forceImmediate === true;
  if (forceImmediate) checkForce(opened, io);
  const given = { maxPauseMs, waitMs, rehearse, progress: io.progress, forceImmediate };
  const engine = engineFor(manifest, given, opened.digest);
  return { opened, engine, maxPauseMs };
}

function checkForce({ hotpatch: { manifest } }: OpenedHotpatch, io: CommandIo): void {
  if (manifest.elf === undefined)
    throw new RebootlessError("usage/arguments", "--force-immediate is for hotpatches of native programs.");
  io.warn(
    "--force-immediate: threads inside a changed function finish it with the old code while others run the new one. If the two do not go together, the process may fail. It is written into the process that it was forced.",
  );
}

function positive(value: unknown, option: string): number {
  const number = Number(value);
  if (Number.isFinite(number) && number >= 0 && number <= 86_400_000) return number;
  throw new RebootlessError("usage/arguments", `${option} takes a number of at least 0, not ${JSON.stringify(value)}.`);
}

async function apply(input: CommandInput, io: CommandIo): Promise<CommandResult> {
  const { opened, engine, maxPauseMs } = await prepare(input, io);
  const targets = findTargets(input, engine, opened.hotpatch);
  const { hotpatch } = opened;
  const isDryRun = input.options.dryRun === true;
  const swept = await eachTarget(targets, async (target) => {
    io.progress(`Looking into process ${target.pid}`);
    const plan = engine.plan(await engine.probe(target, hotpatch), hotpatch, { maxPauseMs });
    if (isDryRun) return plan;
    io.progress(`Applying to process ${target.pid} (predicted pause: ${milliseconds(plan.predictedPauseMs)})`);
    return await engine.apply(plan, hotpatch);
  });
  if (isDryRun) return finish(swept, plansResult(opened, swept.results as readonly AnyPlan[]));
  return finish(swept, outcomesResult(opened, swept.results as readonly AnyOutcome[]));
}

async function verify(input: CommandInput, io: CommandIo): Promise<CommandResult> {
  const { opened, engine } = await prepare(input, io);
  const targets = findTargets(input, engine, opened.hotpatch);
  const swept = await eachTarget(targets, (target) => engine.verify(target, opened.hotpatch));
  const verdicts = targets.isSweep ? swept.results.filter(({ state }) => state !== "absent") : swept.results;
  const text = verdicts.map(describeVerdict).join("\n") || "No process has it.";
  const isBad = verdicts.some(({ state }) => state !== "in-place");
  return finish(swept, { data: { hotpatch: nameOf(opened), verdicts }, text, exitCode: isBad ? 1 : 0 });
}

async function revert(input: CommandInput, io: CommandIo): Promise<CommandResult> {
  const { opened, engine } = await prepare(input, io);
  const targets = findTargets(input, engine, opened.hotpatch);
  const swept = await eachTarget(targets, async (target) => {
    io.progress(`Taking it out of process ${target.pid}`);
    return (await engine.revert(target, opened.hotpatch)) as NodeRevertOutcome | LinuxOutcome;
  });
  const { results } = swept;
  const what = engine.runtime === "linux" ? "it" : "the event loop";
  const lines = results.map(({ pid, pauseMs }) => `${pid}: reverted; ${what} stood still for ${milliseconds(pauseMs)}`);
  for (const outcome of results)
    if ("keptFixed" in outcome && outcome.keptFixed.length > 0) io.warn(keptWarning(outcome.pid, outcome.keptFixed));
  return finish(swept, { data: { hotpatch: nameOf(opened), outcomes: results }, text: lines.join("\n") });
}

/** Adds what was refused and what went wrong; either decides the exit code, although other processes were served. */
function finish({ refused, failed }: Swept<unknown>, result: CommandResult): CommandResult {
  const lines = [
    ...refused.map((entry) => describeOther("refused", entry)),
    ...failed.map((entry) => describeOther("failed", entry)),
  ];
  const text = [...(result.text ? [result.text] : []), ...lines].join("\n");
  return {
    ...result,
    data: { ...(result.data as object), refused, failed },
    text,
    ...(failed.length > 0 ? { exitCode: 1 } : refused.length > 0 ? { exitCode: result.exitCode || 3 } : {}),
  };
}

function describeOther(word: string, { message, details }: Refusal | Failure): string {
  return `${details?.pid ?? ""}: ${word}: ${message}`;
}

function keptWarning(pid: number, files: readonly string[]): string {
  const more = files.length > 3 ? ` and ${files.length - 3} more` : "";
  return `Process ${pid} loaded ${files.slice(0, 3).join(", ")}${more} while the hotpatch was in place; they stay fixed until the process restarts.`;
}

function nameOf({ hotpatch, digest }: OpenedHotpatch): { id: string; digest: string } {
  return { id: hotpatch.manifest.id, digest };
}

function plansResult(opened: OpenedHotpatch, plans: readonly AnyPlan[]): CommandResult {
  const data = plans.map((plan) => ("areas" in plan ? nativePlanData(plan) : nodePlanData(plan)));
  const lines = plans.flatMap((plan) => [
    `${plan.process.pid}: ${plan.process.description}`,
    `  ${"areas" in plan ? count(plan.threads, "thread") : `Node.js ${plan.node}, heap ${Math.round(plan.heapUsedBytes / 1e6)} MB`}, predicted pause ${milliseconds(plan.predictedPauseMs)}`,
    ...plan.steps.map((step) => `  ${step}`),
  ]);
  return {
    data: { hotpatch: nameOf(opened), plans: data },
    text: ["Nothing was changed. The plan:", ...lines].join("\n"),
  };
}

function nodePlanData({ target, ...plan }: NodePlan): object {
  return { ...plan, pid: target.pid };
}

/** Without the bytes of patch memory; those are in the process once it is applied. */
function nativePlanData(whole: LinuxPlan): object {
  const { target, gadgets: _gadgets, record: _record, leftovers, superseded, areas, ...plan } = whole;
  return {
    ...plan,
    pid: target.pid,
    areas: areas.map(({ kind, address, sizeBytes }) => ({ kind, address, sizeBytes })),
    leftovers: leftovers.length,
    superseded: superseded.map(({ id }) => id),
  };
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}

function outcomesResult(opened: OpenedHotpatch, outcomes: readonly AnyOutcome[]): CommandResult {
  const lines = outcomes.flatMap((outcome) =>
    "findings" in outcome
      ? [describeOutcome(outcome), ...outcome.findings.slice(0, 20).map(describeFinding)]
      : [describeNativeOutcome(outcome)],
  );
  const { elf } = opened.hotpatch.manifest;
  const notes = outcomes.some(({ state }) => state === "applied") ? (elf?.notices ?? []) : [];
  const text = [...lines, ...notes.map((notice) => `Note: ${printable(notice)}`)].join("\n");
  return { data: { hotpatch: nameOf(opened), outcomes, notices: notes }, text };
}

function describeOutcome({ pid, state, pauseMs, predictedPauseMs, windowMs, copies }: NodeOutcome & Outcome): string {
  if (state === "unchanged") return `${pid}: the hotpatch is in place already`;
  const port = windowMs > 0 ? `; the debugging port was open for ${milliseconds(windowMs)}` : "";
  const count = `${copies.length} loaded file${copies.length === 1 ? "" : "s"}`;
  return `${pid}: applied to ${count}; the event loop stood still for ${milliseconds(pauseMs)} (predicted: ${milliseconds(predictedPauseMs)})${port}`;
}

function describeNativeOutcome(outcome: LinuxOutcome): string {
  const { pid, state, pauseMs, threads, functions, tries, superseded = [], forced = false, actions = [] } = outcome;
  if (state === "unchanged") return `${pid}: the hotpatch is in place already`;
  const again = tries > 1 ? ` after ${tries} tries, since a thread was inside one of them` : "";
  const instead = superseded.length > 0 ? ` in place of ${superseded.join(", ")}` : "";
  const how = forced ? ", forced: threads may still be inside the old code" : "";
  const words = { done: "Done", asked: "To do", left: "Not done" } as const;
  return [
    `${pid}: applied to ${count(functions, "function")}${instead}${again}; ${count(threads, "thread")} stood still for ${milliseconds(pauseMs)}${how}`,
    ...actions.map((action) => `  ${words[action.state]}: ${action.text}`),
  ].join("\n");
}

function describeVerdict({ pid, state, findings }: Verdict): string {
  const count = findings.filter((finding) => finding.state === "proven").length;
  const proof = `in place; ${count} of ${findings.length} findings proven`;
  const word = state === "in-place" ? proof : state;
  return [`${pid}: ${word}`, ...findings.map(describeFinding)].join("\n");
}

const findingMarks = { proven: "ok ", unproven: " ? ", broken: "BAD" } as const;

function describeFinding({ subject, state, evidence }: Finding): string {
  return `  ${findingMarks[state]} ${subject}: ${evidence}`;
}

function milliseconds(value: number): string {
  return `${value < 1 ? value.toFixed(2) : value < 10 ? value.toFixed(1) : value.toFixed(0)} ms`;
}
