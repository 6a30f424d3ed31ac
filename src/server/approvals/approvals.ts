/** Approvals: what is decided of a hotpatch of the catalog for the devices of a group. */
import type { Static } from "typebox";
import type { routes } from "../../api/routes.ts";
import type { Approval, NewApproval } from "../../api/schemas/approvals.ts";
import { RebootlessError } from "../../base/errors.ts";
import { refuse } from "../../base/refusal.ts";
import { type Reach, reachedGroups, requireGroupInReach } from "../access/reach.ts";
import { requireHotpatch } from "../catalog/catalog.ts";
import { type Change, change, instant, newId, type ServerContext } from "../context.ts";
import { type Page, pageBounds, pageFrom } from "../database/page.ts";
import type { Database, Tables } from "../database/tables.ts";
import { knowHotpatches } from "../device-states/known-hotpatches.ts";
import { requireGroup } from "../groups/groups.ts";
import { followDecisions } from "./follow-decisions.ts";
import { refreshDecisions } from "./group-decisions.ts";
import { declineSuperseded } from "./superseded.ts";

type Row = Tables["approvals"];

function shown(row: Row): Approval {
  return {
    id: row.id,
    hotpatchId: row.hotpatch_id,
    groupId: row.group_id,
    action: row.action,
    deadline: row.deadline_at === null ? null : instant(row.deadline_at),
    source: row.source,
    sourceId: row.source_id,
    reason: row.reason,
    createdAt: instant(row.created_at),
    createdBy: row.created_by,
  };
}

export async function listApprovals(
  db: Database,
  asked: Static<(typeof routes)["listApprovals"]["query"]>,
  reach: Reach,
): Promise<Page<Approval>> {
  const { after, rows } = pageBounds(asked);
  let query = db.selectFrom("approvals").selectAll().where("id", ">", after).orderBy("id").limit(rows);
  const reached = reachedGroups(reach);
  if (reached !== undefined) query = query.where("group_id", "in", reached);
  if (asked.hotpatchId !== undefined) query = query.where("hotpatch_id", "=", asked.hotpatchId);
  if (asked.groupId !== undefined) query = query.where("group_id", "=", asked.groupId);
  if (asked.action !== undefined) query = query.where("action", "=", asked.action);
  return pageFrom(await query.execute(), asked, shown);
}

/** What is to be decided, by whom. */
export interface Decided {
  readonly hotpatchId: string;
  readonly groupId: string;
  readonly action: Row["action"];
  readonly deadlineMs: number | null;
  readonly source: Row["source"];
  /** Empty of a person. */
  readonly sourceId: string;
  readonly reason: string;
  readonly by: string;
}

/**
 * Decides for a person. What was decided otherwise by a person before is replaced.
 * Refuses with `approval/exists`, `catalog/hotpatch-unknown` or whatever the catalog is refused with; throws `request/not-found`.
 */
export async function approve(context: ServerContext, asked: NewApproval, by: string): Promise<Approval> {
  const { hotpatchId, groupId, action = "install", deadline, reason = "" } = asked;
  if (deadline !== undefined && action !== "install") {
    throw new RebootlessError("request/invalid", "A deadline is for the action install alone.");
  }
  // Before the transaction: the catalog may be far away, and the database waits for nobody.
  const hotpatch = await requireHotpatch(context.catalog, hotpatchId);
  return await change(context, async (under) => {
    await requireGroup(under.db, groupId);
    await knowHotpatches(under, [hotpatch]);
    const deadlineMs = deadline === undefined ? null : Date.parse(deadline);
    const decided = { hotpatchId, groupId, action, deadlineMs, reason, by, source: "person", sourceId: "" } as const;
    const row = await decide(under, context, decided);
    if (row === undefined) {
      refuse("approval/exists", `${hotpatchId} has the decision ${action} for the group ${groupId} already.`);
    }
    return shown(row);
  });
}

/** Within a change. Undefined where the same source has decided the same already. */
export async function decide(under: Change, context: ServerContext, decided: Decided): Promise<Row | undefined> {
  const row = await recordDecision(under, context.random, decided);
  if (row !== undefined) await settleDecision(under, context.random, row);
  return row;
}

