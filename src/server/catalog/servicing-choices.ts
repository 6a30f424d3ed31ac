/** What groups opt into (servicing.ts says what that means for a device); what is offered follows each change. */
import type { NewServicingChoice, ServicingChoice } from "../../api/schemas/catalog.ts";
import { change, instant, type ServerContext } from "../context.ts";
import type { Database, Tables } from "../database/tables.ts";
import { requireGroup } from "../groups/groups.ts";
import { offerApproved } from "../offers/offers.ts";

function shown(row: Tables["group_servicing"]): ServicingChoice {
  return {
    groupId: row.group_id,
    channel: row.channel,
    preview: row.preview === 1,
    mayLeaveTrack: row.may_leave_track === 1,
    reason: row.reason,
    changedAt: instant(row.changed_at),
    changedBy: row.changed_by,
  };
}

export async function listServicing(db: Database): Promise<{ items: ServicingChoice[] }> {
  const rows = await db.selectFrom("group_servicing").selectAll().orderBy("group_id").execute();
  return { items: rows.map(shown) };
}

/** Throws `request/not-found`. What is offered follows at once. */
export async function setServicing(
  context: ServerContext,
  groupId: string,
  { by, ...wanted }: NewServicingChoice & { readonly by: string },
): Promise<ServicingChoice> {
  return await change(context, async (under) => {
    const { db, now } = under;
    await requireGroup(db, groupId);
    const before = await db
      .selectFrom("group_servicing")
      .selectAll()
      .where("group_id", "=", groupId)
      .executeTakeFirst();
    const row: Tables["group_servicing"] = {
      group_id: groupId,
      channel: wanted.channel ?? before?.channel ?? "hotpatch",
      preview: Number(wanted.preview ?? before?.preview === 1),
      may_leave_track: Number(wanted.mayLeaveTrack ?? before?.may_leave_track === 1),
      reason: wanted.reason ?? "",
      changed_at: now,
      changed_by: by,
    };
    const { group_id: _, ...columns } = row;
    await db
      .insertInto("group_servicing")
      .values(row)
      .onConflict((conflict) => conflict.column("group_id").doUpdateSet(columns))
      .execute();
    const choice = shown(row);
    await under.note("servicing-changed", `group:${groupId}`, { ...choice, by });
    await offerApproved(under, context.random, { groupId });
    return choice;
  });
}

/** What was never said is taken back as well. */
export async function clearServicing(context: ServerContext, groupId: string, by: string): Promise<void> {
  await change(context, async (under) => {
    await requireGroup(under.db, groupId);
    await under.db.deleteFrom("group_servicing").where("group_id", "=", groupId).execute();
    await under.note("servicing-changed", `group:${groupId}`, { cleared: true, by });
    await offerApproved(under, context.random, { groupId });
  });
}
