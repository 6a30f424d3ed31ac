/** The devices of a rollout with their rings, and of one that is only thought of. */
import type { NewRollout, RolloutDevice, RolloutPreview } from "../../api/schemas/rollouts.ts";
import { requireHotpatch } from "../catalog/catalog.ts";
import { instant, type ServerContext } from "../context.ts";
import { type Page, type PageAsked, pageBounds, pageFrom } from "../database/page.ts";
import type { Database } from "../database/tables.ts";
import { gates } from "../offers/gate-list.ts";
import { askGates, candidateKey } from "../offers/gates.ts";
import { planRings } from "./plan-rings.ts";
import { rolloutGate } from "./rollout-gate.ts";
import { checkRollout } from "./rollouts.ts";
import { requireRollout } from "./stored-rollouts.ts";
import { targetsOf } from "./targets.ts";

export const devicesAtOnce = 500;
/** Devices that a preview lists. */
const listed = 200;

/** Throws `request/not-found`. */
export async function listRolloutDevices(
  { database }: ServerContext,
  rolloutId: string,
  asked: PageAsked,
): Promise<Page<RolloutDevice>> {
  const { row, spec } = await requireRollout(database, rolloutId);
  const { after, rows } = pageBounds(asked);
  const found = await database
    .selectFrom("rollout_devices")
    .innerJoin("devices", "devices.id", "rollout_devices.device_id")
    .select(["devices.id", "devices.name", "ring", "granted_at"])
    .where("rollout_id", "=", rolloutId)
    .where("devices.id", ">", after)
    .orderBy("devices.id")
    .limit(rows)
    .execute();
  const blocks = await database
    .selectFrom("offer_blocks")
    .select(["device_id", "code", "reason"])
    .where("hotpatch_id", "=", row.hotpatch_id)
    .where(
      "device_id",
      "in",
      found.map(({ id }) => id),
    )
    .orderBy("rank")
    .orderBy("subject")
    .execute();
  const ofDevice = Map.groupBy(blocks, ({ device_id }) => device_id);
  return pageFrom(found, asked, ({ id, name, ring, granted_at }) => ({
    ...{ deviceId: id, deviceName: name, ring: spec.rings[ring]?.name ?? "" },
    grantedAt: granted_at === null ? null : instant(granted_at),
    blocks: (ofDevice.get(id) ?? []).map(({ code, reason }) => ({ code, reason })),
  }));
}

async function namesOf(db: Database, ids: readonly string[]): Promise<Map<string, string>> {
  const rows = await db
    .selectFrom("devices")
    .select(["id", "name"])
    .where("id", "in", [...ids])
    .execute();
  return new Map(rows.map(({ id, name }) => [id, name]));
}

/** All but that of rollouts. */
export const gatesBeside = gates.filter((gate) => gate !== rolloutGate);

/** By the gates as they answer now. Refuses as the catalog does; throws `request/invalid` and `request/not-found`. */
export async function previewRollout(context: ServerContext, wanted: NewRollout): Promise<RolloutPreview> {
  const { database, clock } = context;
  const { id: hotpatchId } = await requireHotpatch(context.catalog, wanted.hotpatchId);
  const spec = await checkRollout(database, wanted);
  const placed = planRings(await targetsOf(database, wanted.groupId, spec), spec, hotpatchId);
  const rings = spec.rings.map(({ name }) => ({ name, devices: 0, ready: 0 }));
  const counts = new Map<string, number>();
  const devices: RolloutDevice[] = [];
  for (let from = 0; from < placed.length; from += devicesAtOnce) {
    const some = placed.slice(from, from + devicesAtOnce);
    const candidates = some.map(({ deviceId }) => ({ deviceId, hotpatchId }));
    const blocks = await askGates(database, clock().getTime(), { gates: gatesBeside, candidates });
    const names = await namesOf(
      database,
      some.map(({ deviceId }) => deviceId),
    );
    for (const { deviceId, ring } of some) {
      const own = blocks.get(candidateKey({ deviceId, hotpatchId })) ?? [];
      const [first] = own;
      const figures = rings[ring];
      if (figures === undefined) continue;
      figures.devices += 1;
      if (first === undefined) figures.ready += 1;
      else counts.set(first.code, (counts.get(first.code) ?? 0) + 1);
      if (devices.length >= listed) continue;
      devices.push({
        ...{ deviceId, deviceName: names.get(deviceId) ?? "", ring: figures.name, grantedAt: null },
        blocks: own.map(({ code, reason }) => ({ code, reason })),
      });
    }
  }
  return {
    ...{ rings, devices, more: placed.length - devices.length },
    blocks: [...counts].map(([code, devices]) => ({ code, devices })).toSorted((a, b) => b.devices - a.devices),
  };
}
