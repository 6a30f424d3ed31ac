/**
 * The hotpatch goes the whole way: approved on the server, fetched, applied and verified by the agent; taken back, and offered again.
 *
 * The words of the administrator are commands as he would type them; the server is asked by its routes how far it is.
 */
import { setTimeout as wait } from "node:timers/promises";
import type { Action, ActionState } from "../../src/api/schemas/actions.ts";
import type { Event } from "../../src/api/schemas/events.ts";
import { ask } from "../../src/cli/server-client.ts";
import { attack, holeState } from "../attack.ts";
import { hold, type Stage, StoryError } from "./stage.ts";
import { grouped, milliseconds } from "./teller.ts";

const pollMs = 30;
const patienceMs = 120_000;
const eventsMax = 200;
/** As many answers after a change as a percentile needs. */
const enoughRequests = 120;

/** What an action's states mean to a reader, in the order in which it passes through them. */
const milestones: Readonly<Partial<Record<ActionState, string>>> = {
  offered: "offered to this machine",
  fetching: "the agent begins",
  fetched: "fetched, and verified by TUF and by the author's signature",
  planned: "planned",
  applying: "goes into the process",
  applied: "applied",
  verifying: "is looked for in memory",
  verified: "verified",
};

/** Has the hole closed through the server; after an earlier start, by the approval that was given then. */
export async function approve(stage: Stage): Promise<void> {
  const { teller, commandLine, client, figures } = stage;
  stage.enterStep("approve");
  await client.enterPhase("apply");
  const startedMs = Date.now();
  const { hotpatchId } = ids(stage);
  const approvals = await ask(stage.state.server, "listApprovals", { query: {} });
  if (approvals.items.some((approval) => approval.hotpatchId === hotpatchId)) {
    await closedByEarlierApproval(stage, startedMs);
    return;
  }
  const after = await lastSequence(stage);
  await commandLine.run("approval", "add", hotpatchId, "--group", "all", "--state", "server");
  const action = await reached(stage, "verified", startedMs);
  await told(stage, action, { when: "apply", next: "patched", startedMs });
  figures.timeline.push(...timelineOf(await eventsAfter(stage, after), action, stage.publishedAt ?? startedMs));
  teller.say("From the catalog to the proof:");
  teller.table([
    ["", "at", "after"],
    ...figures.timeline.map(({ what, at, afterMs }) => [what, at.slice(11, 23), milliseconds(afterMs)]),
  ]);
}

/** The service is new, and the agent knows from before what to do with it. */
async function closedByEarlierApproval(stage: Stage, startedMs: number): Promise<void> {
  const { teller, service, client, figures } = stage;
  const action = await actionOf(stage);
  if (action !== undefined && action.state !== "verified") {
    await changeBy(stage, "offer", { when: "apply", next: "patched" });
    return;
  }
  const end = performance.now() + patienceMs;
  while (holeState(await service.send(attack)) === "open") {
    if (performance.now() > end)
      throw new StoryError("The agent did not close the hole, though its hotpatch is approved.");
    await wait(pollMs);
  }
  const totalMs = Date.now() - startedMs;
  await client.enterPhase("patched");
  figures.changes.push({ when: "apply", state: "applied", pid: service.pid, pauseMs: null, totalMs });
  teller.good(
    `The hotpatch was approved at an earlier start, so the agent put it into PID ${service.pid} by itself within ${milliseconds(totalMs)}.`,
  );
  await enough(stage, "patched");
}

export async function takeBack(stage: Stage): Promise<void> {
  await changeBy(stage, "revert", { when: "revert", next: "reverted" });
}

export async function offerAgain(stage: Stage): Promise<void> {
  await changeBy(stage, "offer", { when: "apply again", next: "patched again" });
}

interface Change {
  /** The phase of the client in which it happens, and the one that follows. */
  readonly when: string;
  readonly next: string;
}

async function changeBy(stage: Stage, verb: "revert" | "offer", change: Change): Promise<void> {
  const { commandLine, client } = stage;
  stage.enterStep(change.when);
  await client.enterPhase(change.when);
  const action = await actionOf(stage);
  hold(action !== undefined, "The server knows of no action for this machine.");
  const startedMs = Date.now();
  await commandLine.run("action", verb, action.id, "--state", "server");
  const done = await reached(stage, verb === "offer" ? "verified" : "reverted", startedMs);
  await told(stage, done, { ...change, startedMs });
}

