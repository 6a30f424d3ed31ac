/** Rules that approve updates by themselves: those that are new in the catalog, and on demand those that are there already. */
import type { ApprovalRule, ApprovalRuleChange, NewApprovalRule, RuleRun } from "../../api/schemas/approvals.ts";
import type { Hotpatch } from "../../api/schemas/hotpatches.ts";
import { RebootlessError } from "../../base/errors.ts";
import { compileUpdateFilter } from "../../cel/update-filter.ts";
import { requireCatalog } from "../catalog/catalog.ts";
import { type Change, change, instant, newId, type ServerContext } from "../context.ts";
import { type Page, type PageAsked, pageBounds, pageFrom } from "../database/page.ts";
import type { Database, Tables } from "../database/tables.ts";
import { knowHotpatches } from "../device-states/known-hotpatches.ts";
import { requireGroup } from "../groups/groups.ts";
import { type Decided, decide } from "./approvals.ts";
import { ruleFits } from "./rule-fits.ts";

type Row = Tables["approval_rules"];
const dayMs = 24 * 60 * 60 * 1000;

function shown(row: Row): ApprovalRule {
  return {
    id: row.id,
    title: row.title,
    groupId: row.group_id,
    severities: JSON.parse(row.severities_json),
    products: JSON.parse(row.products_json),
    filter: row.filter,
    deadlineDays: row.deadline_days,
    enabled: row.enabled === 1,
    createdAt: instant(row.created_at),
    createdBy: row.created_by,
  };
}

export async function listRules(db: Database, asked: PageAsked): Promise<Page<ApprovalRule>> {
  const { after, rows } = pageBounds(asked);
  const query = db.selectFrom("approval_rules").selectAll().where("id", ">", after).orderBy("id").limit(rows);
  return pageFrom(await query.execute(), asked, shown);
}

async function requireRule(db: Database, ruleId: string): Promise<Row> {
  const row = await db.selectFrom("approval_rules").selectAll().where("id", "=", ruleId).executeTakeFirst();
  if (row === undefined) throw new RebootlessError("request/not-found", `There is no approval rule ${ruleId}.`);
  return row;
}

/** Throws `request/filter` and `request/not-found`. */
export async function makeRule(context: ServerContext, wanted: NewApprovalRule, by: string): Promise<ApprovalRule> {
  const { title, groupId, severities = [], products = [], filter = null, deadlineDays = null, enabled = true } = wanted;
  if (filter !== null) compileUpdateFilter(filter);
  return await change(context, async (under) => {
    const { db, now } = under;
    await requireGroup(db, groupId);
    const row: Row = {
      ...{ id: newId(context.random), title, group_id: groupId, filter, deadline_days: deadlineDays },
      ...{ severities_json: JSON.stringify(severities), products_json: JSON.stringify(products) },
      ...{ enabled: enabled ? 1 : 0, created_at: now, created_by: by },
    };
    await db.insertInto("approval_rules").values(row).execute();
    await under.note("approval-rule-made", `approval-rule:${row.id}`, { ...wanted });
    return shown(row);
  });
}

/** Throws `request/not-found`. */
export async function changeRule(
  context: ServerContext,
  ruleId: string,
  wanted: ApprovalRuleChange,
): Promise<ApprovalRule> {
  return await change(context, async (under) => {
    const before = await requireRule(under.db, ruleId);
    const { title = before.title, enabled = before.enabled === 1 } = wanted;
    const changed = { title, enabled: enabled ? 1 : 0 };
    await under.db.updateTable("approval_rules").set(changed).where("id", "=", ruleId).execute();
    await under.note("approval-rule-changed", `approval-rule:${ruleId}`, { ...wanted });
    return shown({ ...before, ...changed });
  });
}

/** What it has approved stays approved. Throws `request/not-found`. */
export async function removeRule(context: ServerContext, ruleId: string): Promise<void> {
  await change(context, async (under) => {
    const { title } = await requireRule(under.db, ruleId);
    await under.db.deleteFrom("approval_rules").where("id", "=", ruleId).execute();
    await under.note("approval-rule-removed", `approval-rule:${ruleId}`, { title });
  });
}

function decidedBy({ id, groupId, deadlineDays, title, createdBy }: ApprovalRule, hotpatchId: string, now: number) {
  return {
    ...{ hotpatchId, groupId, action: "install", source: "rule", sourceId: id, reason: title, by: createdBy },
    deadlineMs: deadlineDays === null ? null : now + deadlineDays * dayMs,
  } satisfies Decided;
}

/** An update that is new in the catalog: each rule that is enabled and fits approves it. */
export async function approveByRules(under: Change, context: ServerContext, hotpatch: Hotpatch): Promise<void> {
  const rows = await under.db.selectFrom("approval_rules").selectAll().where("enabled", "=", 1).orderBy("id").execute();
  for (const rule of rows.map(shown)) {
    if (ruleFits(rule, hotpatch)) await decide(under, context, decidedBy(rule, hotpatch.id, under.now));
  }
}

/** Over what the catalog lists at this moment; without `dryRun` what fits is approved, apart from what somebody has decided for that group. */
export async function runRule(
  context: ServerContext,
  ruleId: string,
  { dryRun }: { dryRun: boolean },
): Promise<RuleRun> {
  const hotpatches = await requireCatalog(context.catalog).hotpatches();
  return await change(context, async (under) => {
    const rule = shown(await requireRule(under.db, ruleId));
    const fitting = hotpatches.filter((hotpatch) => ruleFits(rule, hotpatch)).map(({ id }) => id);
    const known = await under.db
      .selectFrom("approvals")
      .select("hotpatch_id")
      .where("group_id", "=", rule.groupId)
      .execute();
    const decided = new Set(known.map((row) => row.hotpatch_id));
    const approved: string[] = [];
    if (dryRun) return { fitting, approved };
    await knowHotpatches(
      under,
      hotpatches.filter(({ id }) => fitting.includes(id)),
    );
    for (const id of fitting.filter((id) => !decided.has(id))) {
      if ((await decide(under, context, decidedBy(rule, id, under.now))) !== undefined) approved.push(id);
    }
    return { fitting, approved };
  });
}
