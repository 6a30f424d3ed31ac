/**
 * Actions: what is to be done on each device, and how far it is.
 *
 * Every change of a state goes through `step`, and that through the table of state-machine.ts.
 */
import { createHash } from "node:crypto";
import type { Static } from "typebox";
import { apiLimits } from "../../api/api-limits.ts";
import type { routes } from "../../api/routes.ts";
import {
  type Action,
  type ActionState,
  type Assignment,
  actionStates,
  type ProcessOutcome,
  type Report,
} from "../../api/schemas/actions.ts";
import { canonicalJson } from "../../base/canonical-json.ts";
import { RebootlessError } from "../../base/errors.ts";
import { RefusalError, refuse } from "../../base/refusal.ts";
import { type Change, change, instant, newId, type ServerContext } from "../context.ts";
import { type Page, pageBounds, pageFrom } from "../database/page.ts";
import type { Database, Tables } from "../database/tables.ts";
import { type ActionEvent, actionTable, next, settledStates, wantedAfter } from "./state-machine.ts";

type Row = Tables["actions"];
type Scope = { readonly deviceId?: string; readonly groupId?: string; readonly hotpatchId?: string };

function shown(row: Row): Action {
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
): Promise<Page<Action>> {
  const { after, rows } = pageBounds(asked);
  let query = db.selectFrom("actions").selectAll().where("id", ">", after).orderBy("id").limit(rows);
  if (asked.deviceId !== undefined) query = query.where("device_id", "=", asked.deviceId);
  if (asked.hotpatchId !== undefined) query = query.where("hotpatch_id", "=", asked.hotpatchId);
  if (asked.state !== undefined) query = query.where("state", "=", asked.state);
  return pageFrom(await query.execute(), asked, shown);
}

/** Throws `request/not-found`. */
export async function getAction(db: Database, actionId: string): Promise<Action> {
  return shown(await requireAction(db, actionId));
}

async function requireAction(db: Database, actionId: string, deviceId?: string): Promise<Row> {
  let query = db.selectFrom("actions").selectAll().where("id", "=", actionId);
  // An agent learns nothing of the actions of others, not even that they exist.
  if (deviceId !== undefined) query = query.where("device_id", "=", deviceId);
  const row = await query.executeTakeFirst();
  if (row === undefined) throw new RebootlessError("request/not-found", `There is no action ${actionId}.`);
  return row;
}

interface Step {
  readonly event: ActionEvent;
  readonly reason: string;
  /** Goes into the event of the record. */
  readonly told?: Record<string, unknown>;
  /** Takes the place of what was known of them before. */
  readonly processes?: readonly ProcessOutcome[] | undefined;
}

/** Processes that the event of a report keeps the outcome of; those that need a person come first in a report. */
const eventProcesses = 50;

/** Moves an action by an event. Refuses with `action/transition`. */
async function step(under: Change, row: Row, { event, reason, told, processes }: Step): Promise<Row> {
  const transition = next(row.state, event);
  if (transition.kind === "refused") throw new RefusalError(transition.refusal);
  const { state } = transition;
  const changed: Row = {
    ...row,
    state,
    reason,
    wanted: wantedAfter[event] ?? (state === "reverting" ? "reverted" : row.wanted),
    processes_json: processes === undefined ? row.processes_json : JSON.stringify(processes),
    changed_at: under.now,
    times_json: JSON.stringify({ ...JSON.parse(row.times_json), [state]: instant(under.now) }),
  };
  const { id, ...columns } = changed;
  await under.db.updateTable("actions").set(columns).where("id", "=", id).execute();
  await under.note("action-changed", `action:${id}`, {
    deviceId: row.device_id,
    hotpatchId: row.hotpatch_id,
    event,
    from: row.state,
    to: state,
    ...(reason === "" ? {} : { reason }),
    ...told,
    ...(processes === undefined ? {} : { processes: processes.slice(0, eventProcesses) }),
  });
  return changed;
}

/** What an administrator asks of one action. Refuses with `action/transition`; throws `request/not-found`. */
export async function requestAction(
  context: ServerContext,
  actionId: string,
  event: "offer" | "withdraw" | "revert",
): Promise<Action> {
  return await change(context, async (under) => {
    const row = await step(under, await requireAction(under.db, actionId), { event, reason: "" });
    await under.reassign(row.device_id);
    return shown(row);
  });
}

/**
 * What an agent tells of one of its actions; the same report under the same key counts once.
 * Refuses with `action/transition`, or `report/key-reused` for another report under a known key; throws `request/not-found`.
 */
