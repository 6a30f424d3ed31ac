/** The fleet in figures, counted by the database: each is one query over an index or a small table. */
import { rolloutStates } from "../../api/schemas/rollouts.ts";
import type { Database } from "../database/tables.ts";
import type { Signals } from "../signals.ts";

const hourMs = 60 * 60 * 1000;

/** What the figures are read from. */
export interface FleetSources {
  readonly database: Database;
  readonly signals: Signals;
  readonly clock: () => Date;
}

export interface Figure {
  readonly name: string;
  readonly help: string;
  readonly label?: readonly string[];
  readonly values: readonly { readonly labels: Readonly<Record<string, string>>; readonly value: number }[];
}

async function devices(db: Database, now: number): Promise<Figure[]> {
  const rows = await db
    .selectFrom("devices")
    .select("state")
    .select(({ fn }) => fn.countAll<number>().as("count"))
    .groupBy("state")
    .execute();
  const counts = new Map(rows.map(({ state, count }) => [state as string, Number(count)]));
  const { silent } = await db
    .selectFrom("devices")
    .select(({ fn }) => fn.countAll<number>().as("silent"))
    .where("state", "=", "enrolled")
    .where(({ fn }) => fn.coalesce("last_seen_at", "enrolled_at"), "<", now - hourMs)
    .executeTakeFirstOrThrow();
  return [
    {
      ...{ name: "rebootless_devices", help: "Devices, by whether they are enrolled or revoked.", label: ["state"] },
      values: ["enrolled", "revoked"].map((state) => ({ labels: { state }, value: counts.get(state) ?? 0 })),
    },
    {
      ...{ name: "rebootless_devices_silent", help: "Enrolled devices that were not seen for an hour." },
      values: [{ labels: {}, value: Number(silent) }],
    },
  ];
}

async function states(db: Database): Promise<Figure> {
  const rows = await db
    .selectFrom("device_states")
    .select(["product", "state"])
    .select(({ fn }) => fn.countAll<number>().as("count"))
    .groupBy(["product", "state"])
    .execute();
  return {
    ...{
      name: "rebootless_device_states",
      help: "Devices by product and state; those that are not targeted are left out.",
    },
    label: ["product", "state"],
    values: rows.map(({ product, state, count }) => ({ labels: { product, state }, value: Number(count) })),
  };
}

async function actions(db: Database): Promise<Figure> {
  const rows = await db
    .selectFrom("actions")
    .select("state")
    .select(({ fn }) => fn.countAll<number>().as("count"))
    .groupBy("state")
    .execute();
  return {
    ...{ name: "rebootless_actions", help: "Hotpatches on devices, by the state of their actions.", label: ["state"] },
    values: rows.map(({ state, count }) => ({ labels: { state }, value: Number(count) })),
  };
}

async function blocks(db: Database): Promise<Figure> {
  const rows = await db
    .selectFrom("offer_blocks")
    .select("code")
    .select(({ fn }) => fn.countAll<number>().as("count"))
    .groupBy("code")
    .execute();
  return {
    ...{ name: "rebootless_offer_blocks", help: "What keeps wanted hotpatches off devices, by code.", label: ["code"] },
    values: rows.map(({ code, count }) => ({ labels: { code }, value: Number(count) })),
  };
}

async function rollouts(db: Database): Promise<Figure> {
  const rows = await db
    .selectFrom("rollouts")
    .select("state")
    .select(({ fn }) => fn.countAll<number>().as("count"))
    .groupBy("state")
    .execute();
  const counts = new Map(rows.map(({ state, count }) => [state, Number(count)]));
  return {
    ...{ name: "rebootless_rollouts", help: "Phased rollouts, by state.", label: ["state"] },
    values: rolloutStates.map((state) => ({ labels: { state }, value: counts.get(state) ?? 0 })),
  };
}

async function work(db: Database): Promise<Figure[]> {
  const { waiting } = await db
    .selectFrom("approval_requests")
    .select(({ fn }) => fn.countAll<number>().as("waiting"))
    .where("state", "=", "waiting")
    .executeTakeFirstOrThrow();
  const { holds } = await db
    .selectFrom("holds")
    .select(({ fn }) => fn.countAll<number>().as("holds"))
    .where("released_at", "is", null)
    .executeTakeFirstOrThrow();
  const newest = await db.selectFrom("counters").select("value").where("name", "=", "events").executeTakeFirst();
  const one = (name: string, help: string, value: number) => ({ name, help, values: [{ labels: {}, value }] });
  return [
    one("rebootless_approval_requests_waiting", "Changes that wait for a second person.", Number(waiting)),
    one("rebootless_holds", "Safeguard holds that are in force.", Number(holds)),
    one("rebootless_newest_event", "The number of the newest event.", Number(newest?.value ?? 0)),
  ];
}

export async function fleetFigures({ database, clock, signals }: FleetSources): Promise<Figure[]> {
  return [
    ...(await devices(database, clock().getTime())),
    ...[await states(database), await actions(database), await blocks(database), await rollouts(database)],
    ...(await work(database)),
    {
      ...{ name: "rebootless_waiting", help: "Polls and event streams that wait at this server." },
      values: [{ labels: {}, value: signals.count }],
    },
  ];
}
