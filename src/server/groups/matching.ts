/**
 * Filters over the devices of the database: only the facts that a filter asks for are read, a few hundred devices at a time.
 *
 * Devices with the same values of those facts come to the same end, so each distinct device is evaluated once.
 */
import { setImmediate } from "node:timers/promises";
import type { Facts } from "../../api/schemas/devices.ts";
import { RebootlessError } from "../../base/errors.ts";
import type { Filter, FilterDevice, FilterOutcome } from "../../cel/compile-filter.ts";
import { everything, type Reach, reachedGroups } from "../access/reach.ts";
import type { Database, Tables } from "../database/tables.ts";

export type DeviceRow = Tables["devices"];
const chunkDevices = 500;
/** Of evaluation alone, over all devices: what takes longer is not for a server that others wait for. */
const patienceMs = 20_000;
const rememberedOutcomes = 10_000;

/** The values of one row as text, and what was read of it. */
export interface LoadedDevice {
  readonly row: DeviceRow;
  readonly tags: readonly string[];
  readonly groups: readonly string[];
  readonly facts: ReadonlyMap<string, string>;
}

export interface Wanted {
  readonly facts: ReadonlySet<string>;
  readonly binaries?: boolean;
}

/** What an expression or a list needs of these devices. */
export async function loadDevices(db: Database, rows: readonly DeviceRow[], wanted: Wanted): Promise<LoadedDevice[]> {
  const ids = rows.map(({ id }) => id);
  if (ids.length === 0) return [];
  const tags = await db.selectFrom("device_tags").selectAll().where("device_id", "in", ids).orderBy("tag").execute();
  const members = await db
    .selectFrom("group_members")
    .selectAll()
    .where("device_id", "in", ids)
    .orderBy("group_id")
    .execute();
  const facts = new Map<string, Map<string, string>>();
  const keep = (found: readonly { device_id: string; name: string; value_json: string }[]) => {
    for (const { device_id, name, value_json } of found) {
      const known = facts.get(device_id) ?? new Map<string, string>();
      facts.set(device_id, known.set(name, value_json));
    }
  };
  const select = () =>
    db.selectFrom("facts").select(["device_id", "name", "value_json"]).where("device_id", "in", ids).orderBy("name");
  if (wanted.facts.size > 0)
    keep(
      await select()
        .where("name", "in", [...wanted.facts])
        .execute(),
    );
  if (wanted.binaries === true) keep(await select().where("name", "like", "binary.%").execute());
  const tagsOf = Map.groupBy(tags, ({ device_id }) => device_id);
  const groupsOf = Map.groupBy(members, ({ device_id }) => device_id);
  return rows.map((row) => ({
    row,
    tags: (tagsOf.get(row.id) ?? []).map(({ tag }) => tag),
    groups: (groupsOf.get(row.id) ?? []).map(({ group_id }) => group_id),
    facts: facts.get(row.id) ?? new Map(),
  }));
}

/** Evaluates one filter over devices, each distinct one once. Throws `request/filter` where it takes too long over all of them. */
export class Matcher {
  readonly #filter: Filter;
  readonly #outcomes = new Map<string, FilterOutcome>();
  #spentMs = 0;

  constructor(filter: Filter) {
    this.#filter = filter;
  }

  outcome(device: LoadedDevice): FilterOutcome {
    const key = this.#keyOf(device);
    const known = this.#outcomes.get(key);
    if (known !== undefined) return known;
    const began = performance.now();
    const outcome = this.#filter.evaluate(filterDevice(device));
    this.#spentMs += performance.now() - began;
    if (this.#spentMs > patienceMs) {
      const message = "This expression takes too long over so many devices; go through fewer or shorter lists.";
      throw new RebootlessError("request/filter", message);
    }
    if (this.#outcomes.size >= rememberedOutcomes) this.#outcomes.clear();
    this.#outcomes.set(key, outcome);
    return outcome;
  }

  #keyOf({ row, tags, groups, facts }: LoadedDevice): string {
    const { others } = this.#filter;
    const parts: unknown[] = [[...facts]];
    if (others.has("tags")) parts.push(tags);
    if (others.has("groups")) parts.push(groups);
    if ([...others].some((name) => name.startsWith("device."))) parts.push(row.id, row.state, row.last_seen_at);
    return JSON.stringify(parts);
  }
}

function filterDevice({ row, tags, groups, facts }: LoadedDevice): FilterDevice {
  const parsed: Facts = Object.fromEntries([...facts].map(([name, json]) => [name, JSON.parse(json)]));
  return {
    ...{ id: row.id, name: row.name, enrolledAtMs: row.enrolled_at, tags, groups, facts: parsed },
    ...{ state: row.state, lastSeenAtMs: row.last_seen_at },
  };
}

/** All devices within reach, with the outcome of each; a group looks at all there are. */
export async function* outcomes(
  db: Database,
  filter: Filter,
  reach: Reach = everything,
): AsyncGenerator<{ device: LoadedDevice; outcome: FilterOutcome }> {
  const matcher = new Matcher(filter);
  const reached = reachedGroups(reach);
  let after = "";
  for (;;) {
    let query = db.selectFrom("devices").selectAll().where("id", ">", after).orderBy("id").limit(chunkDevices);
    if (reached !== undefined) {
      query = query.where(
        "id",
        "in",
        db.selectFrom("group_members").select("device_id").where("group_id", "in", reached),
      );
    }
    const rows = await query.execute();
    const loaded = await loadDevices(db, rows, { facts: filter.facts, binaries: filter.asksBinaries });
    for (const device of loaded) yield { device, outcome: matcher.outcome(device) };
    after = rows.at(-1)?.id ?? "";
    if (rows.length < chunkDevices) return;
    // The server has others to answer meanwhile.
    await setImmediate();
  }
}
