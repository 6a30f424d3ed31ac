/**
 * The course of one action on this machine, as one table.
 *
 * A stage has the name of the action's state on the server, so that what was reported and what is done here cannot drift apart.
 * A stage either has an effect, which is tried again after the agent's death, or is settled.
 * `advance` and `reconcile` are pure: they say what the journal is to hold, and change nothing.
 */
import type { Action, ActionState, AgentEvent, Assignment, ProcessOutcome } from "../api/schemas/actions.ts";

/** A process by its start, which tells it from a later one of the same id. */
export interface KnownProcess {
  readonly pid: number;
  /** Clock ticks since boot, in decimal. */
  readonly startTicks: string;
  /** The program that it ran, as the scanner tells it from one that it executes later. */
  readonly program?: string;
}

export interface Course {
  readonly actionId: string;
  readonly hotpatchId: string;
  readonly stage: ActionState;
  readonly createdAt: string;
  /** When the server changed the action, as it told last: what is older is no news. */
  readonly seenChangedAt: string;
  /** The hotpatch was fetched and verified at least once. */
  readonly fetched: boolean;
  readonly reason: string;
  readonly processes: readonly ProcessOutcome[];
  /** Processes that the hotpatch was put into. */
  readonly patched: readonly KnownProcess[];
}

/** What a stage has to do. `begin` only leads on, so that what comes next is in the journal before it is begun. */
export type Effect = "begin" | "fetch" | "plan" | "prepare" | "apply" | "verify" | "revert";

/** `done`, or why not. `again`: what stood in the way is gone, or a process that started later needs the whole course. */
export type CourseOutcome = "done" | "refused" | "failed" | "again";

interface Arrow {
  readonly to: ActionState;
  readonly report: AgentEvent;
}

interface Row {
  readonly effect?: Effect;
  readonly on: Partial<Record<CourseOutcome, Arrow>>;
}

const refused: Arrow = { to: "refused", report: "refuse" };
const failed: Arrow = { to: "failed", report: "fail" };
const again: Arrow = { to: "applying", report: "apply-started" };

export const courseTable: Readonly<Record<ActionState, Row>> = {
  offered: { effect: "begin", on: { done: { to: "fetching", report: "fetch-started" } } },
  fetching: { effect: "fetch", on: { done: { to: "fetched", report: "fetch-done" }, refused, failed } },
  fetched: { effect: "plan", on: { done: { to: "planned", report: "plan-done" }, refused, failed } },
  planned: { effect: "prepare", on: { done: { to: "applying", report: "apply-started" }, refused, failed } },
  applying: { effect: "apply", on: { done: { to: "applied", report: "apply-done" }, refused, failed } },
  applied: { effect: "begin", on: { done: { to: "verifying", report: "verify-started" } } },
  verifying: { effect: "verify", on: { done: { to: "verified", report: "verify-done" }, failed } },
  verified: { on: { again } },
  reverting: { effect: "revert", on: { done: { to: "reverted", report: "revert-done" }, failed } },
  refused: { on: { again } },
  reverted: { on: {} },
  failed: { on: {} },
  withdrawn: { on: {} },
};

/** The arrow that an outcome takes; undefined where the stage has none. */
export function advance(stage: ActionState, outcome: CourseOutcome): Arrow | undefined {
  return courseTable[stage].on[outcome];
}

/** Whether processes that start now are to get the hotpatch. */
export function isStanding({ stage, fetched, processes }: Course): boolean {
  return stage === "verified" || (stage === "refused" && fetched && processes.length > 0);
}

export type Change =
  | { readonly kind: "taken"; readonly course: Course }
  | { readonly kind: "forgotten"; readonly actionId: string };

/** Nothing in memory was changed yet, so that a course can be forgotten. */
const beginning: ReadonlySet<ActionState> = new Set(["offered", "fetching", "fetched", "planned"]);
const goingBack: ReadonlySet<ActionState> = new Set(["reverting", "reverted"]);

/**
 * What an assignment changes in the courses of this machine.
 * `unreported` are the actions of which the server does not know everything yet: of them, only that they are to be taken back is news.
 * `isWhole` says that the assignment leaves nothing out.
 */
export function reconcile(
  courses: ReadonlyMap<string, Course>,
  unreported: ReadonlySet<string>,
  { actions, isWhole }: { readonly actions: Assignment["actions"]; readonly isWhole: boolean },
): Change[] {
  const changes: Change[] = [];
  for (const action of actions) {
    const known = courses.get(action.id);
    if (known === undefined) changes.push({ kind: "taken", course: taken(action) });
    else if (action.changedAt >= known.seenChangedAt && isNews(action, known, unreported.has(action.id))) {
      changes.push({ kind: "taken", course: { ...taken(action), ...kept(known) } });
    }
  }
  if (!isWhole) return changes;
  const listed = new Set(actions.map(({ id }) => id));
  for (const { actionId, stage } of courses.values()) {
    if (listed.has(actionId) || unreported.has(actionId) || !beginning.has(stage)) continue;
    changes.push({ kind: "forgotten", actionId });
  }
  return changes;
}

function isNews(action: Action, known: Course, isUnreported: boolean): boolean {
  if (action.state === known.stage) return false;
  if (isUnreported) return action.wanted === "reverted" && !goingBack.has(known.stage);
  return true;
}

function taken({ id, hotpatchId, state, createdAt, changedAt, processes }: Action): Course {
  const common = { actionId: id, hotpatchId, stage: state, createdAt, seenChangedAt: changedAt };
  return { ...common, fetched: false, reason: "", processes, patched: [] };
}

function kept({ fetched, patched }: Course): Pick<Course, "fetched" | "patched"> {
  return { fetched, patched };
}

/** The part of docs/state-machines.md that is about courses. */
export function courseDocument(): string {
  const stages = Object.entries(courseTable) as [ActionState, Row][];
  const busy = stages.filter(([, { effect }]) => effect !== undefined);
  return [
    "## A course: an action on its machine",
    "",
    "A stage has the name of the action's state on the server.",
    "An arrow has the outcome of the stage, and the report that tells of it.",
    `Effects: ${busy.map(([stage, { effect }]) => `${effect} in ${stage}`).join(", ")}; the other stages have none.`,
    "Besides, what the server tells puts a course into another stage (`reconcile` in src/agent/course.ts).",
    "",
    "```mermaid",
    "stateDiagram-v2",
    "  [*] --> offered",
    ...stages.flatMap(([stage, { on }]) =>
      Object.entries(on).map(([outcome, { to, report }]) => `  ${stage} --> ${to}: ${outcome} (${report})`),
    ),
    ...stages.filter(([, { effect }]) => effect === undefined).map(([stage]) => `  ${stage} --> [*]`),
    "```",
    "",
  ].join("\n");
}
