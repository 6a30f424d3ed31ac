/** The rules as they count now: what ships, under what administrators have changed and added. */
import { type EligibilityRule, shippedRules } from "../../api/eligibility-rules.ts";
import type { Database, Tables } from "../database/tables.ts";

type Row = Tables["eligibility_rules"];

export function ruleOf(row: Row): EligibilityRule {
  const { id, filter, reason, helps, unknown_facts: unknown } = row;
  return { id, filter, reason, helps, unknown, products: JSON.parse(row.products_json), enabled: row.enabled === 1 };
}

/** Those that ship first, in their order. */
export async function currentRules(db: Database): Promise<EligibilityRule[]> {
  const rows = await db.selectFrom("eligibility_rules").selectAll().orderBy("id").execute();
  const changed = new Map(rows.map((row) => [row.id, ruleOf(row)]));
  const shipped = shippedRules.map((rule) => changed.get(rule.id) ?? rule);
  const added = [...changed.values()].filter(({ id }) => !shippedRules.some((rule) => rule.id === id));
  return [...shipped, ...added];
}

/** Whether a rule counts for a product. */
export function isForProduct({ products }: Pick<EligibilityRule, "products">, product: string): boolean {
  const [kind = ""] = product.split("/");
  return products.some((pattern) => pattern === "*" || pattern === product || pattern === `${kind}/*`);
}
