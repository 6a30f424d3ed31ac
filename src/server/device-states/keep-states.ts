/**
 * Keeps `device_states` what is worked out of the actions, the blocks and what is wanted.
 *
 * `change` (src/server/context.ts) calls it at the end of each transaction for the devices that it touched, so what is stored is true in every state of the database that anybody sees.
 */
import type { Database, Tables } from "../database/tables.ts";
import { wantedOn } from "../offers/wanted.ts";
import { type Pair, type WorkedOut, workOut } from "./work-out.ts";

type Row = Tables["device_states"];

const chunkDevices = 500;
/** Rows of one statement, below what both databases take. */
const rowsAtOnce = 1_000;

/** A hotpatch that no catalog told of yet is a product of its own. */
export function productOf(hotpatchId: string, known: string | undefined): string {
  return known ?? `unknown/${hotpatchId}`;
}

export async function keepDeviceStates(db: Database, now: number, deviceIds: readonly string[]): Promise<void> {
  for (let from = 0; from < deviceIds.length; from += chunkDevices) {
    await keepSome(db, now, deviceIds.slice(from, from + chunkDevices));
  }
}

async function keepSome(db: Database, now: number, deviceIds: readonly string[]): Promise<void> {
  const states = await workedOut(db, deviceIds);
  const found = await db
    .selectFrom("device_states")
    .selectAll()
    .where("device_id", "in", [...deviceIds])
    .execute();
  const before = new Map(found.map((row) => [keyOf(row), row]));
  const changed: Row[] = [];
  for (const { deviceId, product, state } of states) {
    const row = rowOf(deviceId, product, { state, now });
    const known = before.get(keyOf(row));
    before.delete(keyOf(row));
    const isSameState = known?.state === row.state && known.hotpatch_id === row.hotpatch_id && known.code === row.code;
    const kept = isSameState ? { ...row, since: known.since } : row;
    if (known === undefined || !isSame(known, kept)) changed.push(kept);
  }
  await write(db, changed);
  const gone = Map.groupBy(before.values(), ({ product }) => product);
  for (const [product, rows] of gone) {
    const ids = rows.map(({ device_id }) => device_id);
    await db.deleteFrom("device_states").where("product", "=", product).where("device_id", "in", ids).execute();
  }
}

function keyOf({ device_id, product }: Pick<Row, "device_id" | "product">): string {
  return `${device_id} ${product}`;
}

function isSame(left: Row, right: Row): boolean {
  return (Object.keys(right) as (keyof Row)[]).every((column) => left[column] === right[column]);
}

function rowOf(device_id: string, product: string, { state, now }: { state: WorkedOut; now: number }): Row {
  const { code, reason, helps, hotpatchId, sequence, inPlace, untilMs } = state;
  return {
    ...{ device_id, product, state: state.state, code, hotpatch_id: hotpatchId, sequence },
    ...{ in_place_id: inPlace?.hotpatchId ?? null, in_place_sequence: inPlace?.sequence ?? null },
    ...{ reason, helps, since: now, until_at: untilMs },
  };
}

async function write(db: Database, rows: readonly Row[]): Promise<void> {
  for (let from = 0; from < rows.length; from += rowsAtOnce) {
    await db
      .insertInto("device_states")
      .values(rows.slice(from, from + rowsAtOnce))
      .onConflict((conflict) =>
        conflict.columns(["device_id", "product"]).doUpdateSet((is) => ({
          state: is.ref("excluded.state"),
          code: is.ref("excluded.code"),
          hotpatch_id: is.ref("excluded.hotpatch_id"),
          sequence: is.ref("excluded.sequence"),
          in_place_id: is.ref("excluded.in_place_id"),
          in_place_sequence: is.ref("excluded.in_place_sequence"),
          reason: is.ref("excluded.reason"),
          helps: is.ref("excluded.helps"),
          since: is.ref("excluded.since"),
          until_at: is.ref("excluded.until_at"),
        })),
      )
      .execute();
  }
}

interface DeviceState {
  readonly deviceId: string;
  readonly product: string;
  readonly state: WorkedOut;
}

/** The states of these devices, worked out anew from what the database holds. A device that was cut off has none. */
export async function workedOut(db: Database, deviceIds: readonly string[]): Promise<DeviceState[]> {
  const pairs = await pairsOf(db, deviceIds);
  const states: DeviceState[] = [];
  for (const [deviceId, ofProducts] of pairs) {
    for (const [product, ofProduct] of ofProducts) {
      const state = workOut([...ofProduct.values()]);
      if (state !== undefined) states.push({ deviceId, product, state });
    }
  }
  return states;
}

type Products = Map<string, Map<string, Pair>>;

async function pairsOf(db: Database, deviceIds: readonly string[]): Promise<Map<string, Products>> {
  const ids = [...deviceIds];
  const wanted = await wantedOn(db, ids);
  const actions = await db
    .selectFrom("actions")
    .innerJoin("devices", "devices.id", "actions.device_id")
    .leftJoin("removed_actions", "removed_actions.action_id", "actions.id")
    .select(["device_id", "hotpatch_id", "actions.state", "reason", "taken_back_by", "action_id"])
    .where("device_id", "in", ids)
    .where("devices.state", "=", "enrolled")
    .execute();
  const blocks = await db.selectFrom("offer_blocks").selectAll().where("device_id", "in", ids).execute();
  const hotpatchIds = new Set([...wanted.map((pair) => pair.hotpatchId), ...actions.map((row) => row.hotpatch_id)]);
  const rows = await db
    .selectFrom("known_hotpatches")
    .select(["id", "product", "sequence"])
    .where("id", "in", [...hotpatchIds])
    .execute();
  const known = new Map(rows.map((row) => [row.id, row]));
  const found = new Map<string, Products>();
  const put = (deviceId: string, hotpatchId: string, more: Partial<Pair>) => {
    const products: Products = found.get(deviceId) ?? new Map();
    found.set(deviceId, products);
    const product = productOf(hotpatchId, known.get(hotpatchId)?.product);
    const pairs = products.get(product) ?? new Map<string, Pair>();
    products.set(product, pairs);
    const sequence = known.get(hotpatchId)?.sequence ?? 0;
    pairs.set(hotpatchId, { hotpatchId, sequence, wanted: false, blocks: [], ...pairs.get(hotpatchId), ...more });
  };
  for (const { deviceId, hotpatchId } of wanted) put(deviceId, hotpatchId, { wanted: true });
  for (const { device_id, hotpatch_id, state, reason, taken_back_by, action_id } of actions) {
    const action = { state, reason, byGuard: taken_back_by === "guard", mayReturn: action_id !== null };
    put(device_id, hotpatch_id, { action });
  }
  const ofPairs = Map.groupBy(blocks, ({ device_id, hotpatch_id }) => `${device_id} ${hotpatch_id}`);
  for (const { deviceId, hotpatchId } of wanted) {
    const ofPair = ofPairs.get(`${deviceId} ${hotpatchId}`) ?? [];
    const ranked = ofPair.toSorted((a, b) => a.rank - b.rank || (a.subject < b.subject ? -1 : 1));
    put(deviceId, hotpatchId, {
      blocks: ranked.map(({ code, reason, helps, until_at }) => ({ code, reason, helps, untilMs: until_at })),
    });
  }
  return found;
}
