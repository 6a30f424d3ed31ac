/** A device as the contract shows it. */
import type { Device } from "../../api/schemas/devices.ts";
import { instant } from "../context.ts";
import type { LoadedDevice } from "../groups/matching.ts";

export function shownDevice({ row, tags, groups }: Pick<LoadedDevice, "row" | "tags" | "groups">): Device {
  return {
    id: row.id,
    name: row.name,
    state: row.state,
    enrolledAt: instant(row.enrolled_at),
    lastSeenAt: row.last_seen_at === null ? null : instant(row.last_seen_at),
    factsRevision: row.facts_revision,
    groups: [...groups],
    tags: [...tags],
  };
}
