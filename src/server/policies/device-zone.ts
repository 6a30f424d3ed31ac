/** Which time zone counts for a device: its own, else that of the policy, else UTC. */
import type { WindowZone } from "../../api/schemas/policies.ts";
import type { Database } from "../database/tables.ts";
import { isTimeZone } from "./zoned-time.ts";

/** The zones that devices tell, by device; one that Intl does not know is left out. */
export async function toldZones(db: Database, deviceIds: readonly string[]): Promise<Map<string, string>> {
  const rows = await db
    .selectFrom("facts")
    .select(["device_id", "value_json"])
    .where("device_id", "in", [...deviceIds])
    .where("name", "=", "host.timeZone")
    .execute();
  return new Map(
    rows.flatMap(({ device_id, value_json }) => {
      const value: unknown = JSON.parse(value_json);
      return typeof value === "string" && isTimeZone(value) ? [[device_id, value]] : [];
    }),
  );
}

export function zoneOf(told: string | undefined, ofPolicy: string | null): WindowZone {
  if (told !== undefined) return { timeZone: told, source: "device" };
  if (ofPolicy !== null) return { timeZone: ofPolicy, source: "policy" };
  return { timeZone: "UTC", source: "utc" };
}
