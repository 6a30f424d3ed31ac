/**
 * Keeps `group_members` what the groups say: after a change of one device by the rule for one device, after a change of a group by the same rule as SQL over all of them.
 *
 * Who joins is offered what the group has approved; of who leaves, what has not begun is withdrawn.
 */
import { compileFilter, type Filter } from "../../cel/compile-filter.ts";
import { followDecisions, takeBackRemoved } from "../approvals/follow-decisions.ts";
import { refreshDecisions } from "../approvals/group-decisions.ts";
import type { Change, ServerContext } from "../context.ts";
import type { Database } from "../database/tables.ts";
import { offerApproved, withdrawUnapproved } from "../offers/offers.ts";
import { type GroupRow, orderedGroups } from "./group-rows.ts";
import { childrenOf, groupsBelow, groupsOfDevice, hangingOn } from "./group-tree.ts";
import { loadDevices, Matcher, outcomes } from "./matching.ts";

type Random = ServerContext["random"];

/** What changed of a device: names of facts, and `tags` or `device`. */
export type Cause = ReadonlySet<string> | "anything";

function concerns(filter: Filter, cause: Cause): boolean {
  if (cause === "anything") return true;
  if (filter.asksBinaries && [...cause].some((name) => name.startsWith("binary."))) return true;
  if (cause.has("tags") && filter.others.has("tags")) return true;
  return [...filter.facts].some((name) => cause.has(name));
}

/** After a change of a device: its filters are evaluated anew where they are concerned, its groups follow, and so does what is offered to it. */
export async function placeDevice(under: Change, random: Random, deviceId: string, cause: Cause): Promise<void> {
  if (cause !== "anything" && cause.size === 0) return;
  await followGroups(under, deviceId, cause);
  // Also where no group changed: gates ask for facts as well.
  await followDecisions(under, random, { deviceId });
}

async function followGroups(under: Change, deviceId: string, cause: Cause): Promise<void> {
  const { db } = under;
  const ordered = await orderedGroups(db);
  const own = await idsOf(db, "group_own", deviceId);
  const excepted = await idsOf(db, "group_exceptions", deviceId);
  if (!(await followFilters(db, deviceId, { ordered, own, cause })) && cause !== "anything") return;
  const wanted = groupsOfDevice(ordered, { own, excepted });
  const before = await idsOf(db, "group_members", deviceId);
  const joined = [...wanted].filter((id) => !before.has(id));
  const left = [...before].filter((id) => !wanted.has(id));
  if (joined.length > 0) {
    const rows = joined.map((group_id) => ({ group_id, device_id: deviceId }));
    await db.insertInto("group_members").values(rows).execute();
  }
  if (left.length > 0) {
    await db.deleteFrom("group_members").where("device_id", "=", deviceId).where("group_id", "in", left).execute();
  }
  for (const id of joined) await under.note("device-joined", `group:${id}`, { deviceId });
  for (const id of left) await under.note("device-left", `group:${id}`, { deviceId });
}

async function idsOf(
  db: Database,
  table: "group_own" | "group_exceptions" | "group_members",
  deviceId: string,
): Promise<Set<string>> {
  const rows = await db.selectFrom(table).select("group_id").where("device_id", "=", deviceId).execute();
  return new Set(rows.map(({ group_id }) => group_id));
}

interface Following {
  readonly ordered: readonly GroupRow[];
  /** Is changed along with the database. */
  readonly own: Set<string>;
  readonly cause: Cause;
}

/** True where the device is now in another group of its own than before. */
async function followFilters(db: Database, deviceId: string, { ordered, own, cause }: Following): Promise<boolean> {
  const dynamic = ordered
    .flatMap(({ id, filter }) => (filter === null ? [] : [{ id, filter: compileFilter(filter, "group") }]))
    .filter(({ filter }) => concerns(filter, cause));
  if (dynamic.length === 0) return false;
  const row = await db.selectFrom("devices").selectAll().where("id", "=", deviceId).executeTakeFirstOrThrow();
  const facts = new Set(dynamic.flatMap(({ filter }) => [...filter.facts]));
  const binaries = dynamic.some(({ filter }) => filter.asksBinaries);
  const [device] = await loadDevices(db, [row], { facts, binaries });
  if (device === undefined) return false;
  let changed = false;
  for (const { id, filter } of dynamic) {
    const holds = row.state === "enrolled" && new Matcher(filter).outcome(device).kind === "holds";
    if (holds === own.has(id)) continue;
    changed = true;
    if (holds) {
      own.add(id);
      await db.insertInto("group_own").values({ group_id: id, device_id: deviceId }).execute();
    } else {
      own.delete(id);
      await db.deleteFrom("group_own").where("group_id", "=", id).where("device_id", "=", deviceId).execute();
    }
  }
  return changed;
}

/** The devices that match, by id: who is in a dynamic group of its own. */
export async function matchingDevices(db: Database, filter: Filter): Promise<Set<string>> {
  const matching = new Set<string>();
  for await (const { device, outcome } of outcomes(db, filter)) {
    if (outcome.kind === "holds" && device.row.state === "enrolled") matching.add(device.row.id);
  }
  return matching;
}

