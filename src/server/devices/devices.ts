/** Devices and what they tell of themselves. */
import { apiLimits } from "../../api/api-limits.ts";
import type { Device, DeviceFacts, FactsChange, FactValue, TagChange } from "../../api/schemas/devices.ts";
import { RebootlessError } from "../../base/errors.ts";
import { refuse } from "../../base/refusal.ts";
import { type Change, change, instant, type ServerContext } from "../context.ts";
import type { Database, Tables } from "../database/tables.ts";
import { loadDevices } from "../groups/matching.ts";
import { placeDevice } from "../groups/membership.ts";
import { shownDevice } from "./shown-device.ts";

type Row = Tables["devices"];

/** A device is seen at most once a minute: to the minute is what is shown, and a poll should not cost a write. */
const seenMs = 60_000;

/** Throws `request/not-found`. */
export async function getDevice(db: Database, deviceId: string): Promise<Device> {
  const row = await requireDevice(db, deviceId);
  const [device] = await loadDevices(db, [row], { facts: new Set() });
  return shownDevice(device ?? { row, tags: [], groups: [] });
}

export async function requireDevice(db: Database, deviceId: string): Promise<Row> {
  const row = await db.selectFrom("devices").selectAll().where("id", "=", deviceId).executeTakeFirst();
  if (row === undefined) throw new RebootlessError("request/not-found", `There is no device ${deviceId}.`);
  return row;
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
export async function revokeDevice(context: ServerContext, deviceId: string): Promise<Device> {
  return await change(context, async (under) => {
    const { db, note, reassign } = under;
    const row = await requireDevice(db, deviceId);
    if (row.state === "enrolled") {
      await db.updateTable("devices").set({ state: "revoked" }).where("id", "=", deviceId).execute();
      await note("device-revoked", `device:${deviceId}`, { name: row.name });
      await placeDevice(under, context.random, deviceId, "anything");
      await reassign(deviceId);
    }
    return await getDevice(db, deviceId);
  });
}

export async function getFacts(db: Database, deviceId: string): Promise<DeviceFacts> {
  const { facts_revision } = await requireDevice(db, deviceId);
  const rows = await db.selectFrom("facts").selectAll().where("device_id", "=", deviceId).orderBy("name").execute();
  return {
    revision: facts_revision,
    facts: Object.fromEntries(rows.map(({ name, value_json }) => [name, JSON.parse(value_json) as FactValue])),
    changedAt: Object.fromEntries(
      rows.map(({ name, changed_at }) => [name, changed_at === 0 ? null : instant(changed_at)]),
    ),
  };
}

/**
 * Takes what changed since the revision that the agent knows of; base 0 replaces all.
 * The groups whose filters ask for what changed follow in the same transaction.
 * Refuses with `facts/revision-stale` when the server has another revision: the agent then sends everything.
 */
export async function changeFacts(
  context: ServerContext,
  deviceId: string,
  { base, changes }: FactsChange,
): Promise<{ revision: number }> {
  const take = async (under: Change) => {
    const { db, note } = under;
    const { facts_revision: current } = await requireDevice(db, deviceId);
    if (base !== 0 && base !== current) {
      refuse("facts/revision-stale", `The server has revision ${current}, not ${base}; send all facts, with base 0.`, {
        revision: current,
      });
    }
    const changed = await putFacts(under, deviceId, { isWhole: base === 0, changes });
    const revision = current + 1;
    await db.updateTable("devices").set({ facts_revision: revision }).where("id", "=", deviceId).execute();
    await note("facts-changed", `device:${deviceId}`, { revision, names: [...changed].slice(0, 50) });
    await placeDevice(under, context.random, deviceId, changed);
    return { revision };
  };
  return await change(context, take, { deviceId });
}

interface NewFacts {
  /** What is not among the changes is gone. */
  readonly isWhole: boolean;
  readonly changes: FactsChange["changes"];
}

/** The names of those that are other than before: an agent that tells all anew tells mostly what is known. */
async function putFacts(
  { db, now }: Change,
  deviceId: string,
  { isWhole, changes }: NewFacts,
): Promise<ReadonlySet<string>> {
  const rows = await db.selectFrom("facts").select(["name", "value_json"]).where("device_id", "=", deviceId).execute();
  const known = new Map(rows.map(({ name, value_json }) => [name, value_json]));
  const changed = new Set<string>();
  const gone = isWhole ? [...known.keys()].filter((name) => !Object.hasOwn(changes, name)) : [];
  for (const [name, value] of Object.entries(changes)) {
    if (value === null) {
      if (known.has(name)) gone.push(name);
      continue;
    }
    const value_json = JSON.stringify(value);
    if (known.get(name) === value_json) continue;
    changed.add(name);
    known.set(name, value_json);
    await db
      .insertInto("facts")
      .values({ device_id: deviceId, name, value_json, changed_at: now })
      .onConflict((conflict) => conflict.columns(["device_id", "name"]).doUpdateSet({ value_json, changed_at: now }))
      .execute();
  }
  for (const name of gone) {
    changed.add(name);
    known.delete(name);
    await db.deleteFrom("facts").where("device_id", "=", deviceId).where("name", "=", name).execute();
  }
  if (known.size > apiLimits.factsPerDevice) {
    throw new RebootlessError("request/too-large", `A device has at most ${apiLimits.factsPerDevice} facts.`);
  }
  return changed;
}

/** Gives a device tags and takes others from it; groups that ask for tags follow. Throws `request/not-found` and `request/too-large`. */
export async function tagDevice(
  context: ServerContext,
  deviceId: string,
  { add = [], remove = [] }: TagChange,
): Promise<Device> {
  return await change(context, async (under) => {
    const { db, note } = under;
    await requireDevice(db, deviceId);
    const rows = await db.selectFrom("device_tags").select("tag").where("device_id", "=", deviceId).execute();
    const before = new Set(rows.map(({ tag }) => tag));
    const added = [...new Set(add)].filter((tag) => !before.has(tag) && !remove.includes(tag));
    const removed = [...new Set(remove)].filter((tag) => before.has(tag));
    if (before.size + added.length - removed.length > apiLimits.tagsPerDevice) {
      throw new RebootlessError("request/too-large", `A device has at most ${apiLimits.tagsPerDevice} tags.`);
    }
    if (added.length > 0) {
      const values = added.map((tag) => ({ device_id: deviceId, tag }));
      await db.insertInto("device_tags").values(values).execute();
    }
    if (removed.length > 0) {
      await db.deleteFrom("device_tags").where("device_id", "=", deviceId).where("tag", "in", removed).execute();
    }
    if (added.length + removed.length > 0) {
      await note("device-tagged", `device:${deviceId}`, { added, removed });
      await placeDevice(under, context.random, deviceId, new Set(["tags"]));
    }
    return await getDevice(db, deviceId);
  });
}
