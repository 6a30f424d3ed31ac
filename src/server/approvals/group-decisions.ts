/** Keeps `group_decisions` what the approvals, the tree of groups and the declined hotpatches say (decide.ts). */
import type { Database } from "../database/tables.ts";
import { readGroups } from "../groups/group-rows.ts";
import { decisionsOfGroups } from "./decide.ts";

/** Rows of one statement, below what both databases take. */
const rowsAtOnce = 1_000;

/** Absent: every hotpatch, every group. */
export interface DecisionScope {
  readonly hotpatchId?: string;
  readonly groupIds?: readonly string[];
}

export async function refreshDecisions(db: Database, { hotpatchId, groupIds }: DecisionScope): Promise<void> {
  const tree = await readGroups(db);
  const declined = new Set(
    (await db.selectFrom("declined_hotpatches").select("hotpatch_id").execute()).map((row) => row.hotpatch_id),
  );
  let approvals = db.selectFrom("approvals").selectAll().orderBy("id");
  let stale = db.deleteFrom("group_decisions");
  if (hotpatchId !== undefined) {
    approvals = approvals.where("hotpatch_id", "=", hotpatchId);
    stale = stale.where("hotpatch_id", "=", hotpatchId);
  }
  if (groupIds !== undefined) stale = stale.where("group_id", "in", [...groupIds]);
  await stale.execute();
  const concerned = groupIds === undefined ? undefined : new Set(groupIds);
  const rows = [...Map.groupBy(await approvals.execute(), (row) => row.hotpatch_id)].flatMap(([hotpatch_id, found]) => {
    if (declined.has(hotpatch_id)) return [];
    const own = found.map(({ group_id: groupId, action, deadline_at: deadlineMs, source }) => ({
      ...{ groupId, action, deadlineMs, source },
    }));
    return [...decisionsOfGroups(tree, own)]
      .filter(([groupId]) => concerned === undefined || concerned.has(groupId))
      .map(([group_id, { action, deadlineMs, decidedFor }]) => ({
        ...{ hotpatch_id, group_id, decided_for: decidedFor, action, deadline_at: deadlineMs },
      }));
  });
  for (let from = 0; from < rows.length; from += rowsAtOnce) {
    await db
      .insertInto("group_decisions")
      .values(rows.slice(from, from + rowsAtOnce))
      .execute();
  }
}
