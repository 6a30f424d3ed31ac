/**
 * The catalog's content in the database, where gates read it: what changed is noted, and what is offered follows.
 *
 * It comes from a listing that was verified here, and a listing that is older than one that any server has seen changes nothing.
 * What a server makes of it is not what machines believe: each verifies the catalog itself.
 */
import type { Baseline, Withdrawal } from "../../api/schemas/catalog.ts";
import type { KeptHotpatch } from "../calendar/kept-catalog.ts";
import { type Change, change, type ServerContext } from "../context.ts";
import type { Tables } from "../database/tables.ts";
import { offerApproved } from "../offers/offers.ts";
import type { CatalogContent } from "./catalog.ts";

type Row = Omit<Tables["catalog_entries"], "changed_at">;

function rowsOf({ hotpatches, baselines, withdrawn }: CatalogContent): Row[] {
  const kept = (kind: Row["kind"], id: string, facts: KeptHotpatch | Baseline): Row => ({
    ...{ kind, id, facts_json: JSON.stringify(facts), withdrawn_json: null },
  });
  return [
    ...hotpatches.map(({ id, title, target, release, supersedes }) =>
      kept("hotpatch", id, { id, title, target, release, supersedes }),
    ),
    ...baselines.map((baseline) => kept("baseline", baseline.id, baseline)),
    ...withdrawn.map((note) => ({
      ...{ kind: note.kind, id: note.id, facts_json: "", withdrawn_json: JSON.stringify(note) },
    })),
  ];
}

function keyOf({ kind, id }: Pick<Row, "kind" | "id">): string {
  return `${kind} ${id}`;
}

/** Of an entry that left the list without a note, as when a publisher took a mistake back by hand. */
function unlisted({ kind, id }: Row, now: number): string {
  const at = `${new Date(now).toISOString().slice(0, 19)}Z`;
  const note: Withdrawal = { kind, id, title: id, at, reason: "The catalog does not list it any more." };
  return JSON.stringify(note);
}

/** The rows that are other than before. */
async function changedRows({ db, now }: Change, content: CatalogContent): Promise<Row[]> {
  const known = new Map((await db.selectFrom("catalog_entries").selectAll().execute()).map((row) => [keyOf(row), row]));
  const wanted = new Map(rowsOf(content).map((row) => [keyOf(row), row]));
  const changed: Row[] = [];
  for (const [key, row] of wanted) {
    const before = known.get(key);
    // The facts of what was withdrawn stay, so that what is in place still has a name.
    const next = row.withdrawn_json === null ? row : { ...row, facts_json: before?.facts_json ?? "" };
    if (before?.facts_json !== next.facts_json || before.withdrawn_json !== next.withdrawn_json) changed.push(next);
  }
  for (const [key, { kind, id, facts_json, withdrawn_json }] of known) {
    if (wanted.has(key) || withdrawn_json !== null) continue;
    const row = { kind, id, facts_json, withdrawn_json };
    changed.push({ ...row, withdrawn_json: unlisted(row, now) });
  }
  return changed;
}

async function keep({ db, now }: Change, rows: readonly Row[]): Promise<void> {
  for (const row of rows) {
    const { facts_json, withdrawn_json } = row;
    await db
      .insertInto("catalog_entries")
      .values({ ...row, changed_at: now })
      .onConflict((conflict) =>
        conflict.columns(["kind", "id"]).doUpdateSet({ facts_json, withdrawn_json, changed_at: now }),
      )
      .execute();
  }
}

async function versionSeen(db: Change["db"]): Promise<number> {
  const row = await db.selectFrom("settings").select("value").where("name", "=", "catalog").executeTakeFirst();
  return Number(row?.value ?? 0);
}

/** Brings the database to what the catalog says now. */
export async function followCatalog(context: ServerContext, content: CatalogContent): Promise<void> {
  // Most looks find nothing new, and reading is cheaper than a transaction of the whole fleet.
  if ((await versionSeen(context.database)) >= content.version) return;
  await change(context, async (under) => {
    const { db } = under;
    if ((await versionSeen(db)) >= content.version) return;
    const changed = await changedRows(under, content);
    await keep(under, changed);
    const value = String(content.version);
    await db
      .insertInto("settings")
      .values({ name: "catalog", value })
      .onConflict((conflict) => conflict.column("name").doUpdateSet({ value }))
      .execute();
    for (const { kind, id, withdrawn_json } of changed) {
      const note = withdrawn_json === null ? undefined : (JSON.parse(withdrawn_json) as Withdrawal);
      const told = note === undefined ? {} : { withdrawn: true, reason: note.reason };
      await under.note("catalog-changed", `${kind}:${id}`, told);
    }
    // A baseline moves every hotpatch that builds on one.
    if (changed.some(({ kind }) => kind === "baseline")) return await offerApproved(under, context.random, {});
    for (const { id } of changed) await offerApproved(under, context.random, { hotpatchId: id });
  });
}
