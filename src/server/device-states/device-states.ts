/** Questions about the states of devices: lists, counts, and why. */

import { apiLimits } from "../../api/api-limits.ts";
import { productStates } from "../../api/device-state-table.ts";
import type {
  DeviceState,
  DeviceStateSearch,
  ExplainedState,
  OfferBlock,
  StateCounts,
} from "../../api/schemas/device-states.ts";
import { RebootlessError } from "../../base/errors.ts";
import { instant } from "../context.ts";
import type { Page } from "../database/page.ts";
import type { Database, Tables } from "../database/tables.ts";
import { requireDevice } from "../devices/devices.ts";
import { holdGate } from "../holds/hold-gate.ts";
import { candidateKey } from "../offers/gates.ts";
import { productOf } from "./keep-states.ts";

type Row = Tables["device_states"] & { name: string };

function shown(row: Row): DeviceState {
  const { in_place_id, in_place_sequence } = row;
  return {
    ...{ deviceId: row.device_id, deviceName: row.name, product: row.product, state: row.state, code: row.code },
    ...{ hotpatchId: row.hotpatch_id, sequence: row.sequence, reason: row.reason, helps: row.helps },
    inPlace: in_place_id === null ? null : { hotpatchId: in_place_id, sequence: in_place_sequence ?? 0 },
    since: instant(row.since),
    until: row.until_at === null ? null : instant(row.until_at),
  };
}

function notTargeted(deviceId: string, deviceName: string, product: string): DeviceState {
  return {
    ...{ deviceId, deviceName, product, state: "notTargeted", code: "action/none" },
    ...{ hotpatchId: null, sequence: null, inPlace: null, since: null, until: null },
    reason: "No hotpatch of this product is wanted on the device, and none is in place.",
    helps: "Approve one for a group of the device.",
  };
}

interface Position {
  readonly deviceId: string;
  readonly product: string;
}

function readCursor(cursor: string | undefined): Position {
  const [deviceId = "", ...product] = Buffer.from(cursor ?? "", "base64url")
    .toString("utf8")
    .split(" ");
  return { deviceId, product: product.join(" ") };
}

/** Throws `request/invalid` where those that are not targeted are asked for without a product. */
export async function listDeviceStates(db: Database, asked: DeviceStateSearch): Promise<Page<DeviceState>> {
  const limit = asked.limit ?? apiLimits.pageItemsByDefault;
  const after = readCursor(asked.cursor);
  const found =
    asked.state === "notTargeted"
      ? await listNotTargeted(db, asked, { after, rows: limit + 1 })
      : await listTargeted(db, asked, { after, rows: limit + 1 });
  const items = found.slice(0, limit);
  const last = items.at(-1);
  if (found.length <= limit || last === undefined) return { items };
  return { items, next: Buffer.from(`${last.deviceId} ${last.product}`, "utf8").toString("base64url") };
}

interface Bounds {
  readonly after: Position;
  readonly rows: number;
}

async function listTargeted(db: Database, asked: DeviceStateSearch, { after, rows }: Bounds): Promise<DeviceState[]> {
  const { product, state, group } = asked;
  let query = db
    .selectFrom("device_states")
    .innerJoin("devices", "devices.id", "device_states.device_id")
    .selectAll("device_states")
    .select("devices.name")
    .where((is) =>
      is.or([
        is("device_id", ">", after.deviceId),
        is.and([is("device_id", "=", after.deviceId), is("product", ">", after.product)]),
      ]),
    )
    .orderBy("device_id")
    .orderBy("product")
    .limit(rows);
  if (product !== undefined) query = query.where("product", "=", product);
  if (state !== undefined && state !== "notTargeted") query = query.where("device_states.state", "=", state);
  if (group !== undefined) query = query.where("device_id", "in", membersOf(db, group));
  return (await query.execute()).map(shown);
}

