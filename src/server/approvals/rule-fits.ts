/** Which updates a rule or a policy is about, without a database. */
import type { ApprovalRule } from "../../api/schemas/approvals.ts";
import type { Hotpatch } from "../../api/schemas/hotpatches.ts";
import { compileUpdateFilter, productOf, severityOf } from "../../cel/update-filter.ts";

/** Whether a pattern `kind/name` or `kind/*` is for a product. */
export function fitsProduct(patterns: readonly string[], product: string): boolean {
  return (
    patterns.length === 0 ||
    patterns.some((pattern) =>
      pattern.endsWith("/*") ? product.startsWith(pattern.slice(0, -1)) : pattern === product,
    )
  );
}

/** Pure: whether an update is one that a rule approves. */
export function ruleFits(
  { severities, products, filter }: Pick<ApprovalRule, "severities" | "products" | "filter">,
  hotpatch: Hotpatch,
): boolean {
  const severity = severityOf(hotpatch);
  return (
    (severities.length === 0 || severities.some((one) => one === severity)) &&
    fitsProduct(products, productOf(hotpatch)) &&
    (filter === null || compileUpdateFilter(filter).holds(hotpatch))
  );
}
