/**
 * Which hotpatches are wanted on which devices, as one view for all who ask: offers, blocks and states.
 *
 * A hotpatch is wanted on the enrolled devices of each group that it is approved for.
 */
import type { Expression, ExpressionBuilder, SqlBool } from "kysely";
import type { Database, Tables } from "../database/tables.ts";
import type { Candidate } from "./gates.ts";

/** Of several, all have to hold. */
export interface OfferScope {
  readonly deviceId?: string;
  readonly groupId?: string;
  readonly hotpatchId?: string;
}

/** What is wanted on these devices, each pair once, by device and hotpatch. */
export async function wantedOn(db: Database, deviceIds: readonly string[], hotpatchId?: string): Promise<Candidate[]> {
  let query = db
    .selectFrom("approvals")
    .innerJoin("group_members", "group_members.group_id", "approvals.group_id")
    .innerJoin("devices", "devices.id", "group_members.device_id")
    .select(["group_members.device_id as deviceId", "approvals.hotpatch_id as hotpatchId"])
    .distinct()
    .where("devices.state", "=", "enrolled")
    .where("group_members.device_id", "in", [...deviceIds])
    .orderBy("group_members.device_id")
    .orderBy("approvals.hotpatch_id");
  if (hotpatchId !== undefined) query = query.where("approvals.hotpatch_id", "=", hotpatchId);
  return await query.execute();
}

/** The devices that want any hotpatch, or this one, behind `after`, by id. */
export async function devicesThatWant(
  db: Database,
  { hotpatchId, groupId, after, limit }: { hotpatchId?: string; groupId?: string; after: string; limit: number },
): Promise<string[]> {
  let query = db
    .selectFrom("devices")
    .select("devices.id")
    .where("devices.state", "=", "enrolled")
    .where("devices.id", ">", after)
    .where((is) => {
      let wants = is
        .selectFrom("group_members")
        .innerJoin("approvals", "approvals.group_id", "group_members.group_id")
        .select("approvals.id")
        .whereRef("group_members.device_id", "=", "devices.id");
      if (hotpatchId !== undefined) wants = wants.where("approvals.hotpatch_id", "=", hotpatchId);
      return is.exists(wants);
    })
    .orderBy("devices.id")
    .limit(limit);
  if (groupId !== undefined) {
    const members = db.selectFrom("group_members").select("device_id").where("group_id", "=", groupId);
    query = query.where("devices.id", "in", members);
  }
  return (await query.execute()).map(({ id }) => id);
}

/** Whether a row of `table`, which has a device and a hotpatch, is wanted. */
export function isWanted<Table extends "actions" | "offer_blocks">(
  is: ExpressionBuilder<Tables, Table>,
  table: Table,
): Expression<SqlBool> {
  const wanting = (is as unknown as ExpressionBuilder<Tables, "actions">)
    .selectFrom("approvals")
    .innerJoin("group_members", "group_members.group_id", "approvals.group_id")
    .innerJoin("devices", "devices.id", "group_members.device_id")
    .select("approvals.id")
    .where("devices.state", "=", "enrolled")
    .whereRef("group_members.device_id", "=", `${table as "actions"}.device_id`)
    .whereRef("approvals.hotpatch_id", "=", `${table as "actions"}.hotpatch_id`);
  return (is as unknown as ExpressionBuilder<Tables, "actions">).exists(wanting);
}