export async function takeReport(context: ServerContext, deviceId: string, report: Report): Promise<Action> {
  const { key, actionId, event, reason, processes, at } = report;
  const digest = createHash("sha256").update(canonicalJson(report)).digest();
  const take = async (under: Change) => {
    const { db } = under;
    const row = await requireAction(db, actionId, deviceId);
    const known = await db
      .selectFrom("reports")
      .select("digest")
      .where("device_id", "=", deviceId)
      .where("key", "=", key)
      .executeTakeFirst();
    if (known !== undefined) {
      if (digest.equals(known.digest)) return shown(row);
      refuse("report/key-reused", "Another report came under this key before; give each report a key of its own.");
    }
    const told = at === undefined ? {} : { deviceTime: at };
    const changed = await step(under, row, { event, reason: reason ?? "", told, processes });
    await remember(db, deviceId, { key, digest });
    // What the agent did may be more work for it, as when it applied what had been withdrawn.
    if (settledStates.has(row.state) && !settledStates.has(changed.state)) await under.reassign(deviceId);
    return shown(changed);
  };
  return await change(context, take, { deviceId });
}

async function remember(db: Database, deviceId: string, report: { key: string; digest: Buffer }): Promise<void> {
  await db
    .insertInto("reports")
    .values({ device_id: deviceId, ...report })
    .execute();
  await db
    .deleteFrom("reports")
    .where("device_id", "=", deviceId)
    .where("sequence", "<=", (reports) =>
      reports
        .selectFrom("reports")
        .select("sequence")
        .where("device_id", "=", deviceId)
        .orderBy("sequence", "desc")
        .limit(1)
        .offset(apiLimits.reportsRemembered),
    )
    .execute();
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
  return { revision, actions: rows.map(shown) };
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

/**
 * Offers what is approved, within a scope, to devices that have not got it yet.
 * What was withdrawn before it began is offered again; what was refused, failed or was taken back is not, unless somebody asks for that very action.
 */
export async function offerApproved(
  under: Change,
  random: ServerContext["random"],
  { deviceId, groupId, hotpatchId }: Scope,
): Promise<void> {
  const { db, now } = under;
  let query = db
    .selectFrom("approvals")
    .innerJoin("group_members", "group_members.group_id", "approvals.group_id")
    .innerJoin("devices", "devices.id", "group_members.device_id")
    .leftJoin("actions", (join) =>
      join
        .onRef("actions.device_id", "=", "group_members.device_id")
        .onRef("actions.hotpatch_id", "=", "approvals.hotpatch_id"),
    )
    .select(["group_members.device_id as device", "approvals.hotpatch_id as hotpatch", "actions.id as action"])
    .distinct()
    .where("devices.state", "=", "enrolled")
    .where((is) => is.or([is("actions.id", "is", null), is("actions.state", "=", "withdrawn")]));
  if (deviceId !== undefined) query = query.where("group_members.device_id", "=", deviceId);
  if (groupId !== undefined) query = query.where("approvals.group_id", "=", groupId);
  if (hotpatchId !== undefined) query = query.where("approvals.hotpatch_id", "=", hotpatchId);
  for (const { device, hotpatch, action } of await query.execute()) {
    if (action !== null) {
      await step(under, await requireAction(db, action), { event: "offer", reason: "" });
    } else {
      const id = newId(random);
      const times_json = JSON.stringify({ offered: instant(now) });
      const row = { id, device_id: device, hotpatch_id: hotpatch, wanted: "applied", state: "offered" } as const;
      await db
        .insertInto("actions")
        .values({ ...row, reason: "", created_at: now, changed_at: now, times_json, processes_json: "[]" })
        .execute();
      await under.note("action-offered", `action:${id}`, { deviceId: device, hotpatchId: hotpatch });
    }
    await under.reassign(device);
  }
}

const withdrawable: readonly ActionState[] = unsettled.filter((state) => actionTable[state].withdraw !== undefined);

/** Withdraws what has not begun to change a device and is approved by no group of it any more. */
export async function withdrawUnapproved(under: Change, { deviceId, hotpatchId }: Scope): Promise<void> {
  let query = under.db
    .selectFrom("actions")
    .selectAll("actions")
    .where("state", "in", withdrawable)
    .where((is) =>
      is.not(
        is.exists(
          is
            .selectFrom("approvals")
            .innerJoin("group_members", "group_members.group_id", "approvals.group_id")
            .select("approvals.id")
            .whereRef("group_members.device_id", "=", "actions.device_id")
            .whereRef("approvals.hotpatch_id", "=", "actions.hotpatch_id"),
        ),
      ),
    );
  if (deviceId !== undefined) query = query.where("device_id", "=", deviceId);
  if (hotpatchId !== undefined) query = query.where("hotpatch_id", "=", hotpatchId);
  for (const row of await query.execute()) {
    await step(under, row, { event: "withdraw", reason: "" });
    await under.reassign(row.device_id);
  }
}
