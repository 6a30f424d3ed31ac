/** Groups as they stand in the database, in the order in which membership is worked out. */
import { RebootlessError } from "../../base/errors.ts";
import type { Database } from "../database/tables.ts";
import { inOrder } from "./group-tree.ts";

export interface GroupRow {
  readonly id: string;
  readonly title: string;
  readonly parentId: string | null;
  /** Null of a group that devices are put into by hand. */
  readonly filter: string | null;
  readonly excludes: readonly string[];
  readonly createdAt: number;
}

/** All of them, without a check. */
export async function readGroups(db: Database): Promise<GroupRow[]> {
  const rows = await db.selectFrom("groups").selectAll().orderBy("id").execute();
  const exclusions = await db.selectFrom("group_exclusions").selectAll().orderBy("excluded_id").execute();
  const excludes = Map.groupBy(exclusions, ({ group_id }) => group_id);
  return rows.map((row) => ({
    id: row.id,
    title: row.title,
    parentId: row.parent_id,
    filter: row.filter,
    excludes: (excludes.get(row.id) ?? []).map(({ excluded_id }) => excluded_id),
    createdAt: row.created_at,
  }));
}

export async function orderedGroups(db: Database): Promise<readonly GroupRow[]> {
  const ordered = inOrder(await readGroups(db));
  if (ordered === undefined) throw new RebootlessError("bug/invariant", "Groups lead in a circle.");
  return ordered;
}
