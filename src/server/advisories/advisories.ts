/** What advisories of others say, kept beside what is signed and never in its place. */
import type { AdvisoryImport, AdvisoryNote, StoredAdvisory } from "../../api/schemas/catalog.ts";
import { RebootlessError } from "../../base/errors.ts";
import { ratingProblem } from "../../repository/cvss.ts";
import { change, instant, type ServerContext } from "../context.ts";
import { type Page, type PageAsked, pageBounds, pageFrom } from "../database/page.ts";
import type { Database } from "../database/tables.ts";

/** Who says it, and in which document; a newer version of that document takes the place of the older one. */
function sourceOf({ source: { format, publisher, document } }: AdvisoryNote): string {
  return JSON.stringify([format, publisher, document]);
}

function shown({ note_json, imported_at }: { note_json: string; imported_at: number }): StoredAdvisory {
  return { note: JSON.parse(note_json) as AdvisoryNote, importedAt: instant(imported_at) };
}

/** Throws `request/invalid` for a CVSS score that does not follow from its vector. */
export async function importAdvisories(
  context: ServerContext,
  { items }: AdvisoryImport,
  by: string,
): Promise<{ kept: number; unchanged: number }> {
  for (const { id, cvss } of items) {
    const problem = cvss.map(ratingProblem).find((one) => one !== undefined);
    if (problem !== undefined) throw new RebootlessError("request/invalid", `The advisory ${id}: ${problem}.`);
  }
  return await change(context, async ({ db, now, note: tell }) => {
    let kept = 0;
    for (const note of items) {
      const [source, note_json] = [sourceOf(note), JSON.stringify(note)];
      const names = [...new Set([note.id, ...note.aliases])];
      const before = await db
        .selectFrom("advisories")
        .select("note_json")
        .where("id", "=", note.id)
        .where("source", "=", source)
        .executeTakeFirst();
      if (before?.note_json === note_json) continue;
      kept += 1;
      for (const id of names) {
        await db
          .insertInto("advisories")
          .values({ id, source, note_json, imported_at: now })
          .onConflict((conflict) => conflict.columns(["id", "source"]).doUpdateSet({ note_json, imported_at: now }))
          .execute();
      }
    }
    const ids = items.map(({ id }) => id).slice(0, 50);
    if (kept > 0) await tell("advisories-imported", "server", { ids, by });
    return { kept, unchanged: items.length - kept };
  });
}

export async function listAdvisories(
  db: Database,
  asked: PageAsked & { readonly id?: string },
): Promise<Page<StoredAdvisory>> {
  const { after, rows } = pageBounds(asked);
  // A cursor names the row by both parts of its key.
  const [id = "", source = ""] = after === "" ? [] : (JSON.parse(after) as string[]);
  let query = db
    .selectFrom("advisories")
    .selectAll()
    .where((is) => is.or([is("id", ">", id), is.and([is("id", "=", id), is("source", ">", source)])]))
    .orderBy("id")
    .orderBy("source")
    .limit(rows);
  if (asked.id !== undefined) query = query.where("id", "=", asked.id);
  const found = (await query.execute()).map((row) => ({ ...row, id: JSON.stringify([row.id, row.source]) }));
  return pageFrom(found, asked, shown);
}

/** Notes about any of these holes, each once. */
export async function advisoriesAbout(db: Database, ids: readonly string[]): Promise<StoredAdvisory[]> {
  if (ids.length === 0) return [];
  const rows = await db
    .selectFrom("advisories")
    .select(["note_json", "imported_at"])
    .where("id", "in", [...ids])
    .orderBy("id")
    .orderBy("source")
    .execute();
  return [...new Map(rows.map((row) => [row.note_json, row])).values()].map(shown);
}
