/** Groups of devices, which hotpatches are approved for: a tree below `all`, which has every device and stays. */
import { apiLimits } from "../../api/api-limits.ts";
import type { Group, GroupChange, NewGroup } from "../../api/schemas/groups.ts";
import { RebootlessError } from "../../base/errors.ts";
import { refuse } from "../../base/refusal.ts";
import { compileFilter } from "../../cel/compile-filter.ts";
import { endGrantsIn } from "../access/people.ts";
import { type Reach, reachedGroups, requireGroupInReach } from "../access/reach.ts";
import { followDecisions } from "../approvals/follow-decisions.ts";
import { endApprovalsOf } from "../approvals/of-group.ts";
import { type Change, change, instant, type ServerContext } from "../context.ts";
import { type Page, type PageAsked, pageBounds, pageFrom } from "../database/page.ts";
import type { Database, Tables } from "../database/tables.ts";
import { requireDevice } from "../devices/devices.ts";
import { refuseWhereInPolicy } from "../policies/of-group.ts";
import { refuseWhereInRollout } from "../rollouts/of-group.ts";
import { readGroups } from "./group-rows.ts";
import { depthOf, hangingOn, inOrder } from "./group-tree.ts";
import { followFilter, placeDevice, placeGroups } from "./membership.ts";

export const everyDevice = "all";

type Row = Tables["groups"] & { devices: number | null; exceptions: number | null };

function select(db: Database) {
  return db
    .selectFrom("groups")
    .selectAll()
    .select((group) => [
      group
        .selectFrom("group_members")
        .select(({ fn }) => fn.countAll<number>().as("count"))
        .whereRef("group_id", "=", "groups.id")
        .as("devices"),
      group
        .selectFrom("group_exceptions")
        .select(({ fn }) => fn.countAll<number>().as("count"))
        .whereRef("group_id", "=", "groups.id")
        .as("exceptions"),
    ]);
}

async function shown(db: Database, rows: readonly Row[]): Promise<(row: Row) => Group> {
  const ids = rows.map(({ id }) => id);
  const found =
    ids.length === 0
      ? []
      : await db
          .selectFrom("group_exclusions")
          .selectAll()
          .where("group_id", "in", ids)
          .orderBy("excluded_id")
          .execute();
  const excludes = Map.groupBy(found, ({ group_id }) => group_id);
  return (row) => ({
    id: row.id,
    title: row.title,
    devices: row.devices ?? 0,
    createdAt: instant(row.created_at),
    kind: row.filter === null ? "static" : "dynamic",
    parentId: row.parent_id,
    filter: row.filter,
    excludes: (excludes.get(row.id) ?? []).map(({ excluded_id }) => excluded_id),
    exceptions: row.exceptions ?? 0,
  });
}

export async function listGroups(db: Database, asked: PageAsked, reach: Reach): Promise<Page<Group>> {
  const { after, rows } = pageBounds(asked);
  const reached = reachedGroups(reach);
  let query = select(db).where("id", ">", after).orderBy("id").limit(rows);
  if (reached !== undefined) query = query.where("id", "in", reached);
  const found = await query.execute();
  return pageFrom(found, asked, await shown(db, found));
}

/** Throws `request/not-found`. */
export async function requireGroup(db: Database, groupId: string): Promise<Group> {
  const row = await select(db).where("id", "=", groupId).executeTakeFirst();
  if (row === undefined) throw new RebootlessError("request/not-found", `There is no group ${groupId}.`);
  return (await shown(db, [row]))(row);
}

/** Refuses with `group/exists` or `group/circle`; throws `request/filter`, `request/not-found` and `request/too-large`. */
export async function makeGroup(context: ServerContext, wanted: NewGroup): Promise<Group> {
  const { id, title = id, parentId = everyDevice, filter, excludes = [] } = wanted;
  if (filter !== undefined) compileFilter(filter, "group");
  requireGroupInReach(context.reach, parentId);
  if (filter !== undefined) requireWholeFleet(context.reach);
  return await change(context, async (under) => {
    const { db, now, note } = under;
    await requireGroup(db, parentId);
    const made = await db
      .insertInto("groups")
      .values({ id, title, created_at: now, parent_id: parentId, filter: filter ?? null })
      .onConflict((conflict) => conflict.doNothing())
      .executeTakeFirst();
    if (made.numInsertedOrUpdatedRows === 0n) refuse("group/exists", `There is a group ${id} already.`);
    await setExclusions(db, id, excludes);
    await checkTree(db, id);
    if (filter !== undefined) await followFilter(db, id, filter);
    await note("group-made", `group:${id}`, { title, ...(filter === undefined ? {} : { filter }) });
    await placeGroups(under, context.random, [id]);
    return await requireGroup(db, id);
  });
}

