/** What the rules say of the whole fleet, also with a change of one that is not saved yet. */
import { setImmediate } from "node:timers/promises";
import type { EligibilityPreview, EligibilityPreviewRequest } from "../../api/schemas/eligibility.ts";
import type { Database } from "../database/tables.ts";
import { deviceConditions } from "../offers/device-conditions.ts";
import { currentRules, isForProduct } from "./current-rules.ts";
import { blocksOf } from "./eligibility-gate.ts";
import { changedRule } from "./rules.ts";

const chunkDevices = 500;
const shownExamples = 10;

/** Goes through all devices. Throws `request/invalid` and `request/filter`. */
export async function previewEligibility(
  db: Database,
  { product, change }: EligibilityPreviewRequest,
): Promise<EligibilityPreview> {
  const saved = await currentRules(db);
  const { id: changedId = "", ...fields } = change ?? {};
  const changed = change === undefined ? [] : [changedRule(saved, changedId, fields)];
  const rules = [...saved.filter(({ id }) => id !== changedId), ...changed].filter(
    (rule) => rule.enabled && isForProduct(rule, product),
  );
  const filters = rules.map(({ filter }) => filter);
  const counts = { devices: 0, eligible: 0 };
  const lacking = new Map(rules.map(({ id }) => [id, { unmet: 0, unknown: 0 }]));
  const examples: EligibilityPreview["examples"] = [];
  for (let after = ""; ; ) {
    const rows = await db
      .selectFrom("devices")
      .select(["id", "name"])
      .where("state", "=", "enrolled")
      .where("id", ">", after)
      .orderBy("id")
      .limit(chunkDevices)
      .execute();
    const ids = rows.map(({ id }) => id);
    const conditions = await deviceConditions(db, ids, filters);
    for (const { id, name } of rows) {
      counts.devices += 1;
      const blocks = blocksOf(id, rules, conditions);
      if (blocks.length === 0) counts.eligible += 1;
      else if (examples.length < shownExamples) {
        examples.push({ id, name, rules: blocks.map(({ subject = "" }) => subject) });
      }
      for (const { code, subject = "" } of blocks) {
        const count = lacking.get(subject);
        if (count !== undefined) count[code === "eligibility/unknown" ? "unknown" : "unmet"] += 1;
      }
    }
    after = ids.at(-1) ?? "";
    if (rows.length < chunkDevices) break;
    // The server has others to answer meanwhile.
    await setImmediate();
  }
  return {
    ...{ product, ...counts, examples },
    lacking: rules
      .map(({ id, reason, helps }) => ({ ruleId: id, reason, helps, unmet: 0, unknown: 0, ...lacking.get(id) }))
      .filter(({ unmet, unknown }) => unmet + unknown > 0)
      .toSorted((a, b) => b.unmet + b.unknown - a.unmet - a.unknown),
  };
}
