/**
 * Actions: what is to be done on each device, and how far it is.
 *
 * Every change of a state goes through steps.ts; what is offered and withdrawn without anybody asking for that very action is in src/server/offers.
 */
import type { Static } from "typebox";
import { apiLimits } from "../../api/api-limits.ts";
import type { routes } from "../../api/routes.ts";
import { type Action, type ActionState, type Assignment, actionStates } from "../../api/schemas/actions.ts";
import { RebootlessError } from "../../base/errors.ts";
import { refuse } from "../../base/refusal.ts";
import { type Reach, reachedGroups, requireDeviceInReach } from "../access/reach.ts";
import { type Change, change, instant, type ServerContext } from "../context.ts";
import { type Page, pageBounds, pageFrom } from "../database/page.ts";
import type { Database, Tables } from "../database/tables.ts";
import { gates } from "../offers/gate-list.ts";
import { askGates, candidateKey } from "../offers/gates.ts";
import { settledStates } from "./state-machine.ts";
import { step } from "./steps.ts";

type Row = Tables["actions"];

export function shownAction(row: Row): Action {
  return {
    id: row.id,
    deviceId: row.device_id,
    hotpatchId: row.hotpatch_id,
    wanted: row.wanted,
    state: row.state,
    reason: row.reason,
    processes: JSON.parse(row.processes_json),
    createdAt: instant(row.created_at),
    changedAt: instant(row.changed_at),
    times: JSON.parse(row.times_json),
  };
}

export async function listActions(
  db: Database,
  asked: Static<(typeof routes)["listActions"]["query"]>,
  reach: Reach,
): Promise<Page<Action>> {
  const { after, rows } = pageBounds(asked);
  let query = db.selectFrom("actions").selectAll().where("id", ">", after).orderBy("id").limit(rows);
  const reached = reachedGroups(reach);
  if (reached !== undefined) {
    const members = db.selectFrom("group_members").select("device_id").where("group_id", "in", reached);
    query = query.where("device_id", "in", members);
  }
  if (asked.deviceId !== undefined) query = query.where("device_id", "=", asked.deviceId);
  if (asked.hotpatchId !== undefined) query = query.where("hotpatch_id", "=", asked.hotpatchId);
  if (asked.state !== undefined) query = query.where("state", "=", asked.state);
  return pageFrom(await query.execute(), asked, shownAction);
}

/** Throws `request/not-found`. */
export async function getAction(db: Database, actionId: string, reach: Reach): Promise<Action> {
  const row = await requireAction(db, actionId);
  await requireDeviceInReach(db, reach, row.device_id);
  return shownAction(row);
}

async function requireAction(db: Database, actionId: string): Promise<Row> {
  const row = await db.selectFrom("actions").selectAll().where("id", "=", actionId).executeTakeFirst();
  if (row === undefined) throw new RebootlessError("request/not-found", `There is no action ${actionId}.`);
  return row;
}

/**
 * What an administrator asks of one action.
 * Refuses with `action/transition`, and with `action/blocked` where a gate is in the way of an offer; throws `request/not-found`.
 */
export async function requestAction(
  context: ServerContext,
  actionId: string,
  event: "offer" | "withdraw" | "revert",
): Promise<Action> {
  return await change(context, async (under) => {
    const before = await requireAction(under.db, actionId);
    await requireDeviceInReach(under.db, context.reach, before.device_id);
    if (event === "offer") await refuseBlocked(under, before);
    const row = await step(under, { row: before, event, reason: "" });
    await under.reassign(row.device_id);
    return shownAction(row);
  });
}

/** A person may ask again for what failed or was taken back, but passes no gate that others do not pass. */
async function refuseBlocked(
  { db, now }: Change,
  { device_id: deviceId, hotpatch_id: hotpatchId }: Row,
): Promise<void> {
  const candidate = { deviceId, hotpatchId };
  const blocks = (await askGates(db, now, { gates, candidates: [candidate] })).get(candidateKey(candidate));
  const [first] = blocks ?? [];
  if (first === undefined) return;
  refuse("action/blocked", `${first.reason} ${first.helps}`, { blocks });
}

const unsettled: readonly ActionState[] = actionStates.filter((state) => !settledStates.has(state));

/** What a device has to do at this moment, oldest first. */
export async function assignmentOf(db: Database, deviceId: string): Promise<Assignment> {
  const { assignment_revision: revision } = await db
    .selectFrom("devices")
    .select("assignment_revision")
    .where("id", "=", deviceId)
    .executeTakeFirstOrThrow();
  const rows = await db
    .selectFrom("actions")
    .selectAll()
    .where("device_id", "=", deviceId)
    .where("state", "in", unsettled)
    .orderBy("created_at")
    .orderBy("id")
    .limit(apiLimits.pollActions)
    .execute();
  return { revision, actions: rows.map(shownAction) };
}

/** As `assignmentOf`, but waits while the revision is `after` still, for `waitMs` at most. Refuses with `server/busy`. */
export async function poll(
  context: ServerContext,
  deviceId: string,
  { after, waitMs, gone }: { after: number | undefined; waitMs: number; gone: AbortSignal },
): Promise<Assignment> {
  if (context.signals.count >= apiLimits.waiting) {
    refuse("server/busy", "Too many agents wait already; ask again in a while.");
  }
  // One device must not take the places of all the others.
  if (context.signals.countOf(deviceId) >= apiLimits.waitingPerDevice) {
    refuse("server/busy", "This device waits several times already; it should end one poll before it begins another.");
  }
  const subscription = context.signals.subscribe(deviceId, gone);
  try {
    const deadline = performance.now() + waitMs;
    for (;;) {
      const assignment = await assignmentOf(context.database, deviceId);
      const leftMs = deadline - performance.now();
      if (assignment.revision !== after || leftMs <= 0) return assignment;
      if ((await subscription.next(leftMs)) === "closed") return assignment;
    }
  } finally {
    subscription.end();
  }
}
