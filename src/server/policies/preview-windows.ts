/** When a policy lets hotpatches begin next. */
import { type PolicyWindows, policyLimits } from "../../api/schemas/policies.ts";
import { requireDeviceInReach } from "../access/reach.ts";
import { instant, type ServerContext } from "../context.ts";
import { toldZones, zoneOf } from "./device-zone.ts";
import { requirePolicy } from "./policies.ts";
import { hasWindows, nextOpenings } from "./windows.ts";
import { localInstant } from "./zoned-time.ts";

/** Without a device: in the zone of the policy. Throws `request/not-found`. */
export async function previewWindows(
  { database, clock, reach }: ServerContext,
  policyId: string,
  deviceId?: string,
): Promise<PolicyWindows> {
  const { row, rules } = await requirePolicy(database, policyId);
  if (deviceId !== undefined) await requireDeviceInReach(database, reach, deviceId);
  const told = deviceId === undefined ? undefined : (await toldZones(database, [deviceId])).get(deviceId);
  const zone = zoneOf(told, row.time_zone);
  if (!hasWindows(rules)) return { ...zone, alwaysOpen: true, openings: [] };
  const found = nextOpenings(rules, zone.timeZone, { nowMs: clock().getTime(), count: policyLimits.preview });
  const openings = found.map(({ opensAtMs, closesAtMs }) => ({
    ...{ opensAt: instant(opensAtMs), closesAt: instant(closesAtMs) },
    opensAtLocal: localInstant(zone.timeZone, opensAtMs),
    closesAtLocal: localInstant(zone.timeZone, closesAtMs),
  }));
  return { ...zone, alwaysOpen: false, openings };
}
