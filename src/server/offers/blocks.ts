/** The table `offer_blocks`: what keeps which hotpatch off which device, as the gates said last. */
import type { ExpressionBuilder } from "kysely";
import type { Change } from "../context.ts";
import type { Tables } from "../database/tables.ts";
import { type Block, blockRanks, type Candidate, candidateKey } from "./gates.ts";
import { isWanted, type OfferScope } from "./wanted.ts";

type Row = Tables["offer_blocks"];

/** Rows of one statement, below what both databases take. */
const rowsAtOnce = 1_000;

function identity({ device_id, hotpatch_id, code, subject }: Row): string {
  return [device_id, hotpatch_id, code, subject].join(" ");
}

function rowsOf({ deviceId, hotpatchId }: Candidate, blocks: readonly Block[], now: number): Row[] {
  return blocks.map(({ code, subject = "", reason, helps, untilMs }) => ({
    ...{ device_id: deviceId, hotpatch_id: hotpatchId, code, subject, rank: blockRanks.get(code) ?? 0 },
    // An end that has passed would be looked at again and again.
    ...{ reason, helps, until_at: untilMs !== undefined && untilMs > now ? untilMs : null, since: now },
  }));
}

/** Makes the blocks of these candidates what the gates say; one that was there keeps the instant since when. */
async function replace(
  { db, now }: Change,
  candidates: readonly Candidate[],
  blocks: ReadonlyMap<string, readonly Block[]>,
): Promise<void> {
  const keys = new Set(candidates.map(candidateKey));
  const found = await db
    .selectFrom("offer_blocks")
    .selectAll()
    .where("device_id", "in", [...new Set(candidates.map(({ deviceId }) => deviceId))])
    .execute();
  const before = new Map(
    found
      .filter((row) => keys.has(candidateKey({ deviceId: row.device_id, hotpatchId: row.hotpatch_id })))
      .map((row) => [identity(row), row]),
  );
  const changed: Row[] = [];
  for (const candidate of candidates) {
    for (const row of rowsOf(candidate, blocks.get(candidateKey(candidate)) ?? [], now)) {
      const known = before.get(identity(row));
      before.delete(identity(row));
      const isSame =
        known !== undefined &&
        known.reason === row.reason &&
        known.helps === row.helps &&
        known.until_at === row.until_at;
      if (!isSame) changed.push({ ...row, since: known?.since ?? row.since });
    }
  }
  for (let from = 0; from < changed.length; from += rowsAtOnce) {
    await db
      .insertInto("offer_blocks")
      .values(changed.slice(from, from + rowsAtOnce))
      .onConflict((conflict) =>
        conflict.columns(["device_id", "hotpatch_id", "code", "subject"]).doUpdateSet((is) => ({
          reason: is.ref("excluded.reason"),
          helps: is.ref("excluded.helps"),
          until_at: is.ref("excluded.until_at"),
        })),
      )
      .execute();
  }
  await remove(db, [...before.values()]);
}

/** Grouped by what they have in common, so that a lifted hold is few statements. */
async function remove(db: Change["db"], rows: readonly Row[]): Promise<void> {
  const alike = Map.groupBy(rows, ({ hotpatch_id, code, subject }) => [hotpatch_id, code, subject].join(" "));
  for (const group of alike.values()) {
    const [first] = group;
    if (first === undefined) continue;
    await db
      .deleteFrom("offer_blocks")
      .where("hotpatch_id", "=", first.hotpatch_id)
      .where("code", "=", first.code)
      .where("subject", "=", first.subject)
      .where(
        "device_id",
        "in",
        group.map(({ device_id }) => device_id),
      )
      .execute();
  }
}

/** It was taken back for a decision, and is offered again once that changes. */
function mayReturn(is: ExpressionBuilder<Tables, "actions">) {
  const removed = is
    .selectFrom("removed_actions")
    .select("action_id")
    .whereRef("removed_actions.action_id", "=", "actions.id");
  return is.and([is("actions.state", "=", "reverted"), is.exists(removed)]);
}

/** Blocks of what nobody wants there any more, or what has begun there all the same, are gone. */
async function dropStale({ db }: Change, { deviceId, hotpatchId }: OfferScope): Promise<void> {
  let query = db.deleteFrom("offer_blocks").where((is) =>
    is.or([
      is.not(isWanted(is, "offer_blocks")),
      is.exists(
        is
          .selectFrom("actions")
          .select("actions.id")
          .whereRef("actions.device_id", "=", "offer_blocks.device_id")
          .whereRef("actions.hotpatch_id", "=", "offer_blocks.hotpatch_id")
          .where("actions.state", "<>", "withdrawn")
          .where((is) => is.not(mayReturn(is))),
      ),
    ]),
  );
  if (deviceId !== undefined) query = query.where("device_id", "=", deviceId);
  if (hotpatchId !== undefined) query = query.where("hotpatch_id", "=", hotpatchId);
  await query.execute();
}

export const keepBlocks = { replace, dropStale };
