/** Safeguard holds: made and released, by a person or with the issue that they are for; offers follow at once. */
import type { Static } from "typebox";
import type { Hold, HoldSearch, NewHold } from "../../api/schemas/holds.ts";
import { RebootlessError } from "../../base/errors.ts";
import { refuse } from "../../base/refusal.ts";
import { compileFilter } from "../../cel/compile-filter.ts";
import { type Change, change, instant, type ServerContext } from "../context.ts";
import { type Page, pageBounds, pageFrom } from "../database/page.ts";
import type { Database, Tables } from "../database/tables.ts";
import { offerApproved } from "../offers/offers.ts";
import { nextId } from "./numbers.ts";

type Row = Tables["holds"];

async function shownHolds(db: Database, rows: readonly Row[]): Promise<(row: Row) => Hold> {
  const ids = rows.map(({ id }) => id);
  const targets = await db
    .selectFrom("hold_targets")
    .selectAll()
    .where("hold_id", "in", ids)
    .orderBy("target")
    .execute();
  const counts = await db
    .selectFrom("offer_blocks")
    .select("subject")
    .select(({ fn }) => fn.count<number>("device_id").distinct().as("devices"))
    .where("code", "=", "hold/safeguard")
    .where("subject", "in", ids)
    .groupBy("subject")
    .execute();
  const devices = new Map(counts.map((row) => [row.subject, row.devices]));
  const at = (ms: number | null) => (ms === null ? null : instant(ms));
  return (row) => {
    const named = (kind: "hotpatch" | "product") =>
      targets.flatMap((one) => (one.hold_id === row.id && one.kind === kind ? [one.target] : []));
    return {
      ...{
        id: row.id,
        state: row.released_at === null ? "active" : "released",
        filter: row.filter,
        reason: row.reason,
      },
      ...{ hotpatchIds: named("hotpatch"), products: named("product") },
      ...{ issueId: row.issue_id, resolvedBy: row.resolved_by, devices: devices.get(row.id) ?? 0 },
      ...{ createdAt: instant(row.created_at), createdBy: row.created_by, releasedAt: at(row.released_at) },
      ...{ releasedBy: row.released_by, releaseReason: row.release_reason },
    };
  };
}

export async function listHolds(db: Database, asked: Static<typeof HoldSearch>): Promise<Page<Hold>> {
  const { after, rows } = pageBounds(asked);
  let query = db.selectFrom("holds").selectAll().where("id", ">", after).orderBy("id").limit(rows);
  if (asked.state === "active") query = query.where("released_at", "is", null);
  if (asked.state === "released") query = query.where("released_at", "is not", null);
  const found = await query.execute();
  return pageFrom(found, asked, await shownHolds(db, found));
}

/** Throws `request/not-found`. */
export async function getHold(db: Database, holdId: string): Promise<Hold> {
  const row = await requireHold(db, holdId);
  return (await shownHolds(db, [row]))(row);
}

async function requireHold(db: Database, holdId: string): Promise<Row> {
  const row = await db.selectFrom("holds").selectAll().where("id", "=", holdId).executeTakeFirst();
  if (row === undefined) throw new RebootlessError("request/not-found", `There is no hold ${holdId}.`);
  return row;
}

