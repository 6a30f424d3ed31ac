/** Rollouts as they stand in the database. */
import { type NewRollout, type Rollout, type RolloutSpec, rolloutStates } from "../../api/schemas/rollouts.ts";
import { RebootlessError } from "../../base/errors.ts";
import { instant } from "../context.ts";
import type { Database, Tables } from "../database/tables.ts";
import { alikeDevices } from "./alike-devices.ts";
import { countRings } from "./outcomes.ts";
import type { Fired } from "./thresholds.ts";

export type RolloutRow = Tables["rollouts"];

export interface StoredRollout {
  readonly row: RolloutRow;
  readonly spec: RolloutSpec;
  readonly fired: Fired;
}

/** What is not told of a new one. */
export function specOf(wanted: Partial<NewRollout>): RolloutSpec {
  return {
    rings: wanted.rings ?? [
      { name: "canary", takes: { devices: 1 }, opensAt: null },
      { name: "early", takes: { percent: 10 }, opensAt: null },
      { name: "rest", takes: null, opensAt: null },
    ],
    order: wanted.order ?? "random",
    siteTag: wanted.siteTag ?? "site:",
    pace: wanted.pace ?? { kind: "all" },
    success: wanted.success ?? { percent: 95 },
    shortfall: wanted.shortfall ?? "pause",
    errors: wanted.errors ?? [
      { signals: ["failed", "revertedByGuard", "crashed"], reaches: { percent: 2 }, action: "halt" },
    ],
    verifyMinutes: wanted.verifyMinutes ?? 60,
    silentHours: wanted.silentHours ?? 24,
  };
}

export function storedFrom(row: RolloutRow): StoredRollout {
  return { row, spec: JSON.parse(row.spec_json), fired: JSON.parse(row.fired_json) };
}

/** Throws `request/not-found`. */
export async function requireRollout(db: Database, rolloutId: string): Promise<StoredRollout> {
  const row = await db.selectFrom("rollouts").selectAll().where("id", "=", rolloutId).executeTakeFirst();
  if (row === undefined) throw new RebootlessError("request/not-found", `There is no rollout ${rolloutId}.`);
  return storedFrom(row);
}

/** With its figures at this moment. */
export async function shownRollout(db: Database, { row, spec }: StoredRollout, nowMs: number): Promise<Rollout> {
  return {
    ...{ id: row.id, title: row.title, hotpatchId: row.hotpatch_id, groupId: row.group_id, spec },
    ...{ state: row.state, ring: row.ring, reason: row.reason, outcome: row.outcome },
    verifyUntil: row.verify_until === null ? null : instant(row.verify_until),
    rings: countRings(spec, await alikeDevices(db, { row, spec, nowMs })),
    ...{ createdAt: instant(row.created_at), createdBy: row.created_by, changedAt: instant(row.changed_at) },
  };
}

export const endedStates: readonly RolloutRow["state"][] = rolloutStates.filter((state) =>
  ["finished", "halted", "aborted"].includes(state),
);
