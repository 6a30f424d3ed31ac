/**
 * How far the roles of whoever asks go: the groups of his grants and all below them.
 *
 * What is out of reach is answered as what does not exist, so that a scope hides and not merely forbids.
 */
import type { Grant, Role } from "../../api/schemas/access.ts";
import { RebootlessError } from "../../base/errors.ts";
import type { Database } from "../database/tables.ts";
import { childrenOf } from "../groups/group-tree.ts";

/** The group that has every device; a role in it counts for what belongs to no group as well. */
export const wholeFleet = "all";

export type Reach = { readonly kind: "all" } | { readonly kind: "groups"; readonly groupIds: ReadonlySet<string> };

export const everything: Reach = { kind: "all" };
export const nothing: Reach = { kind: "groups", groupIds: new Set() };

/** Grants that one of these roles is in; `any` takes all. */
export function grantsOf(grants: readonly Grant[], wanted: readonly Role[] | "any"): readonly Grant[] {
  return wanted === "any" ? grants : grants.filter(({ role }) => wanted.includes(role));
}

/** Where these grants reach, all taken together. */
export async function reachOf(db: Database, grants: readonly Grant[]): Promise<Reach> {
  const roots = new Set(grants.map(({ groupId }) => groupId));
  if (roots.has(wholeFleet)) return everything;
  if (roots.size === 0) return nothing;
  return { kind: "groups", groupIds: below(await readTree(db), roots) };
}

export async function readTree(db: Database): Promise<ReadonlyMap<string, readonly string[]>> {
  const rows = await db.selectFrom("groups").select(["id", "parent_id"]).execute();
  return childrenOf(rows.map(({ id, parent_id }) => ({ id, parentId: parent_id, excludes: [] })));
}

/** These groups and all below them. */
export function below(children: ReadonlyMap<string, readonly string[]>, roots: Iterable<string>): Set<string> {
  const found = new Set<string>();
  const open = [...roots];
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    if (found.has(id)) continue;
    found.add(id);
    open.push(...(children.get(id) ?? []));
  }
  return found;
}

/** The groups of a reach for SQL's IN; undefined where no condition is needed. */
export function reachedGroups(reach: Reach): readonly string[] | undefined {
  return reach.kind === "all" ? undefined : [...reach.groupIds];
}

/** Which of these devices are in reach. */
export async function devicesInReach(
  db: Database,
  reach: Reach,
  deviceIds: readonly string[],
): Promise<ReadonlySet<string>> {
  const groups = reachedGroups(reach);
  if (groups === undefined || deviceIds.length === 0) return new Set(deviceIds);
  const rows = await db
    .selectFrom("group_members")
    .select("device_id")
    .distinct()
    .where("device_id", "in", [...deviceIds])
    .where("group_id", "in", groups)
    .execute();
  return new Set(rows.map(({ device_id }) => device_id));
}

/** Throws `request/not-found`. */
export async function requireDeviceInReach(db: Database, reach: Reach, deviceId: string): Promise<void> {
  if ((await devicesInReach(db, reach, [deviceId])).has(deviceId)) return;
  throw new RebootlessError("request/not-found", `There is no device ${deviceId} within your scope.`);
}

/** Throws `request/not-found`. */
export function requireGroupInReach(reach: Reach, groupId: string): void {
  if (reach.kind === "all" || reach.groupIds.has(groupId)) return;
  throw new RebootlessError("request/not-found", `There is no group ${groupId} within your scope.`);
}