/** Throws `request/filter`, `request/invalid` where it names nothing to hold, and `request/not-found` for an unknown issue. */
export async function makeHold(context: ServerContext, wanted: NewHold, by: string): Promise<Hold> {
  const { hotpatchIds = [], products = [], filter, reason, issueId } = wanted;
  if (hotpatchIds.length + products.length === 0) {
    throw new RebootlessError("request/invalid", "Say what to hold: hotpatches, or products.");
  }
  if (filter !== undefined) compileFilter(filter, "group");
  return await change(context, async (under) => {
    const { db, now } = under;
    const issue =
      issueId === undefined
        ? undefined
        : await db.selectFrom("known_issues").select("resolved_by").where("id", "=", issueId).executeTakeFirst();
    if (issueId !== undefined && issue === undefined) {
      throw new RebootlessError("request/not-found", `There is no known issue ${issueId}.`);
    }
    const id = await nextId(db, "holds", "SH");
    const row: Row = {
      ...{ id, filter: filter ?? null, reason, issue_id: issueId ?? null, resolved_by: issue?.resolved_by ?? null },
      ...{ created_at: now, created_by: by, released_at: null, released_by: null, release_reason: null },
    };
    await db.insertInto("holds").values(row).execute();
    const targets = [
      ...hotpatchIds.map((target) => ({ hold_id: id, kind: "hotpatch" as const, target })),
      ...products.map((target) => ({ hold_id: id, kind: "product" as const, target })),
    ];
    await db.insertInto("hold_targets").values(targets).execute();
    await offerWhatIsHeld(under, context.random, id);
    const hold = await getHold(db, id);
    const { devices } = hold;
    await under.note("hold-made", `hold:${id}`, { ...wanted, by, devices });
    return hold;
  });
}

/** Asks the gates anew for each hotpatch that the hold is for. */
async function offerWhatIsHeld(under: Change, random: ServerContext["random"], holdId: string): Promise<void> {
  const { db } = under;
  const targets = await db.selectFrom("hold_targets").selectAll().where("hold_id", "=", holdId).execute();
  const products = targets.flatMap(({ kind, target }) => (kind === "product" ? [target] : []));
  const known = await db.selectFrom("known_hotpatches").select("id").where("product", "in", products).execute();
  const named = targets.flatMap(({ kind, target }) => (kind === "hotpatch" ? [target] : []));
  for (const hotpatchId of new Set([...named, ...known.map(({ id }) => id)])) {
    await offerApproved(under, random, { hotpatchId });
  }
}

/** Refuses with `hold/released`; throws `request/not-found`. */
export async function releaseHold(
  context: ServerContext,
  holdId: string,
  { reason, by }: { readonly reason: string; readonly by: string },
): Promise<Hold> {
  return await change(context, async (under) => {
    const { released_at } = await requireHold(under.db, holdId);
    if (released_at !== null) refuse("hold/released", `${holdId} was released at ${instant(released_at)}.`);
    await release(under, context.random, { holdId, reason, by });
    return await getHold(under.db, holdId);
  });
}

interface Release {
  readonly holdId: string;
  readonly reason: string;
  readonly by: string;
}

async function release(under: Change, random: ServerContext["random"], { holdId, reason, by }: Release): Promise<void> {
  const columns = { released_at: under.now, released_by: by, release_reason: reason };
  await under.db.updateTable("holds").set(columns).where("id", "=", holdId).execute();
  await under.note("hold-released", `hold:${holdId}`, { reason, by });
  await offerWhatIsHeld(under, random, holdId);
}

export interface Resolution {
  readonly issueId: string;
  /** A hotpatch that resolves it; without one, nothing of the issue is left. */
  readonly resolvedBy: string | null;
  readonly by: string;
}

/**
 * The holds of an issue that was resolved.
 * Where a newer hotpatch resolves it, that one and what follows may pass, and the older ones, which have the issue still, stay held; otherwise the holds are released.
 */
export async function resolveHolds(
  under: Change,
  random: ServerContext["random"],
  { issueId, resolvedBy, by }: Resolution,
): Promise<void> {
  const { db } = under;
  const holds = await db
    .selectFrom("holds")
    .select("id")
    .where("issue_id", "=", issueId)
    .where("released_at", "is", null)
    .orderBy("id")
    .execute();
  for (const { id: holdId } of holds) {
    if (resolvedBy === null) {
      await release(under, random, { holdId, reason: `${issueId} is resolved.`, by });
      continue;
    }
    await db.updateTable("holds").set({ resolved_by: resolvedBy }).where("id", "=", holdId).execute();
    await under.note("hold-narrowed", `hold:${holdId}`, { issueId, resolvedBy, by });
    await offerWhatIsHeld(under, random, holdId);
  }
}
