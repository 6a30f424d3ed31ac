/** Conditions over the devices of candidates, for gates: the facts that they ask for are read once for all of them. */
import { compileFilter, type FilterOutcome } from "../../cel/compile-filter.ts";
import type { Database } from "../database/tables.ts";
import { loadDevices, Matcher } from "../groups/matching.ts";

/** A device that is gone has no outcome. */
export type Conditions = (deviceId: string, filter: string) => FilterOutcome | undefined;

/** Reads what these filters ask of these devices. Throws `request/filter`. */
export async function deviceConditions(
  db: Database,
  deviceIds: readonly string[],
  filters: readonly string[],
): Promise<Conditions> {
  const matchers = new Map(filters.map((text) => [text, compileFilter(text, "group")]));
  const compiled = [...matchers.values()];
  const ids = [...new Set(deviceIds)];
  const rows = ids.length === 0 ? [] : await db.selectFrom("devices").selectAll().where("id", "in", ids).execute();
  const loaded = await loadDevices(db, rows, {
    facts: new Set(compiled.flatMap(({ facts }) => [...facts])),
    binaries: compiled.some(({ asksBinaries }) => asksBinaries),
  });
  const devices = new Map(loaded.map((device) => [device.row.id, device]));
  const known = new Map([...matchers].map(([text, filter]) => [text, { filter, matcher: new Matcher(filter) }]));
  return (deviceId, text) => {
    const device = devices.get(deviceId);
    const found = known.get(text);
    if (device === undefined || found === undefined) return undefined;
    // Without the facts of other filters, so that devices with the same values are evaluated once.
    const { filter, matcher } = found;
    const own = [...device.facts].filter(
      ([name]) => filter.facts.has(name) || (filter.asksBinaries && name.startsWith("binary.")),
    );
    return matcher.outcome({ ...device, facts: new Map(own) });
  };
}
