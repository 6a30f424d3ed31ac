/**
 * The gate of safeguard holds: a hotpatch stays off the devices that a hold is for.
 *
 * A device that does not tell a fact that the filter asks for is held as well, since nobody can say that it is not affected; a value that is not there, such as a package that is not installed, is an answer.
 */
import type { Database } from "../database/tables.ts";
import { deviceConditions } from "../offers/device-conditions.ts";
import { type Block, candidateKey, type Gate } from "../offers/gates.ts";

interface ActiveHold {
  readonly id: string;
  readonly filter: string | null;
  readonly reason: string;
  readonly issueId: string | null;
  readonly hotpatchIds: ReadonlySet<string>;
  readonly products: ReadonlySet<string>;
  /** This one and newer ones of its product pass. */
  readonly passes: { readonly product: string; readonly sequence: number } | undefined;
}

async function activeHolds(db: Database): Promise<ActiveHold[]> {
  const rows = await db
    .selectFrom("holds")
    .leftJoin("known_hotpatches", "known_hotpatches.id", "holds.resolved_by")
    .selectAll("holds")
    .select(["product", "sequence"])
    .where("released_at", "is", null)
    .orderBy("holds.id")
    .execute();
  if (rows.length === 0) return [];
  const targets = await db
    .selectFrom("hold_targets")
    .selectAll()
    .where(
      "hold_id",
      "in",
      rows.map(({ id }) => id),
    )
    .execute();
  const ofHold = Map.groupBy(targets, ({ hold_id }) => hold_id);
  return rows.map(({ id, filter, reason, issue_id, product, sequence }) => {
    const named = (kind: "hotpatch" | "product") =>
      new Set((ofHold.get(id) ?? []).flatMap((row) => (row.kind === kind ? [row.target] : [])));
    const passes = product === null || sequence === null ? undefined : { product, sequence };
    return {
      id,
      filter,
      reason,
      issueId: issue_id,
      hotpatchIds: named("hotpatch"),
      products: named("product"),
      passes,
    };
  });
}

type Known = { readonly product: string; readonly sequence: number } | undefined;

function isFor({ hotpatchIds, products, passes }: ActiveHold, hotpatchId: string, known: Known): boolean {
  if (known !== undefined && passes?.product === known.product && known.sequence >= passes.sequence) return false;
  return hotpatchIds.has(hotpatchId) || (known !== undefined && products.has(known.product));
}

function blockOf({ id, reason, issueId }: ActiveHold, missing: readonly string[]): Block {
  const about = issueId === null ? "" : ` (${issueId})`;
  const open = missing.length === 0 ? "" : ` The device does not tell ${missing.join(", ")}, so it may be affected.`;
  return {
    ...{ code: "hold/safeguard", subject: id, reason: `The safeguard hold ${id}${about} has it: ${reason}${open}` },
    helps:
      issueId === null
        ? `\`rebootless hold release ${id}\` ends the hold.`
        : `It ends when ${issueId} is resolved, or by \`rebootless hold release ${id}\`.`,
  };
}

export const holdGate: Gate = async (db, _now, candidates) => {
  const blocks = new Map<string, Block[]>();
  const holds = await activeHolds(db);
  if (holds.length === 0) return blocks;
  const ids = [...new Set(candidates.map(({ hotpatchId }) => hotpatchId))];
  const rows = await db.selectFrom("known_hotpatches").selectAll().where("id", "in", ids).execute();
  const known = new Map(rows.map((row) => [row.id, row]));
  const concerned = candidates.flatMap((candidate) => {
    const { hotpatchId } = candidate;
    const held = holds.filter((hold) => isFor(hold, hotpatchId, known.get(hotpatchId)));
    return held.length === 0 ? [] : [{ candidate, held }];
  });
  const filters = concerned.flatMap(({ held }) => held.flatMap(({ filter }) => (filter === null ? [] : [filter])));
  const deviceIds = concerned.map(({ candidate }) => candidate.deviceId);
  const conditions = await deviceConditions(db, deviceIds, [...new Set(filters)]);
  for (const { candidate, held } of concerned) {
    const found = held.flatMap((hold) => {
      if (hold.filter === null) return [blockOf(hold, [])];
      const outcome = conditions(candidate.deviceId, hold.filter);
      if (outcome?.kind === "holds") return [blockOf(hold, [])];
      return outcome?.kind === "unknown" && outcome.missing.length > 0 ? [blockOf(hold, outcome.missing)] : [];
    });
    if (found.length > 0) blocks.set(candidateKey(candidate), found);
  }
  return blocks;
};
