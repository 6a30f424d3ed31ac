/** Phased rollouts: made, started, stopped and gone on with by people. */
import type { NewRollout, Rollout } from "../../api/schemas/rollouts.ts";
import { refuse } from "../../base/refusal.ts";
import { recordDecision, removeDecisions } from "../approvals/approvals.ts";
import { followDecisions } from "../approvals/follow-decisions.ts";
import { refreshDecisions } from "../approvals/group-decisions.ts";
import { requireHotpatch } from "../catalog/catalog.ts";
import { type Change, change, newId, type ServerContext } from "../context.ts";
import { type Page, type PageAsked, pageBounds, pageFrom } from "../database/page.ts";
import type { Database } from "../database/tables.ts";
import { knowHotpatches } from "../device-states/known-hotpatches.ts";
import { requireGroup } from "../groups/groups.ts";
import { offerApproved } from "../offers/offers.ts";
import { look, move, pause, stop } from "./follow-rollouts.ts";
import { checkRings } from "./plan-rings.ts";
import { activeStates, next } from "./rollout-machine.ts";
import {
  endedStates,
  type RolloutRow,
  requireRollout,
  type StoredRollout,
  shownRollout,
  specOf,
  storedFrom,
} from "./stored-rollouts.ts";
import { groupsOfRollout, placeTarget } from "./targets.ts";

export async function listRollouts(
  { database, clock }: ServerContext,
  asked: PageAsked & { readonly hotpatchId?: string; readonly state?: RolloutRow["state"] },
): Promise<Page<Rollout>> {
  const { after, rows } = pageBounds(asked);
  let query = database.selectFrom("rollouts").selectAll().where("id", ">", after).orderBy("id").limit(rows);
  if (asked.hotpatchId !== undefined) query = query.where("hotpatch_id", "=", asked.hotpatchId);
  if (asked.state !== undefined) query = query.where("state", "=", asked.state);
  const now = clock().getTime();
  const shown = new Map<string, Rollout>();
  const found = await query.execute();
  for (const row of found) shown.set(row.id, await shownRollout(database, storedFrom(row), now));
  return pageFrom(found, asked, ({ id }) => shown.get(id) as Rollout);
}

/** Throws `request/not-found`. */
export async function getRollout({ database, clock }: ServerContext, rolloutId: string): Promise<Rollout> {
  return await shownRollout(database, await requireRollout(database, rolloutId), clock().getTime());
}

/** Throws `request/invalid` and `request/not-found`. */
export async function checkRollout(db: Database, wanted: NewRollout) {
  const spec = specOf(wanted);
  checkRings(spec.rings);
  for (const groupId of groupsOfRollout(wanted.groupId, spec)) await requireGroup(db, groupId);
  return spec;
}

/** A draft, which does nothing until it is started. Refuses as the catalog does; throws `request/invalid` and `request/not-found`. */
export async function makeRollout(context: ServerContext, wanted: NewRollout, by: string): Promise<Rollout> {
  const hotpatch = await requireHotpatch(context.catalog, wanted.hotpatchId);
  return await change(context, async (under) => {
    const spec = await checkRollout(under.db, wanted);
    await knowHotpatches(under, [hotpatch]);
    const row: RolloutRow = {
      ...{ id: newId(context.random), title: wanted.title, hotpatch_id: hotpatch.id, group_id: wanted.groupId },
      ...{ spec_json: JSON.stringify(spec), state: "draft", ring: 0, verify_until: null, outcome: null },
      ...{ pace_from: under.now, pace_granted: 0, fired_json: "{}", reason: "", look_at: null, started_at: null },
      ...{ created_at: under.now, created_by: by, changed_at: under.now },
    };
    await under.db.insertInto("rollouts").values(row).execute();
    await under.note("rollout-made", `rollout:${row.id}`, { ...wanted, by });
    return await shownRollout(under.db, storedFrom(row), under.now);
  });
}

interface Decision {
  readonly reason: string;
  readonly by: string;
}

async function decide(
  context: ServerContext,
  rolloutId: string,
  work: (under: Change, stored: StoredRollout) => Promise<unknown>,
): Promise<Rollout> {
  return await change(context, async (under) => {
    await work(under, await requireRollout(under.db, rolloutId));
    return await shownRollout(under.db, await requireRollout(under.db, rolloutId), under.now);
  });
}

