/** What has happened, in order and without gaps. */

import { apiLimits } from "../../api/api-limits.ts";
import type { Event } from "../../api/schemas.ts";
import { instant, type ServerContext } from "../context.ts";
import type { Database } from "../database/tables.ts";

const heartbeatMs = 15_000;

export async function eventsAfter(db: Database, after: number, limit: number): Promise<Event[]> {
  const rows = await db
    .selectFrom("events")
    .selectAll()
    .where("sequence", ">", after)
    .orderBy("sequence")
    .limit(limit)
    .execute();
  return rows.map(({ sequence, at, kind, subject, data_json }) => ({
    sequence,
    at: instant(at),
    kind,
    subject,
    data: JSON.parse(data_json),
  }));
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
