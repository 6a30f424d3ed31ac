/**
 * What was confirmed as it stands: kept by what a change noted, so that a change by one person alone ends it.
 *
 * A policy or a rule speaks for what it decides by itself later.
 */
import { followDecisions } from "../approvals/follow-decisions.ts";
import type { Change, ServerContext } from "../context.ts";
import type { NewEvent } from "../events/append-events.ts";

const making: ReadonlySet<string> = new Set([
  ...["approval-made", "policy-made", "policy-changed", "policy-expedited"],
  ...["approval-rule-made", "approval-rule-changed", "rollout-started", "rollout-changed"],
]);

/** After a change with these events, which a second person confirmed or not: marks what it made, and has the offers follow. */
export async function settleConfirmed(
  under: Change,
  random: ServerContext["random"],
  { events, isConfirmed }: { readonly events: readonly NewEvent[]; readonly isConfirmed: boolean },
): Promise<void> {
  const subjects = [...new Set(events.filter(({ kind }) => making.has(kind)).map(({ subject }) => subject))];
  if (subjects.length === 0) return;
  const before = await under.db
    .selectFrom("confirmed_subjects")
    .select("subject")
    .where("subject", "in", subjects)
    .execute();
  if (isConfirmed) {
    const rows = subjects.map((subject) => ({ subject, confirmed_at: under.now }));
    await under.db
      .insertInto("confirmed_subjects")
      .values(rows)
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  } else {
    await under.db.deleteFrom("confirmed_subjects").where("subject", "in", subjects).execute();
  }
  if (isConfirmed ? before.length === subjects.length : before.length === 0) return;
  const ids = subjects.map((subject) => subject.slice(subject.indexOf(":") + 1));
  const decided = await under.db
    .selectFrom("approvals")
    .select("hotpatch_id")
    .distinct()
    .where((is) => is.or([is("id", "in", ids), is("source_id", "in", ids)]))
    .execute();
  for (const { hotpatch_id: hotpatchId } of decided) await followDecisions(under, random, { hotpatchId });
}

/** What stands when four eyes are asked for was decided under the rules of its time. */
export async function confirmWhatStands({ db, now }: Change): Promise<void> {
  for (const [table, kind] of [
    ["approvals", "approval"],
    ["policies", "policy"],
    ["approval_rules", "rule"],
  ] as const) {
    const rows = await db.selectFrom(table).select("id").execute();
    for (let from = 0; from < rows.length; from += 1_000) {
      const values = rows.slice(from, from + 1_000).map(({ id }) => ({ subject: `${kind}:${id}`, confirmed_at: now }));
      await db
        .insertInto("confirmed_subjects")
        .values(values)
        .onConflict((conflict) => conflict.doNothing())
        .execute();
    }
  }
}
