/** The gate of eligibility: every rule that counts for the hotpatch's product has to hold; all that do not are told. */
import type { EligibilityRule } from "../../api/eligibility-rules.ts";
import { productOf } from "../device-states/keep-states.ts";
import { type Conditions, deviceConditions } from "../offers/device-conditions.ts";
import { type Block, candidateKey, type Gate } from "../offers/gates.ts";
import { currentRules, isForProduct } from "./current-rules.ts";

/** What a device lacks, by rule. */
export function blocksOf(deviceId: string, rules: readonly EligibilityRule[], conditions: Conditions): Block[] {
  return rules.flatMap(({ id, filter, reason, helps, unknown }): Block[] => {
    const outcome = conditions(deviceId, filter);
    if (outcome === undefined || outcome.kind === "holds") return [];
    if (outcome.kind === "fails") return [{ code: "eligibility/unmet", subject: id, reason, helps }];
    if (unknown === "passes") return [];
    const why = `It is not known whether the rule ${id} holds: ${outcome.why}.`;
    return [
      { code: "eligibility/unknown", subject: id, reason: why, helps: "Have its agent tell it, or change the rule." },
    ];
  });
}

export const eligibilityGate: Gate = async (db, _now, candidates) => {
  const rules = (await currentRules(db)).filter(({ enabled }) => enabled);
  const ids = [...new Set(candidates.map(({ hotpatchId }) => hotpatchId))];
  const known = await db.selectFrom("known_hotpatches").select(["id", "product"]).where("id", "in", ids).execute();
  const products = new Map(known.map(({ id, product }) => [id, product]));
  const rulesOf = new Map(
    ids.map((id) => [id, rules.filter((rule) => isForProduct(rule, productOf(id, products.get(id))))]),
  );
  const filters = new Set([...rulesOf.values()].flat().map(({ filter }) => filter));
  const deviceIds = candidates.map(({ deviceId }) => deviceId);
  const conditions = await deviceConditions(db, deviceIds, [...filters]);
  const blocks = new Map<string, Block[]>();
  for (const candidate of candidates) {
    const found = blocksOf(candidate.deviceId, rulesOf.get(candidate.hotpatchId) ?? [], conditions);
    if (found.length > 0) blocks.set(candidateKey(candidate), found);
  }
  return blocks;
};
