/** A group that a policy is for stays, since removing it would change whom the policy reaches. */
import { refuse } from "../../base/refusal.ts";
import type { Database } from "../database/tables.ts";

/** Refuses with `policy/in-use` where a policy is for the group. */
export async function refuseWhereInPolicy(db: Database, groupId: string): Promise<void> {
  const rows = await db
    .selectFrom("policy_groups")
    .innerJoin("policies", "policies.id", "policy_groups.policy_id")
    .select("title")
    .where("group_id", "=", groupId)
    .orderBy("title")
    .execute();
  if (rows.length > 0) {
    const titles = rows.map(({ title }) => title).join(", ");
    refuse("policy/in-use", `The group ${groupId} is one of the policy ${titles}; take it out of there first.`);
  }
}
