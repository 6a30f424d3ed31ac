/**
 * The devices and groups that a request names, wherever it names them, are held to the scope before a handler sees it.
 *
 * So a route that is new cannot forget them; what it reaches through something else, such as the device of an action, its domain looks after.
 */
import type { Database } from "../database/tables.ts";
import { type Reach, requireDeviceInReach, requireGroupInReach } from "./reach.ts";

const deviceFields: ReadonlySet<string> = new Set(["deviceId", "deviceIds", "devices"]);
const groupFields: ReadonlySet<string> = new Set([
  ...["groupId", "groupIds", "group", "groups", "parentId", "excludedId", "excludes"],
]);

interface Named {
  readonly devices: Set<string>;
  readonly groups: Set<string>;
}

function collect(value: unknown, field: string, named: Named): void {
  if (typeof value === "string") {
    if (deviceFields.has(field)) named.devices.add(value);
    if (groupFields.has(field)) named.groups.add(value);
  } else if (Array.isArray(value)) {
    for (const element of value) collect(element, field, named);
  } else if (typeof value === "object" && value !== null) {
    for (const [name, inner] of Object.entries(value)) collect(inner, name, named);
  }
}

/** `asked`: the checked path, query and body. Throws `request/not-found`. */
export async function requireNamedInReach(db: Database, reach: Reach, asked: unknown): Promise<void> {
  if (reach.kind === "all") return;
  const named: Named = { devices: new Set(), groups: new Set() };
  collect(asked, "", named);
  for (const groupId of named.groups) requireGroupInReach(reach, groupId);
  for (const deviceId of named.devices) await requireDeviceInReach(db, reach, deviceId);
}
