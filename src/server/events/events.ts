/** What has happened, in order and without gaps. */

import type { Selectable } from "kysely";
import { apiLimits } from "../../api/api-limits.ts";
import type { Event } from "../../api/schemas/events.ts";
import { devicesInReach, type Reach } from "../access/reach.ts";
import { change, instant, type ServerContext } from "../context.ts";
import type { Database, Tables } from "../database/tables.ts";

const heartbeatMs = 15_000;

interface Asked {
  readonly after?: number;
  readonly before?: number;
  readonly limit?: number;
}

/** Events that one page goes through at most where only some of them are for whoever asks. */
const searchedEvents = 5_000;

/** Oldest first: the first ones behind `after`, or the last ones before `before`; those that are about devices and groups within reach. */
export async function listEvents(db: Database, asked: Asked, reach: Reach): Promise<Event[]> {
  const { limit = apiLimits.pageItemsByDefault, before } = asked;
  let { after = 0 } = asked;
  if (before !== undefined) return await lastEvents(db, { after, before, limit }, reach);
  const found: Event[] = [];
  for (let seen = 0; seen < searchedEvents; ) {
    const events = await eventsAfter(db, after, apiLimits.pageItems);
    found.push(...(await eventsInReach(db, events, reach)));
    if (found.length >= limit || events.length < apiLimits.pageItems) break;
    seen += events.length;
    after = events.at(-1)?.sequence ?? after;
  }
  return found.slice(0, limit);
}

async function lastEvents(
  db: Database,
  { after, before, limit }: { after: number; before: number; limit: number },
  reach: Reach,
): Promise<Event[]> {
  const found: Event[] = [];
  for (let [seen, end] = [0, before]; seen < searchedEvents; ) {
    const events = await eventsBefore(db, { after, before: end, limit: apiLimits.pageItems });
    found.unshift(...(await eventsInReach(db, events, reach)));
    if (found.length >= limit || events.length < apiLimits.pageItems) break;
    seen += events.length;
    end = events[0]?.sequence ?? 0;
  }
  return found.slice(-limit);
}

/** What an event is about: its subject, and the device and the group that it names besides. */
function aboutOf({ subject, data }: Event): { device: string | undefined; group: string | undefined } {
  const [, kind, id] = /^(device|group):(.+)$/.exec(subject) ?? [];
  const told = (name: string) => (typeof data[name] === "string" ? (data[name] as string) : undefined);
  return {
    device: kind === "device" ? id : told("deviceId"),
    group: kind === "group" ? id : told("groupId"),
  };
}

/** About a device within reach, or where it is about no device, a group. What is about neither is for the whole fleet. */
export async function eventsInReach(db: Database, events: readonly Event[], reach: Reach): Promise<readonly Event[]> {
  if (reach.kind === "all" || events.length === 0) return events;
  const about = new Map(events.map((event) => [event, aboutOf(event)]));
  const devices = [...about.values()].flatMap(({ device }) => (device === undefined ? [] : [device]));
  const reached = await devicesInReach(db, reach, [...new Set(devices)]);
  return events.filter((event) => {
    const { device, group } = about.get(event) ?? {};
    if (event.subject.startsWith("person:")) return false;
    return device === undefined ? group !== undefined && reach.groupIds.has(group) : reached.has(device);
  });
}

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
async function eventsBefore(
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

function shown({ sequence, at, kind, subject, data_json, link, by_json }: Selectable<Tables["events"]>): Event {
  const by = by_json === null ? null : JSON.parse(by_json);
  return { sequence, at: instant(at), kind, subject, data: JSON.parse(data_json), link, by };
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
      for (const event of await eventsInReach(context.database, events, context.reach)) yield event;
      last = events.at(-1)?.sequence ?? last;
      if (events.length > 0) continue;
      const woken = await subscription.next(heartbeatMs);
      if (woken === "closed") return;
      if (woken === "timeout") yield undefined;
    }
  } finally {
    subscription.end();
  }
}