/** Refuses with `rollout/exists` where another one brings the hotpatch to the same group, and with `rollout/transition`. */
export async function startRollout(
  context: ServerContext,
  rolloutId: string,
  { reason, by }: Decision,
): Promise<Rollout> {
  return await decide(context, rolloutId, async (under, stored) => {
    const { row } = stored;
    next(row.state, "start");
    const other = await under.db
      .selectFrom("rollouts")
      .select(["id", "title"])
      .where("hotpatch_id", "=", row.hotpatch_id)
      .where("group_id", "=", row.group_id)
      .where("state", "in", [...activeStates])
      .executeTakeFirst();
    if (other !== undefined) {
      refuse(
        "rollout/exists",
        `${other.title} (${other.id}) brings ${row.hotpatch_id} to ${row.group_id}; end it first.`,
      );
    }
    await placeTarget(under.db, stored);
    const columns = { started_at: under.now, pace_from: under.now };
    const told = { by, ...(reason === "" ? {} : { why: reason }) };
    const started = await move(under, stored, { event: "start", kind: "rollout-started", columns, told });
    await recordDecision(under, context.random, {
      ...{ hotpatchId: row.hotpatch_id, groupId: row.group_id, action: "install", deadlineMs: null },
      ...{ source: "rollout", sourceId: row.id, reason: row.title, by },
    });
    await refreshDecisions(under.db, { hotpatchId: row.hotpatch_id });
    await followDecisions(under, context.random, { hotpatchId: row.hotpatch_id });
    await look(under, context.random, started);
  });
}

/** Refuses with `rollout/transition`; throws `request/not-found`. */
export async function pauseRollout(
  context: ServerContext,
  rolloutId: string,
  { reason, by }: Decision,
): Promise<Rollout> {
  return await decide(context, rolloutId, async (under, stored) => {
    const columns = { reason: reason === "" ? `paused by ${by}` : reason };
    await pause(under, context.random, { stored, columns });
  });
}

/** Goes on in the ring where it stopped, by its pace from now; thresholds that were reached stop it again only when more devices are counted. Refuses with `rollout/transition`. */
export async function resumeRollout(
  context: ServerContext,
  rolloutId: string,
  { reason, by }: Decision,
): Promise<Rollout> {
  return await decide(context, rolloutId, async (under, stored) => {
    const { row } = stored;
    const { granted } = await under.db
      .selectFrom("rollout_devices")
      .select(({ fn }) => fn.countAll<number>().as("granted"))
      .where("rollout_id", "=", row.id)
      .where("ring", "=", row.ring)
      .where("granted_at", "is not", null)
      .executeTakeFirstOrThrow();
    const columns = { pace_from: under.now, pace_granted: Number(granted) };
    const told = { by, ...(reason === "" ? {} : { why: reason }) };
    const running = await move(under, stored, { event: "resume", kind: "rollout-resumed", columns, told });
    await offerApproved(under, context.random, { hotpatchId: row.hotpatch_id });
    await look(under, context.random, running);
  });
}

/** Opens the next ring, or finishes, without waiting for success and verification. Refuses with `rollout/transition`. */
export async function promoteRollout(
  context: ServerContext,
  rolloutId: string,
  { reason, by }: Decision,
): Promise<Rollout> {
  return await decide(context, rolloutId, async (under, stored) => {
    const { row, spec } = stored;
    const isLast = row.ring + 1 >= spec.rings.length;
    const told = { by, ...(reason === "" ? {} : { why: reason }), ring: spec.rings[row.ring + 1]?.name };
    const columns = { ring: row.ring + 1, pace_from: under.now, pace_granted: 0 };
    const kind = isLast ? "rollout-finished" : "rollout-ring-opened";
    const moved = await move(under, stored, { event: isLast ? "finish" : "promote", kind, columns, told });
    if (isLast) await offerApproved(under, context.random, { hotpatchId: row.hotpatch_id });
    else await look(under, context.random, moved);
  });
}

/** Refuses with `rollout/transition`; throws `request/not-found`. */
export async function abortRollout(
  context: ServerContext,
  rolloutId: string,
  { outcome, reason, by }: Decision & { readonly outcome: "keep" | "revert" },
): Promise<Rollout> {
  return await decide(context, rolloutId, async (under, stored) => {
    const columns = { reason: reason === "" ? `aborted by ${by}` : reason };
    await stop(under, context.random, { stored, event: "abort", outcome, columns });
  });
}

/** What is in place stays, and what a rollout that was taken back kept off may be offered again. Refuses with `rollout/not-ended`. */
export async function removeRollout(context: ServerContext, rolloutId: string, by: string): Promise<void> {
  await change(context, async (under) => {
    const { row } = await requireRollout(under.db, rolloutId);
    if (row.state !== "draft" && !endedStates.includes(row.state)) {
      refuse("rollout/not-ended", `${row.title} is ${row.state}; abort it first.`);
    }
    await under.db.deleteFrom("rollout_devices").where("rollout_id", "=", row.id).execute();
    await under.db.deleteFrom("rollouts").where("id", "=", row.id).execute();
    await under.note("rollout-removed", `rollout:${row.id}`, { title: row.title, hotpatchId: row.hotpatch_id, by });
    await removeDecisions(under, context.random, { source: "rollout", sourceId: row.id });
    await offerApproved(under, context.random, { hotpatchId: row.hotpatch_id });
  });
}
