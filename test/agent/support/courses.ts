/** Courses, reports and actions of tests, by short names. */
import type { Course } from "../../../src/agent/course.ts";
import type { Action, ActionState, AgentEvent, Report } from "../../../src/api/schemas/actions.ts";

export function idOf(name: string): string {
  return `00000000-0000-4000-8000-${Buffer.from(name).toString("hex").padStart(12, "0")}`;
}

export const early = "2026-01-01T00:00:00.000Z";
export const late = "2026-01-01T00:00:01.000Z";

export function courseAt(stage: ActionState, name: string, more: Partial<Course> = {}): Course {
  const common = {
    actionId: idOf(name),
    hotpatchId: `hotpatch-${name}`,
    stage,
    createdAt: early,
    seenChangedAt: early,
  };
  return { ...common, fetched: false, reason: "", processes: [], patched: [], ...more };
}

export function reportOf(name: string, event: AgentEvent, number: number): Report {
  return { key: String(number).padStart(16, "0"), actionId: idOf(name), event };
}

export function actionAt(state: ActionState, name: string, more: Partial<Action> = {}): Action {
  const wanted = state === "reverting" || state === "reverted" ? "reverted" : "applied";
  const common = { id: idOf(name), deviceId: idOf("device"), hotpatchId: `hotpatch-${name}`, wanted, state } as const;
  return { ...common, reason: "", processes: [], createdAt: early, changedAt: late, times: {}, ...more };
}
