/**
 * What is new in the catalog: when the server saw each hotpatch first, from which deferrals count, and rules and policies that approve what is new.
 *
 * A hotpatch arrives once, whatever the catalog says of it later.
 */
import type { Hotpatch } from "../../api/schemas/hotpatches.ts";
import { RebootlessError } from "../../base/errors.ts";
import { RefusalError } from "../../base/refusal.ts";
import type { Change, ServerContext } from "../context.ts";
import type { Database } from "../database/tables.ts";
import { knowHotpatches } from "../device-states/known-hotpatches.ts";
import { approveByPolicies } from "../policies/follow-policies.ts";
import type { ScheduledTask } from "../schedule/task.ts";
import { approveByRules } from "./rules.ts";

/** How often the catalog is looked at where nobody else has looked, in milliseconds. */
export const lookMs = 60_000;

const looked = new WeakMap<ServerContext, number>();

/** Each piece is what the catalog says of a hotpatch that is new. */
export const arrivals: ScheduledTask = {
  name: "what is new in the catalog",
  async due(context, nowMs) {
    const { catalog, database } = context;
    const last = looked.get(context);
    if (catalog === undefined) return [];
    const isFresh = last !== undefined && Math.abs(nowMs - last) < lookMs;
    if (isFresh && !(await hasUnknown(database))) return [];
    looked.set(context, nowMs);
    const listed = await listedBy(context);
    const known = await database.selectFrom("arrivals").select("hotpatch_id").execute();
    const ids = new Set(known.map((row) => row.hotpatch_id));
    return listed.filter(({ id }) => !ids.has(id)).map((hotpatch) => JSON.stringify(hotpatch));
  },
  async work(under, context, piece) {
    await arrive(under, context, JSON.parse(piece));
  },
};

/** Whether somebody has had the catalog read since, and something was new in it. */
async function hasUnknown(db: Database): Promise<boolean> {
  const row = await db
    .selectFrom("catalog_entries as entry")
    .leftJoin("arrivals", "arrivals.hotpatch_id", "entry.id")
    .select("entry.id")
    .where("entry.kind", "=", "hotpatch")
    .where("entry.withdrawn_json", "is", null)
    .where("arrivals.hotpatch_id", "is", null)
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

/** Nothing where the catalog cannot be read: whoever asks for it is told why, and it is looked at again. */
async function listedBy({ catalog }: ServerContext): Promise<readonly Hotpatch[]> {
  try {
    return (await catalog?.hotpatches()) ?? [];
  } catch (error) {
    if (error instanceof RefusalError || (error instanceof RebootlessError && error.kind !== "bug")) return [];
    throw error;
  }
}

async function arrive(under: Change, context: ServerContext, hotpatch: Hotpatch): Promise<void> {
  const row = { hotpatch_id: hotpatch.id, arrived_at: under.now };
  const made = await under.db
    .insertInto("arrivals")
    .values(row)
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst();
  if (made.numInsertedOrUpdatedRows === 0n) return;
  await under.note("hotpatch-arrived", `hotpatch:${hotpatch.id}`, {
    title: hotpatch.title,
    advisories: hotpatch.advisories.map(({ id }) => id),
  });
  await knowHotpatches(under, [hotpatch]);
  await approveByRules(under, context, hotpatch);
  await approveByPolicies(under, context.random, hotpatch);
}