async function listNotTargeted(
  db: Database,
  asked: DeviceStateSearch,
  { after, rows }: Bounds,
): Promise<DeviceState[]> {
  const { product, group } = asked;
  if (product === undefined) {
    throw new RebootlessError("request/invalid", "Say for which product devices are not targeted.");
  }
  let query = db
    .selectFrom("devices")
    .select(["id", "name"])
    .where("state", "=", "enrolled")
    .where("id", ">", after.deviceId)
    .where((is) =>
      is.not(
        is.exists(
          is
            .selectFrom("device_states")
            .select("product")
            .whereRef("device_states.device_id", "=", "devices.id")
            .where("product", "=", product),
        ),
      ),
    )
    .orderBy("id")
    .limit(rows);
  if (group !== undefined) query = query.where("id", "in", membersOf(db, group));
  return (await query.execute()).map(({ id, name }) => notTargeted(id, name, product));
}

function membersOf(db: Database, group: string) {
  return db.selectFrom("group_members").select("device_id").where("group_id", "=", group);
}

/** Of every product that any device has a state for, or of one. */
export async function countDeviceStates(
  db: Database,
  { product, group }: { readonly product?: string; readonly group?: string },
): Promise<StateCounts[]> {
  let query = db
    .selectFrom("device_states")
    .select(["product", "state"])
    .select(({ fn }) => fn.countAll<number>().as("count"))
    .groupBy(["product", "state"]);
  if (product !== undefined) query = query.where("product", "=", product);
  if (group !== undefined) query = query.where("device_id", "in", membersOf(db, group));
  let total = db
    .selectFrom("devices")
    .select(({ fn }) => fn.countAll<number>().as("count"))
    .where("state", "=", "enrolled");
  if (group !== undefined) total = total.where("id", "in", membersOf(db, group));
  const { count: devices } = await total.executeTakeFirstOrThrow();
  const counted = Map.groupBy(await query.execute(), (row) => row.product);
  if (product !== undefined && !counted.has(product)) counted.set(product, []);
  return [...counted]
    .map(([name, rows]) => {
      const states = Object.fromEntries(productStates.map((state) => [state, 0])) as Record<string, number>;
      for (const { state, count } of rows) states[state] = count;
      states.notTargeted = devices - rows.reduce((sum, { count }) => sum + count, 0);
      return { product: name, devices, states };
    })
    .toSorted((a, b) => (a.product < b.product ? -1 : 1));
}

/** By product. Throws `request/not-found`. */
export async function explainDevice(db: Database, deviceId: string): Promise<ExplainedState[]> {
  const { name } = await requireDevice(db, deviceId);
  const rows = await db
    .selectFrom("device_states")
    .selectAll()
    .where("device_id", "=", deviceId)
    .orderBy("product")
    .execute();
  const blocks = await db
    .selectFrom("offer_blocks")
    .leftJoin("known_hotpatches", "known_hotpatches.id", "offer_blocks.hotpatch_id")
    .selectAll("offer_blocks")
    .select("product")
    .where("device_id", "=", deviceId)
    .orderBy("rank")
    .orderBy("subject")
    .execute();
  const ofProducts = Map.groupBy(blocks, (row) => productOf(row.hotpatch_id, row.product ?? undefined));
  const standing = rows.flatMap(({ in_place_id }) =>
    in_place_id === null ? [] : [{ deviceId, hotpatchId: in_place_id }],
  );
  const held = await holdGate(db, 0, standing);
  return rows.map((row) => ({
    ...shown({ ...row, name }),
    blocks: (ofProducts.get(row.product) ?? []).map(shownBlock),
    heldInPlace: [held.get(candidateKey({ deviceId, hotpatchId: row.in_place_id ?? "" })) ?? []]
      .flat()
      .map(({ reason, subject = "" }) => ({ holdId: subject, reason: `${reason} It is in place, and stays.` })),
  }));
}

export function shownBlock(row: Tables["offer_blocks"]): OfferBlock {
  return {
    ...{ hotpatchId: row.hotpatch_id, code: row.code, subject: row.subject, reason: row.reason, helps: row.helps },
    since: instant(row.since),
    until: row.until_at === null ? null : instant(row.until_at),
  };
}