/** Refuses with `group/permanent`, `group/static` or `group/circle`; throws `request/filter` and `request/not-found`. */
export async function changeGroup(context: ServerContext, groupId: string, wanted: GroupChange): Promise<Group> {
  const { title, parentId, filter, excludes } = wanted;
  if (parentId !== undefined || filter !== undefined || excludes !== undefined) {
    refuseForEvery(groupId, "has every device");
  }
  if (filter !== undefined) compileFilter(filter, "group");
  if (filter !== undefined) requireWholeFleet(context.reach);
  return await change(context, async (under) => {
    const { db, note } = under;
    const before = await requireGroup(db, groupId);
    // Taking it away changes the group above, and that has to be in reach as the new one has.
    if (parentId !== undefined && before.parentId !== null) requireGroupInReach(context.reach, before.parentId);
    // Including what another one excluded would draw its devices in.
    const included = excludes === undefined ? [] : before.excludes.filter((id) => !excludes.includes(id));
    for (const id of included) requireGroupInReach(context.reach, id);
    if (filter !== undefined && before.kind === "static") {
      refuse("group/static", `Devices are put into ${groupId} by hand; make another group for a filter.`);
    }
    // Groups that the old parent had through this one follow as well.
    const concerned = [groupId, ...(before.parentId === null ? [] : [before.parentId])];
    if (parentId !== undefined) await requireGroup(db, parentId);
    const columns = {
      ...(title === undefined ? {} : { title }),
      ...(parentId === undefined ? {} : { parent_id: parentId }),
      ...(filter === undefined ? {} : { filter }),
    };
    if (Object.keys(columns).length > 0) {
      await db.updateTable("groups").set(columns).where("id", "=", groupId).execute();
    }
    if (excludes !== undefined) await setExclusions(db, groupId, excludes);
    await checkTree(db, groupId);
    if (filter !== undefined && filter !== before.filter) await followFilter(db, groupId, filter);
    await note("group-changed", `group:${groupId}`, { ...wanted });
    await placeGroups(under, context.random, concerned);
    return await requireGroup(db, groupId);
  });
}

/** Throws `request/not-found`. */
async function setExclusions(db: Database, groupId: string, excludes: readonly string[]): Promise<void> {
  await db.deleteFrom("group_exclusions").where("group_id", "=", groupId).execute();
  for (const excludedId of excludes) {
    await requireGroup(db, excludedId);
    await db.insertInto("group_exclusions").values({ group_id: groupId, excluded_id: excludedId }).execute();
  }
}

/** Refuses with `group/circle`; throws `request/too-large`. */
async function checkTree(db: Database, groupId: string): Promise<void> {
  const groups = await readGroups(db);
  if (groups.length > apiLimits.groups) {
    throw new RebootlessError("request/too-large", `There are at most ${apiLimits.groups} groups.`);
  }
  if (inOrder(groups) === undefined) {
    const message = `${groupId} would hang on itself: a group may neither stand below itself nor exclude a group that its own devices are in through the tree.`;
    refuse("group/circle", message);
  }
  if (groups.some(({ id }) => depthOf(groups, id) > apiLimits.groupDepth)) {
    throw new RebootlessError("request/too-large", `Groups stand at most ${apiLimits.groupDepth} deep in one another.`);
  }
}

