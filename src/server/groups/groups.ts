/** Groups of devices, which hotpatches are approved for. Every device is in the group `all`, which stays. */
import type { Static } from "typebox";
import type { Group, NewGroup } from "../../api/schemas/groups.ts";
import { RebootlessError } from "../../base/errors.ts";
import { refuse } from "../../base/refusal.ts";
import { offerApproved, withdrawUnapproved } from "../actions/actions.ts";
import { change, instant, type ServerContext } from "../context.ts";
import { type Page, type PageAsked, pageBounds, pageFrom } from "../database/page.ts";
import type { Database } from "../database/tables.ts";
import { requireDevice } from "../devices/devices.ts";

export const everyDevice = "all";

function select(db: Database) {
  return db
    .selectFrom("groups")
    .selectAll()
    .select((group) =>
      group
        .selectFrom("group_members")
        .select(({ fn }) => fn.countAll<number>().as("count"))
        .whereRef("group_id", "=", "groups.id")
        .as("devices"),
    );
}

function shown(row: { id: string; title: string; created_at: number; devices: number | null }): Group {
  return { id: row.id, title: row.title, devices: row.devices ?? 0, createdAt: instant(row.created_at) };
}

export async function listGroups(db: Database, asked: PageAsked): Promise<Page<Group>> {
  const { after, rows } = pageBounds(asked);
  const found = await select(db).where("id", ">", after).orderBy("id").limit(rows).execute();
  return pageFrom(found, asked, shown);
}

/** Throws `request/not-found`. */
export async function requireGroup(db: Database, groupId: string): Promise<Group> {
  const row = await select(db).where("id", "=", groupId).executeTakeFirst();
  if (row === undefined) throw new RebootlessError("request/not-found", `There is no group ${groupId}.`);
  return shown(row);
}

/** Refuses with `group/exists`. */
export async function makeGroup(context: ServerContext, { id, title }: Static<typeof NewGroup>): Promise<Group> {
  return await change(context, async ({ db, now, note }) => {
    const made = await db
      .insertInto("groups")
      .values({ id, title: title ?? id, created_at: now })
      .onConflict((conflict) => conflict.doNothing())
      .executeTakeFirst();
    if (made.numInsertedOrUpdatedRows === 0n) refuse("group/exists", `There is a group ${id} already.`);
    await note("group-made", `group:${id}`, { title: title ?? id });
    return await requireGroup(db, id);
  });
}

/** Refuses with `group/permanent`; throws `request/not-found`. */
export async function removeGroup(context: ServerContext, groupId: string): Promise<void> {
  refuseForEvery(groupId, "cannot be removed");
  await change(context, async (under) => {
    const { db, note } = under;
    await requireGroup(db, groupId);
    const members = await db.selectFrom("group_members").select("device_id").where("group_id", "=", groupId).execute();
    for (const { id } of await db.selectFrom("approvals").select("id").where("group_id", "=", groupId).execute()) {
      await note("approval-removed", `approval:${id}`, { groupId });
    }
    await db.deleteFrom("approvals").where("group_id", "=", groupId).execute();
    await db.deleteFrom("group_members").where("group_id", "=", groupId).execute();
    await db.deleteFrom("groups").where("id", "=", groupId).execute();
    await note("group-removed", `group:${groupId}`);
    for (const { device_id } of members) await withdrawUnapproved(under, { deviceId: device_id });
  });
}

export interface Membership {
  readonly groupId: string;
  readonly deviceId: string;
}

/** Throws `request/not-found`. What is there already stays as it is. */
export async function addMember(context: ServerContext, { groupId, deviceId }: Membership): Promise<void> {
  await change(context, async (under) => {
    const { db, note } = under;
    await requireGroup(db, groupId);
    await requireDevice(db, deviceId);
    const made = await db
      .insertInto("group_members")
      .values({ group_id: groupId, device_id: deviceId })
      .onConflict((conflict) => conflict.doNothing())
      .executeTakeFirst();
    if (made.numInsertedOrUpdatedRows === 0n) return;
    await note("device-joined", `group:${groupId}`, { deviceId });
    await offerApproved(under, context.random, { deviceId });
  });
}

/** Refuses with `group/permanent`; throws `request/not-found`. */
export async function removeMember(context: ServerContext, { groupId, deviceId }: Membership): Promise<void> {
  refuseForEvery(groupId, "holds every device");
  await change(context, async (under) => {
    const { db, note } = under;
    await requireGroup(db, groupId);
    await requireDevice(db, deviceId);
    const gone = await db
      .deleteFrom("group_members")
      .where("group_id", "=", groupId)
      .where("device_id", "=", deviceId)
      .executeTakeFirst();
    if (gone.numDeletedRows === 0n) return;
    await note("device-left", `group:${groupId}`, { deviceId });
    await withdrawUnapproved(under, { deviceId });
  });
}

function refuseForEvery(groupId: string, what: string): void {
  if (groupId === everyDevice) refuse("group/permanent", `The group ${everyDevice} ${what}; make a group of your own.`);
}
