/** Why a device is in a group, and what keeps it out of one that it might be in. */
import type { GroupReason } from "../../api/schemas/devices.ts";
import { compileFilter, type FilterOutcome } from "../../cel/compile-filter.ts";
import type { Reach } from "../access/reach.ts";
import type { Database } from "../database/tables.ts";
import { requireDevice } from "../devices/devices.ts";
import { type GroupRow, orderedGroups } from "./group-rows.ts";
import { childrenOf } from "./group-tree.ts";
import { loadDevices, Matcher } from "./matching.ts";

type Because = GroupReason["because"];

/** Groups within reach that it is in, and those that exclusions or missing facts keep it out of, by id. Throws `request/not-found`. */
export async function groupReasons(db: Database, deviceId: string, reach: Reach): Promise<GroupReason[]> {
  const device = await requireDevice(db, deviceId);
  const ordered = (await orderedGroups(db)).filter(({ id }) => reach.kind === "all" || reach.groupIds.has(id));
  const children = childrenOf(ordered);
  const [own, members, excepted] = await Promise.all(
    (["group_own", "group_members", "group_exceptions"] as const).map(async (table) => {
      const rows = await db.selectFrom(table).select("group_id").where("device_id", "=", deviceId).execute();
      return new Set(rows.map(({ group_id }) => group_id));
    }),
  );
  const isOwn = (id: string) => own?.has(id) === true;
  const isMember = (id: string) => members?.has(id) === true;
  const reasons: GroupReason[] = [];
  for (const group of ordered) {
    const { id, title, filter, excludes } = group;
    const because: Because = [];
    if (isOwn(id)) because.push(ownReason(group));
    for (const child of children.get(id) ?? []) if (isMember(child)) because.push({ kind: "child", groupId: child });
    const isInside = because.length > 0;
    if (isInside && excepted?.has(id) === true) because.push({ kind: "excepted" });
    if (isInside) {
      const outside = excludes
        .filter((id) => isMember(id))
        .map((groupId) => ({ kind: "excluded-group" as const, groupId }));
      because.push(...outside);
    }
    if (filter !== null && !isOwn(id)) {
      const outcome = await outcomeOf(db, device, filter);
      if (outcome.kind === "unknown") {
        because.push({ kind: "open", filter, missing: [...outcome.missing], why: outcome.why });
      }
    }
    if (because.length > 0) reasons.push({ groupId: id, title, member: isMember(id), because });
  }
  return reasons.toSorted((a, b) => (a.groupId < b.groupId ? -1 : 1));
}

function ownReason({ parentId, filter }: GroupRow): Because[number] {
  if (parentId === null) return { kind: "every" };
  return filter === null ? { kind: "by-hand" } : { kind: "filter", filter };
}

async function outcomeOf(
  db: Database,
  row: Awaited<ReturnType<typeof requireDevice>>,
  text: string,
): Promise<FilterOutcome> {
  const filter = compileFilter(text, "group");
  const [device] = await loadDevices(db, [row], { facts: filter.facts, binaries: filter.asksBinaries });
  return device === undefined ? { kind: "fails" } : new Matcher(filter).outcome(device);
}