/** Refuses with `group/permanent`, `group/has-children`, `policy/in-use` or `rollout/in-use`; throws `request/not-found`. */
export async function removeGroup(context: ServerContext, groupId: string): Promise<void> {
  refuseForEvery(groupId, "cannot be removed");
  await change(context, async (under) => {
    const { db, note } = under;
    const { parentId: above } = await requireGroup(db, groupId);
    if (above !== null) requireGroupInReach(context.reach, above);
    const groups = await readGroups(db);
    const children = groups.filter(({ parentId }) => parentId === groupId).map(({ id }) => id);
    if (children.length > 0) {
      refuse("group/has-children", `${children.join(", ")} stand below ${groupId}; remove or move them first.`);
    }
    await refuseWhereInPolicy(db, groupId);
    await refuseWhereInRollout(db, groupId);
    const hanging = hangingOn(inOrder(groups) ?? [], groupId).flatMap(({ id }) => (id === groupId ? [] : [id]));
    const hotpatches = await endApprovalsOf(under, groupId);
    for (const table of ["group_members", "group_own", "group_exceptions", "group_exclusions"] as const) {
      await db.deleteFrom(table).where("group_id", "=", groupId).execute();
    }
    await db.deleteFrom("group_exclusions").where("excluded_id", "=", groupId).execute();
    await endGrantsIn(under, groupId);
    await db.deleteFrom("groups").where("id", "=", groupId).execute();
    await note("group-removed", `group:${groupId}`);
    await placeGroups(under, context.random, hanging);
    for (const hotpatchId of hotpatches) await followDecisions(under, context.random, { hotpatchId });
  });
}

/** A filter finds devices anywhere, and would take them into reach. Refuses with `access/scope`. */
function requireWholeFleet(reach: Reach): void {
  if (reach.kind === "all") return;
  refuse("access/scope", "A filter looks at all devices; only a role in the group all may set one.");
}

export interface Membership {
  readonly groupId: string;
  readonly deviceId: string;
}

type Place = "group_own" | "group_exceptions";

/** Puts a device into a group by hand. Refuses with `group/dynamic`; throws `request/not-found`. What is there already stays as it is. */
export async function addMember(context: ServerContext, membership: Membership): Promise<void> {
  await changeMembership(context, membership, async (under) => await put(under.db, "group_own", membership));
}

/** Refuses with `group/permanent` or `group/dynamic`; throws `request/not-found`. */
export async function removeMember(context: ServerContext, membership: Membership): Promise<void> {
  refuseForEvery(membership.groupId, "holds every device");
  await changeMembership(context, membership, async (under) => await take(under.db, "group_own", membership));
}

/** Leaves a device out, whatever else would have it in. Refuses with `group/permanent`; throws `request/not-found`. */
export async function exceptDevice(context: ServerContext, membership: Membership): Promise<void> {
  refuseForEvery(membership.groupId, "holds every device");
  await changeMembership(context, membership, async (under) => await put(under.db, "group_exceptions", membership));
}

/** Throws `request/not-found`. */
export async function unexceptDevice(context: ServerContext, membership: Membership): Promise<void> {
  await changeMembership(context, membership, async (under) => await take(under.db, "group_exceptions", membership));
}

async function put(db: Database, table: Place, { groupId, deviceId }: Membership): Promise<Place> {
  await db
    .insertInto(table)
    .values({ group_id: groupId, device_id: deviceId })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  return table;
}

async function take(db: Database, table: Place, { groupId, deviceId }: Membership): Promise<Place> {
  await db.deleteFrom(table).where("group_id", "=", groupId).where("device_id", "=", deviceId).execute();
  return table;
}

async function changeMembership(
  context: ServerContext,
  { groupId, deviceId }: Membership,
  work: (under: Change) => Promise<Place>,
): Promise<void> {
  await change(context, async (under) => {
    const { kind, filter } = await requireGroup(under.db, groupId);
    await requireDevice(under.db, deviceId);
    if ((await work(under)) === "group_own" && kind === "dynamic") {
      refuse(
        "group/dynamic",
        `The devices of ${groupId} are those that its filter finds (${filter}); except a device, or change the filter.`,
      );
    }
    await placeDevice(under, context.random, deviceId, "anything");
  });
}

/** Refuses with `group/permanent` or `group/circle`; throws `request/not-found`. */
export async function excludeGroup(context: ServerContext, groupId: string, excludedId: string): Promise<void> {
  const { excludes } = await requireGroup(context.database, groupId);
  if (excludes.includes(excludedId)) return;
  await changeGroup(context, groupId, { excludes: [...excludes, excludedId] });
}

/** Throws `request/not-found`. */
export async function includeGroup(context: ServerContext, groupId: string, excludedId: string): Promise<void> {
  const { excludes } = await requireGroup(context.database, groupId);
  if (!excludes.includes(excludedId)) return;
  await changeGroup(context, groupId, { excludes: excludes.filter((id) => id !== excludedId) });
}

function refuseForEvery(groupId: string, what: string): void {
  if (groupId === everyDevice) refuse("group/permanent", `The group ${everyDevice} ${what}; make a group of your own.`);
}