/** Makes the own devices of a dynamic group those that its filter matches. */
export async function followFilter(db: Database, groupId: string, filter: string): Promise<void> {
  const wanted = await matchingDevices(db, compileFilter(filter, "group"));
  const rows = await db.selectFrom("group_own").select("device_id").where("group_id", "=", groupId).execute();
  const before = new Set(rows.map(({ device_id }) => device_id));
  await putIn(
    db,
    "group_own",
    groupId,
    [...wanted].filter((id) => !before.has(id)),
  );
  await takeOut(
    db,
    "group_own",
    groupId,
    [...before].filter((id) => !wanted.has(id)),
  );
}

/** Rows of one statement, well below what databases take. */
const batch = 1_000;

type Members = "group_own" | "group_members";

async function putIn(db: Database, table: Members, groupId: string, devices: readonly string[]): Promise<void> {
  for (let start = 0; start < devices.length; start += batch) {
    const rows = devices.slice(start, start + batch).map((device_id) => ({ group_id: groupId, device_id }));
    await db.insertInto(table).values(rows).execute();
  }
}

async function takeOut(db: Database, table: Members, groupId: string, devices: readonly string[]): Promise<void> {
  for (let start = 0; start < devices.length; start += batch) {
    const some = devices.slice(start, start + batch);
    await db.deleteFrom(table).where("group_id", "=", groupId).where("device_id", "in", some).execute();
  }
}

/** After a change of groups, whose own devices are as they should be: these and all that hang on them follow. */
export async function placeGroups(under: Change, random: Random, changed: readonly string[]): Promise<void> {
  const { db } = under;
  const ordered = await orderedGroups(db);
  const children = childrenOf(ordered);
  const touched = new Set(changed.flatMap((id) => hangingOn(ordered, id).map((group) => group.id)));
  const joining: string[] = [];
  const leaving: string[] = [];
  for (const { id, excludes } of ordered) {
    if (!touched.has(id)) continue;
    const { joined, left } = await difference(db, id, { children: children.get(id) ?? [], excludes });
    await putIn(db, "group_members", id, joined);
    await takeOut(db, "group_members", id, left);
    if (joined.length > 0) joining.push(id);
    if (left.length > 0) leaving.push(id);
    if (joined.length + left.length === 0) continue;
    await under.note("group-members-changed", `group:${id}`, { joined: joined.length, left: left.length });
  }
  await followGroupDecisions(under, random, { ordered, changed, joining, leaving });
}

interface GroupsChanged {
  readonly ordered: readonly GroupRow[];
  readonly changed: readonly string[];
  readonly joining: readonly string[];
  readonly leaving: readonly string[];
}

/** What is decided follows the tree, and devices follow what is decided. */
async function followGroupDecisions(
  under: Change,
  random: Random,
  { ordered, changed, joining, leaving }: GroupsChanged,
): Promise<void> {
  const { db } = under;
  const below = groupsBelow(ordered, changed);
  const concerned = [...new Set([...below, ...joining, ...leaving])];
  const before = await decisionsIn(db, concerned);
  await refreshDecisions(db, { groupIds: below });
  const after = await decisionsIn(db, concerned);
  const isMoved = JSON.stringify(before) !== JSON.stringify(after);
  if (!isMoved && joining.length + leaving.length === 0) return;
  const hotpatches = new Set([...before, ...after].map(({ hotpatch_id }) => hotpatch_id));
  for (const hotpatchId of hotpatches) {
    await withdrawUnapproved(under, { hotpatchId });
    await takeBackRemoved(under, { hotpatchId });
  }
  // Who leaves a group that kept something off gets what the groups above have.
  const barred = new Set(before.flatMap(({ action, group_id }) => (action === "install" ? [] : [group_id])));
  const parents = ordered.filter(({ id }) => leaving.includes(id) && barred.has(id)).map(({ parentId }) => parentId);
  const offering = new Set([...joining, ...parents, ...(isMoved ? changed : [])]);
  for (const groupId of offering) if (groupId !== null) await offerApproved(under, random, { groupId });
}

async function decisionsIn(db: Database, groupIds: readonly string[]) {
  return await db
    .selectFrom("group_decisions")
    .selectAll()
    .where("group_id", "in", [...groupIds])
    .orderBy("hotpatch_id")
    .orderBy("group_id")
    .execute();
}

interface Around {
  readonly children: readonly string[];
  readonly excludes: readonly string[];
}

/** Who is to join and to leave one group, where the groups that it depends on are as they should be. */
async function difference(db: Database, id: string, { children, excludes }: Around) {
  const inGroups = (ids: readonly string[]) =>
    db
      .selectFrom("group_members")
      .select("device_id")
      .where("group_id", "in", [...ids]);
  let wanted = db
    .selectFrom("devices")
    .select("devices.id as device_id")
    .where((is) =>
      is.or([
        is("devices.id", "in", db.selectFrom("group_own").select("device_id").where("group_id", "=", id)),
        ...(children.length === 0 ? [] : [is("devices.id", "in", inGroups(children))]),
      ]),
    )
    .where("devices.id", "not in", db.selectFrom("group_exceptions").select("device_id").where("group_id", "=", id));
  if (excludes.length > 0) wanted = wanted.where("devices.id", "not in", inGroups(excludes));
  const joined = await wanted.where("devices.id", "not in", inGroups([id])).execute();
  const left = await inGroups([id]).where("device_id", "not in", wanted).execute();
  return { joined: joined.map((row) => row.device_id), left: left.map((row) => row.device_id) };
}
