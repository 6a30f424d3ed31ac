/** What is approved for a group ends with the group. */
import type { Change } from "../context.ts";

/** With its rules; answers the hotpatches that were decided for it. */
export async function endApprovalsOf({ db, note }: Change, groupId: string): Promise<ReadonlySet<string>> {
  const approvals = await db.selectFrom("approvals").selectAll().where("group_id", "=", groupId).execute();
  for (const { id } of approvals) await note("approval-removed", `approval:${id}`, { groupId });
  const rules = await db.selectFrom("approval_rules").selectAll().where("group_id", "=", groupId).execute();
  for (const { id, title } of rules) await note("approval-rule-removed", `approval-rule:${id}`, { title, groupId });
  const decided = await db.selectFrom("group_decisions").selectAll().where("group_id", "=", groupId).execute();
  for (const table of ["approvals", "approval_rules", "group_decisions"] as const) {
    await db.deleteFrom(table).where("group_id", "=", groupId).execute();
  }
  return new Set(decided.map((row) => row.hotpatch_id));
}
