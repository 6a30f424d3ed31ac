/**
 * Which hotpatches are wanted on which devices, as one view for all who ask: offers, blocks and states.
 *
 * A hotpatch is wanted on an enrolled device where a group that counts for it has decided for its installation (`device_decisions`, src/server/approvals).
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
    .selectFrom("device_decisions")
    .select(["device_id as deviceId", "hotpatch_id as hotpatchId"])
    .distinct()
    .where("action", "=", "install")
    .where("device_id", "in", [...deviceIds])
    .orderBy("device_id")
    .orderBy("hotpatch_id");
  if (hotpatchId !== undefined) query = query.where("hotpatch_id", "=", hotpatchId);
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
        .selectFrom("device_decisions")
        .select("device_decisions.device_id")
        .whereRef("device_decisions.device_id", "=", "devices.id")
        .where("device_decisions.action", "=", "install");
      if (hotpatchId !== undefined) wants = wants.where("device_decisions.hotpatch_id", "=", hotpatchId);
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
  return isDecided(is, table, "install");
}

/** Whether a group that counts for its device has decided so of the hotpatch of a row of `table`. */
export function isDecided<Table extends "actions" | "offer_blocks">(
  is: ExpressionBuilder<Tables, Table>,
  table: Table,
  action: "install" | "removal",
): Expression<SqlBool> {
  const deciding = (is as unknown as ExpressionBuilder<Tables, "actions">)
    .selectFrom("device_decisions")
    .select("device_decisions.device_id")
    .whereRef("device_decisions.device_id", "=", `${table as "actions"}.device_id`)
    .whereRef("device_decisions.hotpatch_id", "=", `${table as "actions"}.hotpatch_id`)
    .where("device_decisions.action", "=", action);
  return (is as unknown as ExpressionBuilder<Tables, "actions">).exists(deciding);
}