/** Writes it down, and leaves the following to `settleDecision`, for who has several to decide. */
export async function recordDecision(
  under: Change,
  random: ServerContext["random"],
  { hotpatchId, groupId, action, deadlineMs, source, sourceId, reason, by }: Decided,
): Promise<Row | undefined> {
  const { db, now } = under;
  const known = await db
    .selectFrom("approvals")
    .selectAll()
    .where("hotpatch_id", "=", hotpatchId)
    .where("group_id", "=", groupId)
    .where("source", "=", source)
    .where("source_id", "=", sourceId)
    .executeTakeFirst();
  if (known?.action === action && known.deadline_at === deadlineMs) return undefined;
  if (known !== undefined) await db.deleteFrom("approvals").where("id", "=", known.id).execute();
  const row: Row = {
    ...{ id: known?.id ?? newId(random), hotpatch_id: hotpatchId, group_id: groupId, action, deadline_at: deadlineMs },
    ...{ source, source_id: sourceId, reason, created_at: now, created_by: by },
  };
  await db.insertInto("approvals").values(row).execute();
  await under.note("approval-made", `approval:${row.id}`, {
    ...{ hotpatchId, groupId, action, by },
    ...(deadlineMs === null ? {} : { deadline: instant(deadlineMs) }),
    ...(source === "person" ? {} : { source, sourceId }),
    ...(known === undefined ? {} : { before: known.action }),
    ...(reason === "" ? {} : { reason }),
  });
  return row;
}

async function settleDecision(under: Change, random: ServerContext["random"], row: Row): Promise<void> {
  const hotpatchId = row.hotpatch_id;
  await refreshDecisions(under.db, { hotpatchId });
  await followDecisions(under, random, { hotpatchId });
  if (row.action === "install") await declineSuperseded(under, random, hotpatchId);
}

/** The group has what the groups above it have. Refuses with `approval/managed`; throws `request/not-found`. */
export async function removeApproval(context: ServerContext, approvalId: string): Promise<void> {
  await change(context, async (under) => {
    const row = await under.db.selectFrom("approvals").selectAll().where("id", "=", approvalId).executeTakeFirst();
    if (row === undefined) throw new RebootlessError("request/not-found", `There is no approval ${approvalId}.`);
    requireGroupInReach(context.reach, row.group_id);
    if (row.source !== "person" && row.source !== "rule") {
      refuse("approval/managed", `This is decided by the ${row.source} ${row.source_id}; change or end that.`);
    }
    await dropDecision(under, row);
    await refreshDecisions(under.db, { hotpatchId: row.hotpatch_id });
    await followDecisions(under, context.random, { hotpatchId: row.hotpatch_id });
  });
}

/** Takes back what a rule, a policy, a rollout or an expedite has decided; of one hotpatch, or of all. */
export async function removeDecisions(
  under: Change,
  random: ServerContext["random"],
  { source, sourceId, hotpatchId }: { source: Row["source"]; sourceId: string; hotpatchId?: string },
): Promise<void> {
  let query = under.db
    .selectFrom("approvals")
    .selectAll()
    .where("source", "=", source)
    .where("source_id", "=", sourceId);
  if (hotpatchId !== undefined) query = query.where("hotpatch_id", "=", hotpatchId);
  const rows = await query.execute();
  for (const row of rows) await dropDecision(under, row);
  for (const hotpatchId of new Set(rows.map((row) => row.hotpatch_id))) {
    await refreshDecisions(under.db, { hotpatchId });
    await followDecisions(under, random, { hotpatchId });
  }
}

/** Leaves the following to who drops several. */
export async function dropDecision(under: Change, row: Row): Promise<void> {
  await under.db.deleteFrom("approvals").where("id", "=", row.id).execute();
  const { hotpatch_id: hotpatchId, group_id: groupId, action, source, source_id: sourceId } = row;
  const made = source === "person" ? {} : { source, sourceId };
  await under.note("approval-removed", `approval:${row.id}`, { hotpatchId, groupId, action, ...made });
}
