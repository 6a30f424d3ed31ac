/**
 * The search over devices: SQL for the group, the state and the order, and for the filter and the words a look at each device that is left, some hundred at a time.
 *
 * One request looks at a bounded number of devices; what it has found by then is its page, with a cursor that goes on from there.
 */
import { setImmediate } from "node:timers/promises";
import { sql } from "kysely";
import { apiLimits } from "../../api/api-limits.ts";
import type { Device, DeviceSearch, DeviceSort } from "../../api/schemas/devices.ts";
import { RebootlessError } from "../../base/errors.ts";
import { compileFilter } from "../../cel/compile-filter.ts";
import { type Reach, reachedGroups } from "../access/reach.ts";
import type { Page } from "../database/page.ts";
import type { Database } from "../database/tables.ts";
import { type DeviceRow, type LoadedDevice, loadDevices, Matcher } from "../groups/matching.ts";
import { shownDevice } from "./shown-device.ts";

/** Facts that words are looked for in. */
const wordFacts: ReadonlySet<string> = new Set([
  ...["host.name", "os.id", "os.name", "os.version", "os.codename", "hardware.vendor", "hardware.model", "cpu.model"],
]);
const chunkDevices = 500;
const none: ReadonlySet<string> = new Set();

/** Throws `request/filter`, `request/not-found` for an unknown group, and `request/invalid` for a cursor of another search. */
export async function searchDevices(db: Database, asked: DeviceSearch, reach: Reach): Promise<Page<Device>> {
  const limit = asked.limit ?? apiLimits.pageItemsByDefault;
  const filter = asked.filter === undefined ? undefined : compileFilter(asked.filter, "search");
  const matcher = filter === undefined ? undefined : new Matcher(filter);
  const searched = (asked.text ?? "")
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== "");
  const isPlain = matcher === undefined && searched.length === 0;
  const facts = new Set([...(filter?.facts ?? none), ...(searched.length === 0 ? none : wordFacts)]);
  const items: Device[] = [];
  let after = asked.cursor === undefined ? undefined : readCursor(asked.cursor);
  for (let seen = 0; ; ) {
    // One more than a page tells whether another one follows.
    const wanted = isPlain ? limit + 1 : chunkDevices;
    const rows = await candidates(db, asked, { after, wanted, reach });
    const loaded = await loadDevices(db, rows, { facts, binaries: filter?.asksBinaries === true });
    for (const device of loaded) {
      if (items.length === limit) return { items, next: writeCursor(after) };
      seen += 1;
      const holds = matcher === undefined || matcher.outcome(narrowed(device, filter?.facts)).kind === "holds";
      if (holds && hasWords(device, searched)) items.push(shownDevice(device));
      after = positionOf(device.row, asked.sort ?? "id");
    }
    if (rows.length < wanted) return { items };
    if (seen >= apiLimits.searchedDevices) return { items, next: writeCursor(after) };
    await setImmediate();
  }
}

/** Without what was read for the words, which would make equal devices differ for the filter. */
function narrowed(device: LoadedDevice, facts: ReadonlySet<string> | undefined): LoadedDevice {
  if (facts === undefined || facts.size === device.facts.size) return device;
  const own = [...device.facts].filter(([name]) => facts.has(name) || name.startsWith("binary."));
  return { ...device, facts: new Map(own) };
}

function hasWords({ row, tags, facts }: LoadedDevice, searched: readonly string[]): boolean {
  if (searched.length === 0) return true;
  const values = [...facts].flatMap(([name, json]) => (wordFacts.has(name) ? [String(JSON.parse(json))] : []));
  const places = [row.name, ...tags, ...values].map((place) => place.toLowerCase());
  return searched.every((word) => row.id.startsWith(word) || places.some((place) => place.includes(word)));
}

/** Where a page ended: the id of its last device, and what it was sorted by. */
interface Position {
  readonly id: string;
  readonly value: string | number;
}

function positionOf(row: DeviceRow, sort: DeviceSort): Position {
  const values = { id: row.id, name: row.name, enrolledAt: row.enrolled_at, lastSeenAt: row.last_seen_at ?? 0 };
  return { id: row.id, value: values[sort.replace("-", "") as keyof typeof values] };
}

/** A name is not written out: it may be longer than an address, and is that of the device. */
function writeCursor(position: Position | undefined): string {
  const { id = "", value = "" } = position ?? {};
  return Buffer.from(typeof value === "number" ? `${id} ${value}` : id, "utf8").toString("base64url");
}

function readCursor(cursor: string): Position {
  const [id = "", value = ""] = Buffer.from(cursor, "base64url").toString("utf8").split(" ");
  return { id, value: /^\d{1,15}$/.test(value) ? Number(value) : id };
}

interface Chunk {
  readonly after: Position | undefined;
  readonly wanted: number;
  readonly reach: Reach;
}

/** Never seen counts as seen at the beginning of time. */
const columns = {
  id: sql<string>`devices.id`,
  name: sql<string>`devices.name`,
  enrolledAt: sql<number>`devices.enrolled_at`,
  lastSeenAt: sql<number>`coalesce(devices.last_seen_at, 0)`,
};

async function candidates(db: Database, asked: DeviceSearch, { after, wanted, reach }: Chunk): Promise<DeviceRow[]> {
  const sort = asked.sort ?? "id";
  const key = sort.replace("-", "") as keyof typeof columns;
  const [direction, beyond] = sort.startsWith("-") ? (["desc", "<"] as const) : (["asc", ">"] as const);
  const column = columns[key];
  let query = db.selectFrom("devices").selectAll("devices").orderBy(column, direction).limit(wanted);
  if (key !== "id") query = query.orderBy("devices.id", direction);
  if (asked.state !== undefined) query = query.where("devices.state", "=", asked.state);
  if (asked.group !== undefined) {
    const members = db.selectFrom("group_members").select("device_id").where("group_id", "=", asked.group);
    query = query.where("devices.id", "in", members);
  }
  const reached = reachedGroups(reach);
  if (reached !== undefined) {
    const members = db.selectFrom("group_members").select("device_id").where("group_id", "in", reached);
    query = query.where("devices.id", "in", members);
  }
  if (after !== undefined) {
    const value = await valueAfter(db, after, key);
    query =
      key === "id"
        ? query.where("devices.id", beyond, after.id)
        : query.where((is) =>
            is.or([is(column, beyond, value), is.and([is(column, "=", value), is("devices.id", beyond, after.id)])]),
          );
  }
  return await query.execute();
}

async function valueAfter(db: Database, { id, value }: Position, key: keyof typeof columns): Promise<string | number> {
  if (key === "id") return id;
  if (key !== "name") {
    if (typeof value === "number") return value;
    throw new RebootlessError("request/invalid", "The cursor belongs to a search with another order.");
  }
  const row = await db.selectFrom("devices").select("name").where("id", "=", id).executeTakeFirst();
  if (row === undefined) throw new RebootlessError("request/invalid", "The cursor belongs to another search.");
  return row.name;
}
