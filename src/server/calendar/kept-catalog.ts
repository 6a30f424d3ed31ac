/** What the catalog said last, as gates read it from the database. */
import type { Baseline, Withdrawal } from "../../api/schemas/catalog.ts";
import type { Hotpatch } from "../../api/schemas/hotpatches.ts";
import type { Database } from "../database/tables.ts";

/** What gates and the calendar ask of a hotpatch. */
export type KeptHotpatch = Pick<Hotpatch, "id" | "title" | "target" | "release" | "supersedes">;

/** Baselines that are not withdrawn. */
export async function keptBaselines(db: Database): Promise<Baseline[]> {
  const rows = await db
    .selectFrom("catalog_entries")
    .select("facts_json")
    .where("kind", "=", "baseline")
    .where("withdrawn_json", "is", null)
    .execute();
  return rows.map(({ facts_json }) => JSON.parse(facts_json) as Baseline);
}

export interface Kept {
  readonly hotpatch: KeptHotpatch | undefined;
  readonly withdrawal: Withdrawal | undefined;
}

/** Those among these that the catalog has, or had. */
export async function keptHotpatches(db: Database, ids: readonly string[]): Promise<Map<string, Kept>> {
  const rows = await db
    .selectFrom("catalog_entries")
    .select(["id", "facts_json", "withdrawn_json"])
    .where("kind", "=", "hotpatch")
    .where("id", "in", [...ids])
    .execute();
  return new Map(
    rows.map(({ id, facts_json, withdrawn_json }) => [
      id,
      {
        hotpatch: facts_json === "" ? undefined : (JSON.parse(facts_json) as KeptHotpatch),
        withdrawal: withdrawn_json === null ? undefined : (JSON.parse(withdrawn_json) as Withdrawal),
      },
    ]),
  );
}
