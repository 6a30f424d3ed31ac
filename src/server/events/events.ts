/** What has happened, in order and without gaps. */

import type { Selectable } from "kysely";
import { apiLimits } from "../../api/api-limits.ts";
import type { Event } from "../../api/schemas/events.ts";
import { change, instant, type ServerContext } from "../context.ts";
import type { Database, Tables } from "../database/tables.ts";

const heartbeatMs = 15_000;

export async function eventsAfter(db: Database, after: number, limit: number): Promise<Event[]> {
  const rows = await db
    .selectFrom("events")
    .selectAll()
    .where("sequence", ">", after)
    .orderBy("sequence")
    .limit(limit)
    .execute();
  return rows.map(shown);
}

/** The last events before `before`, and still oldest first. */
export async function eventsBefore(
  db: Database,
  { after, before, limit }: { after: number; before: number; limit: number },
): Promise<Event[]> {
  const rows = await db
    .selectFrom("events")
    .selectAll()
    .where("sequence", ">", after)
    .where("sequence", "<", before)
    .orderBy("sequence", "desc")
    .limit(limit)
    .execute();
  return rows.reverse().map(shown);
}

function shown({ sequence, at, kind, subject, data_json, link }: Selectable<Tables["events"]>): Event {
  return { sequence, at: instant(at), kind, subject, data: JSON.parse(data_json), link };
}

const dayMs = 24 * 60 * 60 * 1000;

/**
 * Drops the events that are older than so many days, from the oldest on, and records that in an event of its own.
 * A clock that was wrong for a while drops nothing in between: what is kept has no gap.
 */
export async function dropOldEvents(context: ServerContext, keptDays: number): Promise<void> {
  await change(context, async ({ db, note, now }) => {
    const { kept, newest } = await db
      .selectFrom("events")
      .select(({ fn }) => fn.max("sequence").as("newest"))
      .select(({ fn }) =>
        fn
          .min("sequence")
          .filterWhere("at", ">=", now - keptDays * dayMs)
          .as("kept"),
      )
      .executeTakeFirstOrThrow();
    const through = (kept ?? (newest ?? 0) + 1) - 1;
    const last = await db.selectFrom("events").select("link").where("sequence", "=", through).executeTakeFirst();
    const { numDeletedRows } = await db.deleteFrom("events").where("sequence", "<=", through).executeTakeFirst();
    if (numDeletedRows === 0n) return;
    await note("events-dropped", "server", {
      through,
      count: Number(numDeletedRows),
      keptDays,
      link: last?.link ?? "",
    });
  });
}

/**
 * Events behind `after`, first those that are there and then each as it happens, until `gone`.
 * Ends as well once the reader may read no longer, which is asked before each look.
 * Answers undefined now and then when nothing happens, so that a connection that broke unseen is noticed.
 */
export async function* followEvents(
  context: ServerContext,
  { after, gone, mayRead }: { after: number; gone: AbortSignal; mayRead: () => Promise<boolean> },
): AsyncGenerator<Event | undefined> {
  const subscription = context.signals.subscribe("events", gone);
  try {
    let last = after;
    while (await mayRead()) {
      const events = await eventsAfter(context.database, last, apiLimits.pageItems);
      for (const event of events) {
        yield event;
        last = event.sequence;
      }
      if (events.length > 0) continue;
      const woken = await subscription.next(heartbeatMs);
      if (woken === "closed") return;
      if (woken === "timeout") yield undefined;
    }
  } finally {
    subscription.end();
  }
}
