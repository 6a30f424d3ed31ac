/** Approvals: that a hotpatch of the catalog is wanted on the devices of a group. */
import type { Static } from "typebox";
import type { Approval, NewApproval } from "../../api/schemas/actions.ts";
import { RebootlessError } from "../../base/errors.ts";
import { refuse } from "../../base/refusal.ts";
import { requireHotpatch } from "../catalog/catalog.ts";
import { change, instant, newId, type ServerContext } from "../context.ts";
import { type Page, type PageAsked, pageBounds, pageFrom } from "../database/page.ts";
import type { Database, Tables } from "../database/tables.ts";
import { knowHotpatches } from "../device-states/known-hotpatches.ts";
import { requireGroup } from "../groups/groups.ts";
import { offerApproved, withdrawUnapproved } from "../offers/offers.ts";

function shown(row: Tables["approvals"]): Approval {
  return {
    id: row.id,
    hotpatchId: row.hotpatch_id,
    groupId: row.group_id,
    createdAt: instant(row.created_at),
    createdBy: row.created_by,
  };
}

export async function listApprovals(db: Database, asked: PageAsked): Promise<Page<Approval>> {
  const { after, rows } = pageBounds(asked);
  const found = await db
    .selectFrom("approvals")
    .selectAll()
    .where("id", ">", after)
    .orderBy("id")
    .limit(rows)
    .execute();
  return pageFrom(found, asked, shown);
}

/** Refuses with `approval/exists`, `catalog/hotpatch-unknown` or whatever the catalog is refused with; throws `request/not-found`. */
export async function approve(
  context: ServerContext,
  { hotpatchId, groupId }: Static<typeof NewApproval>,
  createdBy: string,
): Promise<Approval> {
  // Before the transaction: the catalog may be far away, and the database waits for nobody.
  const hotpatch = await requireHotpatch(context.catalog, hotpatchId);
  return await change(context, async (under) => {
    const { db, now } = under;
    await requireGroup(db, groupId);
    await knowHotpatches(under, [hotpatch]);
    const row = {
      id: newId(context.random),
      hotpatch_id: hotpatchId,
      group_id: groupId,
      created_at: now,
      created_by: createdBy,
    };
    const made = await db
      .insertInto("approvals")
      .values(row)
      .onConflict((conflict) => conflict.columns(["hotpatch_id", "group_id"]).doNothing())
      .executeTakeFirst();
    if (made.numInsertedOrUpdatedRows === 0n) {
      refuse("approval/exists", `${hotpatchId} is approved for the group ${groupId} already.`);
    }
    await under.note("approval-made", `approval:${row.id}`, { hotpatchId, groupId, by: createdBy });
    await offerApproved(under, context.random, { groupId, hotpatchId });
    return shown(row);
  });
}

/** Throws `request/not-found`. */
export async function removeApproval(context: ServerContext, approvalId: string): Promise<void> {
  await change(context, async (under) => {
    const { db } = under;
    const row = await db.selectFrom("approvals").selectAll().where("id", "=", approvalId).executeTakeFirst();
    if (row === undefined) throw new RebootlessError("request/not-found", `There is no approval ${approvalId}.`);
    await db.deleteFrom("approvals").where("id", "=", approvalId).execute();
    const { hotpatch_id: hotpatchId, group_id: groupId } = row;
    await under.note("approval-removed", `approval:${approvalId}`, { hotpatchId, groupId });
    await withdrawUnapproved(under, { hotpatchId });
  });
}
