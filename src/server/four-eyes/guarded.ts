/**
 * Where a second person has to confirm: the groups and policies that ask for it, and whether a change concerns them.
 *
 * A group is guarded with all groups below it, and a policy with the groups that it is for.
 * A change concerns them as well where it reaches a device of theirs by another way: through a group above, or one beside that shares a device.
 */
import type { Database } from "../database/tables.ts";
import { readGroups } from "../groups/group-rows.ts";
import { groupsBelow } from "../groups/group-tree.ts";

export interface Guarded {
  readonly groupIds: ReadonlySet<string>;
  readonly policyIds: ReadonlySet<string>;
}

/** Undefined where nothing asks for four eyes. */
export async function guarded(db: Database): Promise<Guarded | undefined> {
  const rows = await db.selectFrom("four_eyes").select(["kind", "subject"]).execute();
  if (rows.length === 0) return undefined;
  const policyIds = rows.flatMap(({ kind, subject }) => (kind === "policy" ? [subject] : []));
  const roots = rows.flatMap(({ kind, subject }) => (kind === "group" ? [subject] : []));
  const ofPolicies = await db
    .selectFrom("policy_groups")
    .select("group_id")
    .where("policy_id", "in", policyIds)
    .execute();
  const all = [...roots, ...ofPolicies.map(({ group_id }) => group_id)];
  return { groupIds: new Set(groupsBelow(await readGroups(db), all)), policyIds: new Set(policyIds) };
}

/** What a change is about. */
export interface Concern {
  /** It is about every group, such as declining. */
  readonly everywhere?: boolean;
  readonly groupIds?: readonly string[];
  readonly policyIds?: readonly string[];
  readonly deviceId?: string;
}

export async function isConcerned(db: Database, where: Guarded, concern: Concern): Promise<boolean> {
  const { everywhere = false, groupIds = [], policyIds = [], deviceId } = concern;
  if (everywhere || policyIds.some((id) => where.policyIds.has(id))) return true;
  if (groupsBelow(await readGroups(db), groupIds).some((id) => where.groupIds.has(id))) return true;
  if (deviceId !== undefined && (await guardedDevices(db, where, deviceId)).size > 0) return true;
  if (groupIds.length === 0) return false;
  const shared = await db
    .selectFrom("group_members as here")
    .innerJoin("group_members as there", "there.device_id", "here.device_id")
    .select("here.device_id")
    .where("here.group_id", "in", [...groupIds])
    .where("there.group_id", "in", [...where.groupIds])
    .limit(1)
    .executeTakeFirst();
  return shared !== undefined;
}

/** The devices of guarded groups; of one device alone where it is named. */
export async function guardedDevices(db: Database, where: Guarded, deviceId?: string): Promise<Set<string>> {
  let query = db
    .selectFrom("group_members")
    .select("device_id")
    .distinct()
    .where("group_id", "in", [...where.groupIds]);
  if (deviceId !== undefined) query = query.where("device_id", "=", deviceId);
  return new Set((await query.execute()).map((row) => row.device_id));
}

/** Whether a device or a group was guarded before a change and is not any more. */
export async function slipsOut(
  db: Database,
  { before, devices, deviceId }: { readonly before: Guarded; readonly devices: ReadonlySet<string>; deviceId?: string },
): Promise<boolean> {
  const after = await guarded(db);
  if (after === undefined || [...before.groupIds].some((id) => !after.groupIds.has(id))) return true;
  const still = await guardedDevices(db, after, deviceId);
  return [...devices].some((id) => !still.has(id));
}
