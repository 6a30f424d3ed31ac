/** Changes of the rules by administrators, with the history of them; offers follow at once. */
import { type EligibilityRule, shippedRules } from "../../api/eligibility-rules.ts";
import type { Rule, RuleChange, RuleHistory } from "../../api/schemas/eligibility.ts";
import { RebootlessError } from "../../base/errors.ts";
import { compileFilter } from "../../cel/compile-filter.ts";
import { type Change, change, instant, type ServerContext } from "../context.ts";
import type { Database } from "../database/tables.ts";
import { productOf } from "../device-states/keep-states.ts";
import { offerApproved } from "../offers/offers.ts";
import { currentRules, isForProduct, ruleOf } from "./current-rules.ts";

export async function listRules(db: Database): Promise<Rule[]> {
  const rows = await db.selectFrom("eligibility_rules").selectAll().execute();
  const changes = new Map(rows.map((row) => [row.id, row]));
  return (await currentRules(db)).map((rule) => {
    const row = changes.get(rule.id);
    return {
      ...rule,
      products: [...rule.products],
      shipped: shippedRules.some(({ id }) => id === rule.id),
      changedAt: row === undefined ? null : instant(row.changed_at),
      changedBy: row?.changed_by ?? null,
    };
  });
}

/** A rule with a change of it. Throws `request/invalid` where a new one is not whole, and `request/filter`. */
export function changedRule(
  rules: readonly EligibilityRule[],
  ruleId: string,
  wanted: Omit<RuleChange, "why">,
): EligibilityRule {
  const before = rules.find(({ id }) => id === ruleId);
  const { products = before?.products, filter = before?.filter, reason = before?.reason } = wanted;
  const helps = wanted.helps ?? before?.helps;
  if (products === undefined || filter === undefined || reason === undefined || helps === undefined) {
    throw new RebootlessError(
      "request/invalid",
      `${ruleId} is a new rule, and needs products, filter, reason and helps.`,
    );
  }
  compileFilter(filter, "group");
  const { unknown = before?.unknown ?? "blocks", enabled = before?.enabled ?? true } = wanted;
  return { id: ruleId, products, filter, reason, helps, unknown, enabled };
}

/** Throws `request/invalid` and `request/filter`. */
export async function changeRule(
  context: ServerContext,
  ruleId: string,
  { wanted, by }: { readonly wanted: RuleChange; readonly by: string },
): Promise<Rule> {
  return await change(context, async (under) => {
    const { db, now } = under;
    const { why, ...fields } = wanted;
    const rules = await currentRules(db);
    const before = rules.find(({ id }) => id === ruleId);
    const rule = changedRule(rules, ruleId, fields);
    const columns = {
      ...{ filter: rule.filter, reason: rule.reason, helps: rule.helps, unknown_facts: rule.unknown },
      ...{ products_json: JSON.stringify(rule.products), enabled: rule.enabled ? 1 : 0 },
      ...{ changed_at: now, changed_by: by },
    };
    await db
      .insertInto("eligibility_rules")
      .values({ id: ruleId, ...columns })
      .onConflict((conflict) => conflict.column("id").doUpdateSet(columns))
      .execute();
    await follow(under, context.random, { ruleId, by, why, before, after: rule });
    const shown = (await listRules(db)).find(({ id }) => id === ruleId);
    if (shown === undefined) throw new RebootlessError("bug/invariant", "A rule that was saved is not there.");
    return shown;
  });
}

/** Throws `request/not-found` where nothing was changed. */
export async function resetRule(
  context: ServerContext,
  ruleId: string,
  { why, by }: { readonly why: string; readonly by: string },
): Promise<void> {
  await change(context, async (under) => {
    const { db } = under;
    const row = await db.selectFrom("eligibility_rules").selectAll().where("id", "=", ruleId).executeTakeFirst();
    if (row === undefined) {
      throw new RebootlessError("request/not-found", `The rule ${ruleId} was neither changed nor added.`);
    }
    await db.deleteFrom("eligibility_rules").where("id", "=", ruleId).execute();
    const after = shippedRules.find(({ id }) => id === ruleId);
    await follow(under, context.random, { ruleId, by, why, before: ruleOf(row), after });
  });
}

interface Followed {
  readonly ruleId: string;
  readonly by: string;
  readonly why: string;
  readonly before: EligibilityRule | undefined;
  readonly after: EligibilityRule | undefined;
}

/** Remembers the change, and has offers follow for every hotpatch that the rule counted for, or counts for now. */
async function follow(under: Change, random: ServerContext["random"], followed: Followed): Promise<void> {
  const { db, now } = under;
  const { ruleId, by, why, before, after } = followed;
  const { count } = await db
    .selectFrom("eligibility_history")
    .select(({ fn }) => fn.countAll<number>().as("count"))
    .where("rule_id", "=", ruleId)
    .executeTakeFirstOrThrow();
  const { id: _, ...fields } = after ?? { id: ruleId };
  const rule_json = JSON.stringify(after === undefined ? null : fields);
  const entry = { rule_id: ruleId, number: count + 1, at: now, made_by: by, why, rule_json };
  await db.insertInto("eligibility_history").values(entry).execute();
  await under.note("eligibility-changed", `rule:${ruleId}`, { why, by, rule: after === undefined ? null : fields });
  const wanted = await db.selectFrom("approvals").select("hotpatch_id").distinct().execute();
  const known = await db.selectFrom("known_hotpatches").select(["id", "product"]).execute();
  const products = new Map(known.map(({ id, product }) => [id, product]));
  for (const hotpatchId of new Set([...wanted.map(({ hotpatch_id }) => hotpatch_id), ...products.keys()])) {
    const product = productOf(hotpatchId, products.get(hotpatchId));
    const isConcerned = [before, after].some((rule) => rule !== undefined && isForProduct(rule, product));
    if (isConcerned) await offerApproved(under, random, { hotpatchId });
  }
}

/** Oldest first. */
export async function ruleHistory(db: Database, ruleId: string): Promise<RuleHistory[]> {
  const rows = await db
    .selectFrom("eligibility_history")
    .selectAll()
    .where("rule_id", "=", ruleId)
    .orderBy("number")
    .execute();
  return rows.map(({ at, made_by, why, rule_json }) => ({
    ...{ at: instant(at), by: made_by, why, rule: JSON.parse(rule_json) },
  }));
}
