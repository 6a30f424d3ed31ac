/** Devices and what they tell of themselves. */
import type { Static } from "typebox";
import { apiLimits } from "../../api/api-limits.ts";
import type { Device, DeviceFacts, FactsChange, FactValue } from "../../api/schemas/devices.ts";
import { RebootlessError } from "../../base/errors.ts";
import { refuse } from "../../base/refusal.ts";
import { change, instant, type ServerContext } from "../context.ts";
import { type Page, type PageAsked, pageBounds, pageFrom } from "../database/page.ts";
import type { Database, Tables } from "../database/tables.ts";

type Row = Tables["devices"];

/** A device is seen at most once a minute: to the minute is what is shown, and a poll should not cost a write. */
const seenMs = 60_000;

export async function listDevices(db: Database, asked: PageAsked, groupId?: string): Promise<Page<Device>> {
  const { after, rows } = pageBounds(asked);
  let query = db.selectFrom("devices").selectAll().where("id", ">", after).orderBy("id").limit(rows);
  if (groupId !== undefined) {
    const members = db.selectFrom("group_members").select("device_id").where("group_id", "=", groupId);
    query = query.where("id", "in", members);
  }
  const found = await query.execute();
  const groups = await groupsOf(db, found);
  return pageFrom(found, asked, (row) => shown(row, groups.get(row.id) ?? []));
}

/** Throws `request/not-found`. */
export async function getDevice(db: Database, deviceId: string): Promise<Device> {
  const row = await requireDevice(db, deviceId);
  return shown(row, (await groupsOf(db, [row])).get(row.id) ?? []);
}

export async function requireDevice(db: Database, deviceId: string): Promise<Row> {
  const row = await db.selectFrom("devices").selectAll().where("id", "=", deviceId).executeTakeFirst();
  if (row === undefined) throw new RebootlessError("request/not-found", `There is no device ${deviceId}.`);
  return row;
}

async function groupsOf(db: Database, rows: readonly Row[]): Promise<Map<string, string[]>> {
  const ids = rows.map(({ id }) => id);
  const members = await db
    .selectFrom("group_members")
    .selectAll()
    .where("device_id", "in", ids)
    .orderBy("group_id")
    .execute();
  return Map.groupBy(members, ({ device_id }) => device_id)
    .entries()
    .reduce(
      (groups, [id, list]) =>
        groups.set(
          id,
          list.map(({ group_id }) => group_id),
        ),
      new Map<string, string[]>(),
    );
}

function shown(row: Row, groups: string[]): Device {
  return {
    id: row.id,
    name: row.name,
    state: row.state,
    enrolledAt: instant(row.enrolled_at),
    lastSeenAt: row.last_seen_at === null ? null : instant(row.last_seen_at),
    factsRevision: row.facts_revision,
    groups,
  };
}

/** Lets a device with a certificate in, and notes that it was here. Refuses with `access/device-revoked`. */
export async function admitDevice({ database, clock }: ServerContext, deviceId: string): Promise<void> {
  const row = await database
    .selectFrom("devices")
    .select(["state", "last_seen_at"])
    .where("id", "=", deviceId)
    .executeTakeFirst();
  if (row?.state !== "enrolled") {
    refuse("access/device-revoked", "This device is not, or no longer, enrolled here; enrol it with a new token.");
  }
  const now = clock().getTime();
  if (row.last_seen_at !== null && now - row.last_seen_at < seenMs) return;
  await database.updateTable("devices").set({ last_seen_at: now }).where("id", "=", deviceId).execute();
}

/** Cuts a device off for good, or takes note that it left; saying so twice is the same. Throws `request/not-found`. */
export async function revokeDevice(
  context: ServerContext,
  deviceId: string,
  by: "administrator" | "device",
): Promise<Device> {
  return await change(context, async ({ db, note, reassign }) => {
    const row = await requireDevice(db, deviceId);
    if (row.state === "enrolled") {
      await db.updateTable("devices").set({ state: "revoked" }).where("id", "=", deviceId).execute();
      await note("device-revoked", `device:${deviceId}`, { name: row.name, by });
      await reassign(deviceId);
    }
    return await getDevice(db, deviceId);
  });
}

export async function getFacts(db: Database, deviceId: string): Promise<Static<typeof DeviceFacts>> {
  const { facts_revision } = await requireDevice(db, deviceId);
  const rows = await db.selectFrom("facts").selectAll().where("device_id", "=", deviceId).orderBy("name").execute();
  const facts = Object.fromEntries(rows.map(({ name, value_json }) => [name, JSON.parse(value_json) as FactValue]));
  return { revision: facts_revision, facts };
}

/**
 * Takes what changed since the revision that the agent knows of; base 0 replaces all.
 * Refuses with `facts/revision-stale` when the server has another revision: the agent then sends everything.
 */
export async function changeFacts(
  context: ServerContext,
  deviceId: string,
  { base, changes }: FactsChange,
): Promise<{ revision: number }> {
  return await change(context, async ({ db, note }) => {
    const { facts_revision: current } = await requireDevice(db, deviceId);
    if (base !== 0 && base !== current) {
      refuse("facts/revision-stale", `The server has revision ${current}, not ${base}; send all facts, with base 0.`, {
        revision: current,
      });
    }
    if (base === 0) await db.deleteFrom("facts").where("device_id", "=", deviceId).execute();
    for (const [name, value] of Object.entries(changes)) await putFact(db, { deviceId, name, value });
    const { count } = await db
      .selectFrom("facts")
      .select(({ fn }) => fn.countAll<number>().as("count"))
      .where("device_id", "=", deviceId)
      .executeTakeFirstOrThrow();
    if (count > apiLimits.factsPerDevice) {
      throw new RebootlessError("request/too-large", `A device has at most ${apiLimits.factsPerDevice} facts.`);
    }
    const revision = current + 1;
    await db.updateTable("devices").set({ facts_revision: revision }).where("id", "=", deviceId).execute();
    await note("facts-changed", `device:${deviceId}`, { revision, names: Object.keys(changes).slice(0, 50) });
    return { revision };
  });
}

async function putFact(
  db: Database,
  { deviceId, name, value }: { deviceId: string; name: string; value: FactValue | null },
): Promise<void> {
  if (value === null) {
    await db.deleteFrom("facts").where("device_id", "=", deviceId).where("name", "=", name).execute();
    return;
  }
  const value_json = JSON.stringify(value);
  await db
    .insertInto("facts")
    .values({ device_id: deviceId, name, value_json })
    .onConflict((conflict) => conflict.columns(["device_id", "name"]).doUpdateSet({ value_json }))
    .execute();
}