/** Tells of a change that is done, with what the client saw of it. */
async function told(stage: Stage, action: Action, change: Change & { startedMs: number }): Promise<void> {
  const { teller, service, client, figures } = stage;
  const { when, next, startedMs } = change;
  await client.enterPhase(next);
  const outcome = action.processes.find(({ pid }) => pid === service.pid);
  hold(outcome !== undefined, `The agent says nothing of PID ${service.pid}.`);
  const totalMs = Date.now() - startedMs;
  const state = action.state === "reverted" ? "reverted" : "applied";
  const pauseMs = outcome.pauseMs ?? null;
  figures.changes.push({ when, state, pid: service.pid, pauseMs, totalMs });
  const { phases } = await enough(stage, next);
  const { requests = 0, p99Ms = 0, maxMs = 0 } = phases[when] ?? {};
  const still = pauseMs === null ? "" : `; its event loop stood still for ${milliseconds(pauseMs)} at the longest`;
  if (action.state === "refused") teller.say(`Another process stands in the way of the whole: ${action.reason}`);
  teller.say(`PID ${service.pid} is ${outcome.state}${still}, ${milliseconds(totalMs)} after the word was given.`);
  teller.say(
    `${grouped(requests)} requests came in meanwhile: none failed, p99 ${milliseconds(p99Ms)}, the slowest ${milliseconds(maxMs)}.`,
  );
}

async function enough({ client }: Stage, phase: string) {
  const report = await client.untilAnswered(phase, enoughRequests);
  hold(report.failed === 0, `${report.failed} requests failed: ${report.failures.join("; ")}`);
  return report;
}

function ids({ figures }: Stage): { hotpatchId: string; deviceId: string } {
  return { hotpatchId: figures.hotpatch?.id ?? "", deviceId: figures.agent?.deviceId ?? "" };
}

async function actionOf(stage: Stage): Promise<Action | undefined> {
  const { items } = await ask(stage.state.server, "listActions", { query: ids(stage) });
  return items[0];
}

/** Waits until the action is in the state, and has entered it since. */
async function reached(stage: Stage, wanted: ActionState, sinceMs: number): Promise<Action> {
  const end = performance.now() + patienceMs;
  for (;;) {
    const action = await actionOf(stage);
    const isNew = action !== undefined && Date.parse(action.changedAt) >= sinceMs;
    if (isNew && action.state === wanted) return action;
    if (isNew && ["refused", "failed", "withdrawn"].includes(action.state)) {
      // On a machine with others' services, one of these may be in the way of the action as a whole.
      const own = action.processes.find(({ pid }) => pid === stage.service.pid);
      if (wanted === "verified" && own?.state === "patched") return action;
      throw new StoryError(`The action is ${action.state}: ${action.reason}`);
    }
    if (performance.now() > end) {
      throw new StoryError(`After ${patienceMs / 1000} s the action is ${action?.state ?? "unknown"}, not ${wanted}.`);
    }
    await wait(pollMs);
  }
}

async function lastSequence(stage: Stage): Promise<number> {
  let after = 0;
  for (;;) {
    const events = await eventsAfter(stage, after);
    if (events.length === 0) return after;
    after = events.at(-1)?.sequence ?? after;
  }
}

async function eventsAfter({ state }: Stage, after: number): Promise<Event[]> {
  const { items } = await ask(state.server, "listEvents", { query: { after, limit: eventsMax } });
  return items;
}

function timelineOf(events: readonly Event[], { id }: Action, publishedMs: number) {
  const lines = [{ what: "published in the catalog", at: new Date(publishedMs).toISOString() }];
  for (const { kind, subject, data, at } of events) {
    if (kind === "approval-made") lines.push({ what: "approved for every machine", at });
    if (subject !== `action:${id}`) continue;
    const state = kind === "action-offered" ? "offered" : (data.to as ActionState);
    const what = milestones[state];
    if (what !== undefined) lines.push({ what, at });
  }
  return lines.map((line) => ({ ...line, afterMs: Date.parse(line.at) - publishedMs }));
}
