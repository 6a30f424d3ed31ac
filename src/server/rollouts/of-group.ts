/** A group that a rollout needs stays until the rollout has ended. */
import { refuse } from "../../base/refusal.ts";
import type { Database } from "../database/tables.ts";
import { endedStates, storedFrom } from "./stored-rollouts.ts";
import { groupsOfRollout } from "./targets.ts";

/** Refuses with `rollout/in-use` where a rollout that has not ended needs the group. */
export async function refuseWhereInRollout(db: Database, groupId: string): Promise<void> {
  const rows = await db
    .selectFrom("rollouts")
    .selectAll()
    .where("state", "not in", endedStates)
    .orderBy("title")
    .execute();
  const using = rows.map(storedFrom).filter(({ row, spec }) => groupsOfRollout(row.group_id, spec).includes(groupId));
  if (using.length === 0) return;
  const titles = using.map(({ row }) => row.title).join(", ");
  refuse("rollout/in-use", `The group ${groupId} is one of the rollout ${titles}; end it first.`);
}
