/** The devices that a rollout is for, and where they stand in it. */
import type { RolloutSpec } from "../../api/schemas/rollouts.ts";
import type { Change } from "../context.ts";
import type { Database } from "../database/tables.ts";
import { planRings, ringOfLate, type Target } from "./plan-rings.ts";
import type { StoredRollout } from "./stored-rollouts.ts";

/** Devices of one statement. */
const devicesAtOnce = 500;

function groupsNamed({ rings }: Pick<RolloutSpec, "rings">): string[] {
  return rings.flatMap(({ takes }) => (takes !== null && "groupId" in takes ? [takes.groupId] : []));
}

/** Groups that a rollout cannot do without. */
export function groupsOfRollout(groupId: string, spec: Pick<RolloutSpec, "rings">): string[] {
  return [groupId, ...groupsNamed(spec)];
}

async function described(
  db: Database,
  ids: readonly string[],
  { siteTag, rings }: Pick<RolloutSpec, "siteTag" | "rings">,
): Promise<Target[]> {
  const named = groupsNamed({ rings });
  const targets: Target[] = [];
  for (let from = 0; from < ids.length; from += devicesAtOnce) {
    const some = ids.slice(from, from + devicesAtOnce);
    const tags = await db.selectFrom("device_tags").selectAll().where("device_id", "in", some).orderBy("tag").execute();
    const members = await db
      .selectFrom("group_members")
      .selectAll()
      .where("device_id", "in", some)
      .where("group_id", "in", named)
      .execute();
    const tagsOf = Map.groupBy(tags, (row) => row.device_id);
    const groupsOf = Map.groupBy(members, (row) => row.device_id);
    for (const deviceId of some) {
      const site = tagsOf.get(deviceId)?.find(({ tag }) => tag.startsWith(siteTag))?.tag ?? "";
      const groupIds = new Set(groupsOf.get(deviceId)?.map(({ group_id }) => group_id));
      targets.push({ deviceId, site, groupIds });
    }
  }
  return targets;
}

function members(db: Database, groupId: string) {
  return db
    .selectFrom("group_members")
    .innerJoin("devices", "devices.id", "group_members.device_id")
    .select("devices.id as id")
    .where("group_id", "=", groupId)
    .where("devices.state", "=", "enrolled");
}

/** The enrolled devices of a group, ready to be placed. */
export async function targetsOf(
  db: Database,
  groupId: string,
  spec: Pick<RolloutSpec, "siteTag" | "rings">,
): Promise<Target[]> {
  const rows = await members(db, groupId).orderBy("devices.id").execute();
  return await described(
    db,
    rows.map(({ id }) => id),
    spec,
  );
}

interface Place {
  readonly deviceId: string;
  readonly ring: number;
  readonly position: number;
}

async function insert(db: Database, rolloutId: string, places: readonly Place[]): Promise<void> {
  for (let from = 0; from < places.length; from += devicesAtOnce) {
    const values = places.slice(from, from + devicesAtOnce).map(({ deviceId, ring, position }) => ({
      ...{ rollout_id: rolloutId, device_id: deviceId, ring, position, granted_at: null },
    }));
    await db.insertInto("rollout_devices").values(values).execute();
  }
}

/** Gives each device of the target its ring, at the start. */
export async function placeTarget(db: Database, { row, spec }: StoredRollout): Promise<void> {
  const targets = await targetsOf(db, row.group_id, spec);
  await insert(db, row.id, planRings(targets, spec, row.id));
}

/** Who came into the target since is placed behind those of his ring; who left it has no place any more. */
export async function followTarget({ db }: Change, { row, spec }: StoredRollout): Promise<void> {
  await db
    .deleteFrom("rollout_devices")
    .where("rollout_id", "=", row.id)
    .where("device_id", "not in", members(db, row.group_id))
    .execute();
  const placed = db.selectFrom("rollout_devices").select("device_id").where("rollout_id", "=", row.id);
  const late = await members(db, row.group_id).where("devices.id", "not in", placed).orderBy("devices.id").execute();
  if (late.length === 0) return;
  const ends = await db
    .selectFrom("rollout_devices")
    .select("ring")
    .select(({ fn }) => fn.max("position").as("last"))
    .where("rollout_id", "=", row.id)
    .groupBy("ring")
    .execute();
  const nextOf = new Map(ends.map(({ ring, last }) => [ring, Number(last) + 1]));
  const places = (
    await described(
      db,
      late.map(({ id }) => id),
      spec,
    )
  ).map(({ deviceId, groupIds }) => {
    const ring = ringOfLate(spec.rings, groupIds);
    const position = nextOf.get(ring) ?? 0;
    nextOf.set(ring, position + 1);
    return { deviceId, ring, position };
  });
  await insert(db, row.id, places);
}
