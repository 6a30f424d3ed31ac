/** Known issues with their status and the history of each change: what, when, by whom and why. */
import type { Static } from "typebox";
import type { IssueChange, IssueSearch, KnownIssue, NewIssue } from "../../api/schemas/holds.ts";
import { RebootlessError } from "../../base/errors.ts";
import { requireHotpatch } from "../catalog/catalog.ts";
import { type Change, change, instant, type ServerContext } from "../context.ts";
import { type Page, pageBounds, pageFrom } from "../database/page.ts";
import type { Database, Tables } from "../database/tables.ts";
import { knowHotpatches } from "../device-states/known-hotpatches.ts";
import { resolveHolds } from "./holds.ts";
import { nextId } from "./numbers.ts";

type Row = Tables["known_issues"];

async function shownIssues(db: Database, rows: readonly Row[]): Promise<(row: Row) => KnownIssue> {
  const ids = rows.map(({ id }) => id);
  const of = <Found extends { issue_id: string | null }>(found: readonly Found[], id: string) =>
    found.filter(({ issue_id }) => issue_id === id);
  const hotpatches = await db
    .selectFrom("known_issue_hotpatches")
    .selectAll()
    .where("issue_id", "in", ids)
    .orderBy("hotpatch_id")
    .execute();
  const holds = await db
    .selectFrom("holds")
    .select(["id", "issue_id"])
    .where("issue_id", "in", ids)
    .orderBy("id")
    .execute();
  const history = await db
    .selectFrom("known_issue_history")
    .selectAll()
    .where("issue_id", "in", ids)
    .orderBy("number")
    .execute();
  return (row) => ({
    ...{ id: row.id, title: row.title, text: row.text, status: row.status },
    ...{ originating: row.originating, resolvedBy: row.resolved_by },
    hotpatchIds: of(hotpatches, row.id).map(({ hotpatch_id }) => hotpatch_id),
    holdIds: of(holds, row.id).map(({ id }) => id),
    ...{ createdAt: instant(row.created_at), changedAt: instant(row.changed_at) },
    history: of(history, row.id).map(({ at, made_by, why, changes_json }) => ({
      ...{ at: instant(at), by: made_by, why, changes: JSON.parse(changes_json) },
    })),
  });
}

export async function listIssues(db: Database, asked: Static<typeof IssueSearch>): Promise<Page<KnownIssue>> {
  const { after, rows } = pageBounds(asked);
  let query = db.selectFrom("known_issues").selectAll().where("id", ">", after).orderBy("id").limit(rows);
  if (asked.status !== undefined) query = query.where("status", "=", asked.status);
  const found = await query.execute();
  return pageFrom(found, asked, await shownIssues(db, found));
}

/** Throws `request/not-found`. */
export async function getIssue(db: Database, issueId: string): Promise<KnownIssue> {
  const row = await db.selectFrom("known_issues").selectAll().where("id", "=", issueId).executeTakeFirst();
  if (row === undefined) throw new RebootlessError("request/not-found", `There is no known issue ${issueId}.`);
  return (await shownIssues(db, [row]))(row);
}

async function putHotpatches(db: Database, issueId: string, hotpatchIds: readonly string[]): Promise<void> {
  await db.deleteFrom("known_issue_hotpatches").where("issue_id", "=", issueId).execute();
  if (hotpatchIds.length === 0) return;
  const rows = hotpatchIds.map((hotpatch_id) => ({ issue_id: issueId, hotpatch_id }));
  await db.insertInto("known_issue_hotpatches").values(rows).execute();
}

interface Entry {
  readonly issueId: string;
  readonly by: string;
  readonly why: string;
  readonly changes: Record<string, unknown>;
}

async function remember({ db, now }: Change, { issueId, by, why, changes }: Entry): Promise<void> {
  const { count } = await db
    .selectFrom("known_issue_history")
    .select(({ fn }) => fn.countAll<number>().as("count"))
    .where("issue_id", "=", issueId)
    .executeTakeFirstOrThrow();
  const entry = {
    issue_id: issueId,
    number: count + 1,
    at: now,
    made_by: by,
    why,
    changes_json: JSON.stringify(changes),
  };
  await db.insertInto("known_issue_history").values(entry).execute();
}

export async function makeIssue(context: ServerContext, wanted: NewIssue, by: string): Promise<KnownIssue> {
  const { why, ...given } = wanted;
  const { title, text, status = "investigating", hotpatchIds = [], originating } = given;
  return await change(context, async (under) => {
    const { db, now } = under;
    const id = await nextId(db, "known_issues", "KI");
    const row: Row = {
      ...{ id, title, text, status, originating: originating ?? null, resolved_by: null },
      ...{ created_at: now, changed_at: now },
    };
    await db.insertInto("known_issues").values(row).execute();
    await putHotpatches(db, id, hotpatchIds);
    await remember(under, { issueId: id, by, why, changes: { ...given, status } });
    await under.note("issue-made", `issue:${id}`, { title, status, hotpatchIds, why, by });
    return await getIssue(db, id);
  });
}

/** Refuses with `catalog/hotpatch-unknown` where what resolves it is not in the catalog; throws `request/not-found`. */
export async function changeIssue(
  context: ServerContext,
  issueId: string,
  { wanted, by }: { readonly wanted: IssueChange; readonly by: string },
): Promise<KnownIssue> {
  const { why, ...given } = wanted;
  // Before the transaction, since the catalog may be far away. Its sequence says which hotpatches are newer.
  const resolving =
    given.resolvedBy === undefined ? undefined : await requireHotpatch(context.catalog, given.resolvedBy);
  return await change(context, async (under) => {
    const { db, now } = under;
    const before = await getIssue(db, issueId);
    if (resolving !== undefined) await knowHotpatches(under, [resolving]);
    const isReopened = given.status !== undefined && given.status !== "resolved" && given.resolvedBy === undefined;
    const status = given.status ?? (given.resolvedBy === undefined ? before.status : "resolved");
    const resolvedBy = isReopened ? null : (given.resolvedBy ?? before.resolvedBy);
    const columns = {
      ...{ title: given.title ?? before.title, text: given.text ?? before.text, status, changed_at: now },
      ...{ originating: given.originating ?? before.originating, resolved_by: resolvedBy },
    };
    await db.updateTable("known_issues").set(columns).where("id", "=", issueId).execute();
    if (given.hotpatchIds !== undefined) await putHotpatches(db, issueId, given.hotpatchIds);
    const changes = { ...given, ...(status === before.status ? {} : { status }) };
    await remember(under, { issueId, by, why, changes });
    await under.note("issue-changed", `issue:${issueId}`, { ...changes, why, by });
    const isNewlyResolved = status === "resolved" && (before.status !== "resolved" || given.resolvedBy !== undefined);
    if (isNewlyResolved) await resolveHolds(under, context.random, { issueId, resolvedBy, by });
    return await getIssue(db, issueId);
  });
}
