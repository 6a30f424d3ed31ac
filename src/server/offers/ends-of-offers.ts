/** The table `offer_ends`: until when what was offered may begin, such as the end of a maintenance window. */
import type { Change } from "../context.ts";
import type { Database } from "../database/tables.ts";
import { type Candidate, candidateKey } from "./gates.ts";

/** Rows of one statement, below what both databases take. */
const rowsAtOnce = 1_000;

/** Makes the ends of these candidates what `ends` says, by their keys. */
export async function replaceEnds(
  db: Database,
  candidates: readonly Candidate[],
  ends: ReadonlyMap<string, number>,
): Promise<void> {
  if (candidates.length === 0) return;
  const found = await db
    .selectFrom("offer_ends")
    .selectAll()
    .where("device_id", "in", [...new Set(candidates.map(({ deviceId }) => deviceId))])
    .execute();
  const known = new Map(
    found.map((row) => [candidateKey({ deviceId: row.device_id, hotpatchId: row.hotpatch_id }), row.until_at]),
  );
  const isStale = (one: Candidate) => known.has(candidateKey(one)) && !ends.has(candidateKey(one));
  for (const [hotpatchId, group] of Map.groupBy(candidates.filter(isStale), (one) => one.hotpatchId)) {
    await db
      .deleteFrom("offer_ends")
      .where("hotpatch_id", "=", hotpatchId)
      .where(
        "device_id",
        "in",
        group.map(({ deviceId }) => deviceId),
      )
      .execute();
  }
  const rows = candidates.flatMap((candidate) => {
    const until_at = ends.get(candidateKey(candidate));
    if (until_at === undefined || known.get(candidateKey(candidate)) === until_at) return [];
    return { device_id: candidate.deviceId, hotpatch_id: candidate.hotpatchId, until_at };
  });
  for (let from = 0; from < rows.length; from += rowsAtOnce) {
    await db
      .insertInto("offer_ends")
      .values(rows.slice(from, from + rowsAtOnce))
      .onConflict((conflict) =>
        conflict.columns(["device_id", "hotpatch_id"]).doUpdateSet((is) => ({ until_at: is.ref("excluded.until_at") })),
      )
      .execute();
  }
}

/** Hotpatches of which the time in which they may begin is over somewhere. */
export async function endedOffers(db: Database, nowMs: number): Promise<string[]> {
  const query = db.selectFrom("offer_ends").select("hotpatch_id").distinct().where("until_at", "<=", nowMs);
  return (await query.execute()).map(({ hotpatch_id }) => hotpatch_id);
}

/** The devices where the time is over; their rows go, also where the hotpatch is wanted no more and nobody asks for it again. */
export async function takeEnded(
  { db, now }: Change,
  { hotpatchId, limit }: { readonly hotpatchId: string; readonly limit: number },
): Promise<string[]> {
  const rows = await db
    .selectFrom("offer_ends")
    .select("device_id")
    .where("hotpatch_id", "=", hotpatchId)
    .where("until_at", "<=", now)
    .limit(limit)
    .execute();
  const deviceIds = rows.map(({ device_id }) => device_id);
  for (let from = 0; from < deviceIds.length; from += rowsAtOnce) {
    await db
      .deleteFrom("offer_ends")
      .where("hotpatch_id", "=", hotpatchId)
      .where("device_id", "in", deviceIds.slice(from, from + rowsAtOnce))
      .execute();
  }
  return deviceIds;
}
