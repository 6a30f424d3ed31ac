/** Ids of known issues and holds: a letter code and a number that rises, so that people can say them on the telephone. */
import type { Database } from "../database/tables.ts";

/** Within a change of the whole fleet, where nobody else makes one at the same time. */
export async function nextId(db: Database, table: "known_issues" | "holds", letters: "KI" | "SH"): Promise<string> {
  const newest = await db.selectFrom(table).select("id").orderBy("id", "desc").limit(1).executeTakeFirst();
  return `${letters}${String(Number(newest?.id.slice(letters.length) ?? 0) + 1).padStart(8, "0")}`;
}
