/** Which baseline a device is on, and what it is offered: the baseline first where it is behind, the cumulative one where it cannot be hotpatched. */
import type { Calendar, CalendarQuery, DeviceServicing } from "../../api/schemas/catalog.ts";
import { requireCatalog } from "../catalog/catalog.ts";
import { servicingOf, unchosen } from "../catalog/servicing.ts";
import type { ServerContext } from "../context.ts";
import type { Database } from "../database/tables.ts";
import { requireDevice } from "../devices/devices.ts";
import { wantedOn } from "../offers/wanted.ts";
import { calendarRows, nextBaselineMonth } from "./calendar.ts";
import { standingFacts } from "./device-facts.ts";
import { keptBaselines } from "./kept-catalog.ts";
import { type Place, placeAmong } from "./standing.ts";

type Offer = DeviceServicing["offers"][number];

/** Blocks under which the cumulative baseline takes the place of a hotpatch. */
const fallbackCodes = ["eligibility/unmet", "baseline/fallback", "channel/standard", "track/off"];

interface Wanted {
  readonly id: string;
  /** The block that counts, where there is one. */
  readonly block: { readonly code: string; readonly reason: string } | undefined;
}

async function wantedHotpatches(db: Database, deviceId: string): Promise<Wanted[]> {
  const wanted = await wantedOn(db, [deviceId]);
  const blocks = await db
    .selectFrom("offer_blocks")
    .select(["hotpatch_id", "code", "reason"])
    .where("device_id", "=", deviceId)
    .orderBy("rank")
    .execute();
  return wanted.map(({ hotpatchId: id }) => ({ id, block: blocks.find(({ hotpatch_id }) => hotpatch_id === id) }));
}

/** Pure: what a device is offered, in order. */
export function offersOf({ newest, standing }: Place, wanted: readonly Wanted[]): Offer[] {
  const offers: Offer[] = [];
  const isBehind = standing.kind === "behind" || standing.kind === "restart";
  const fallback = wanted.find(({ block }) => block !== undefined && fallbackCodes.includes(block.code));
  if (newest !== undefined && isBehind) {
    const reason =
      fallback?.block === undefined
        ? `It comes before hotpatches: the device lacks ${standing.lacks.slice(0, 3).join(", ")}.`
        : `In the place of ${fallback.id}: ${fallback.block.reason}`;
    offers.push({ kind: "baseline", id: newest.id, restart: newest.release.restart, reason });
  }
  for (const { id, block } of wanted) {
    offers.push({ kind: "hotpatch", id, restart: "none", reason: block?.reason ?? "" });
  }
  return offers;
}

/** Throws `request/not-found`. */
export async function getDeviceServicing(db: Database, deviceId: string): Promise<DeviceServicing> {
  await requireDevice(db, deviceId);
  const choice = (await servicingOf(db, [deviceId])).get(deviceId) ?? unchosen;
  const facts = (await standingFacts(db, [deviceId])).get(deviceId) ?? {};
  const place = placeAmong(facts, await keptBaselines(db), choice);
  const { on, newest, standing, offTrackBy } = place;
  const until = offTrackBy?.release.month;
  return {
    deviceId,
    channel: choice.channel,
    preview: choice.preview,
    baseline: on?.id ?? null,
    newest: newest?.id ?? null,
    standing: standing.kind,
    lacks: [...standing.lacks],
    offTrack: offTrackBy !== undefined && until != null ? { by: offTrackBy.id, until: nextBaselineMonth(until) } : null,
    offers: offersOf(place, await wantedHotpatches(db, deviceId)),
  };
}

export async function getCalendar({ catalog, clock }: ServerContext, asked: CalendarQuery): Promise<Calendar> {
  const content = await requireCatalog(catalog).content();
  const present = clock().toISOString().slice(0, 7);
  const { from = `${present.slice(0, 4)}-01`, months = 12 } = asked;
  return { rows: calendarRows(content, { from, months, present }) };
}
