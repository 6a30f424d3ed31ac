/** Policies as they stand in the database, with their groups and what they expedite. */
import type { Severity } from "../../api/schemas/approvals.ts";
import type { Database, Tables } from "../database/tables.ts";
import type { WindowRules } from "./windows.ts";

export interface PolicyGroup {
  readonly groupId: string;
  /** Empty where the policy has no rings. */
  readonly ring: string;
  readonly deferralDays: number;
}

export interface StoredPolicy {
  readonly row: Tables["policies"];
  readonly severities: Severity[];
  readonly products: string[];
  /** In the order of the rings. */
  readonly groups: readonly PolicyGroup[];
  readonly rules: WindowRules;
  readonly expedited: ReadonlySet<string>;
}

/** These, or all; by id. */
export async function storedPolicies(db: Database, ids?: readonly string[]): Promise<StoredPolicy[]> {
  let query = db.selectFrom("policies").selectAll().orderBy("id");
  if (ids !== undefined) query = query.where("id", "in", [...ids]);
  const rows = await query.execute();
  if (rows.length === 0) return [];
  const found = rows.map(({ id }) => id);
  const groups = await db
    .selectFrom("policy_groups")
    .selectAll()
    .where("policy_id", "in", found)
    .orderBy("position")
    .execute();
  const expedites = await db.selectFrom("policy_expedites").selectAll().where("policy_id", "in", found).execute();
  return rows.map((row) => ({
    row,
    severities: JSON.parse(row.severities_json),
    products: JSON.parse(row.products_json),
    rules: {
      windows: JSON.parse(row.windows_json),
      activeHours: row.active_hours_json === null ? null : JSON.parse(row.active_hours_json),
    },
    groups: groups
      .filter(({ policy_id }) => policy_id === row.id)
      .map(({ group_id, ring, deferral_days }) => ({
        ...{ groupId: group_id, ring, deferralDays: deferral_days ?? row.deferral_days },
      })),
    expedited: new Set(expedites.flatMap((one) => (one.policy_id === row.id ? [one.hotpatch_id] : []))),
  }));
}
