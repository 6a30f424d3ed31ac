/** What the database keeps of hotpatches that were ever wanted, since gates and states read no catalog, which may be far away. */
import type { Hotpatch } from "../../api/schemas/hotpatches.ts";
import { type Change, change, type ServerContext } from "../context.ts";

export function productOfHotpatch({ target }: Pick<Hotpatch, "target">): string {
  return `${target.kind}/${target.name}`;
}

/** Takes over what the catalog tells of these; states follow where it tells something else than before. */
export async function knowHotpatches({ db, touch }: Change, hotpatches: readonly Hotpatch[]): Promise<void> {
  for (const hotpatch of hotpatches) {
    const { id, sequence } = hotpatch;
    const columns = { product: productOfHotpatch(hotpatch), sequence, facts_json: JSON.stringify(hotpatch) };
    const before = await db.selectFrom("known_hotpatches").selectAll().where("id", "=", id).executeTakeFirst();
    await db
      .insertInto("known_hotpatches")
      .values({ id, ...columns })
      .onConflict((conflict) => conflict.column("id").doUpdateSet(columns))
      .execute();
    if (before?.product === columns.product && before.sequence === sequence) continue;
    const rows = await db.selectFrom("device_states").select("device_id").where("hotpatch_id", "=", id).execute();
    touch(...rows.map(({ device_id }) => device_id));
  }
}

/** At the start: what was approved before any of this was kept. A catalog that is away is asked again at the next start. */
export async function learnHotpatches(context: ServerContext): Promise<void> {
  const { catalog, database } = context;
  const unknown = await database
    .selectFrom("approvals")
    .select("hotpatch_id")
    .distinct()
    .where("hotpatch_id", "not in", database.selectFrom("known_hotpatches").select("id"))
    .execute();
  if (catalog === undefined || unknown.length === 0) return;
  const ids = new Set(unknown.map(({ hotpatch_id }) => hotpatch_id));
  const found = (await catalog.hotpatches()).filter(({ id }) => ids.has(id));
  await change(context, async (under) => await knowHotpatches(under, found));
}
