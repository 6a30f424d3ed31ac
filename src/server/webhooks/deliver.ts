/**
 * Sends events to webhooks: each webhook gets its events in their order, and none is passed over.
 *
 * What is to be sent is what stands behind `delivered` in the record of events, so nothing is lost with a server; an event whose acknowledgement was lost is sent again under its old id.
 * A server claims a webhook for a while before it sends, so that of several servers one sends.
 */
import type { Event } from "../../api/schemas/events.ts";
import { type WebhookDelivery, webhookLimits } from "../../api/schemas/webhooks.ts";
import { reachOf } from "../access/reach.ts";
import { change, instant, type ServerContext } from "../context.ts";
import type { Tables } from "../database/tables.ts";
import { eventsAfter, eventsInReach } from "../events/events.ts";
import { messageOf, toldOf, waitMs } from "./message.ts";
import { type Posted, post } from "./post.ts";
import { requireWebhook } from "./webhooks.ts";

type Row = Tables["webhooks"];
const dayMs = 24 * 60 * 60 * 1000;
/** Longer than one attempt takes. */
const claimMs = 60_000;
/** Events that are read at once, and attempts of one turn. */
const eventsAtOnce = 100;
const turnMs = 20_000;

/** One turn of all webhooks that have something to send. */
export async function deliverDue(context: ServerContext, gone: AbortSignal): Promise<void> {
  const { database, clock } = context;
  const now = clock().getTime();
  const newest = await database.selectFrom("counters").select("value").where("name", "=", "events").executeTakeFirst();
  const due = await database
    .selectFrom("webhooks")
    .select("id")
    .where("state", "=", "active")
    .where("next_at", "<=", now)
    .where("claimed_until", "<=", now)
    .where("delivered", "<", newest?.value ?? 0)
    .execute();
  await Promise.all(due.map(({ id }) => turnOf(context, id, gone)));
}

async function turnOf(context: ServerContext, id: string, gone: AbortSignal): Promise<void> {
  const { database, clock, random } = context;
  const claim = random(16).toString("hex");
  const began = performance.now();
  try {
    while (!gone.aborted && performance.now() - began < turnMs) {
      const now = clock().getTime();
      const claimed = await database
        .updateTable("webhooks")
        .set({ claim, claimed_until: now + claimMs })
        .where("id", "=", id)
        .where((is) => is.or([is("claimed_until", "<=", now), is("claim", "=", claim)]))
        .executeTakeFirst();
      if (claimed.numUpdatedRows === 0n) return;
      if (!(await sendNext(context, { id, claim }, gone))) return;
    }
  } finally {
    await database.updateTable("webhooks").set({ claimed_until: 0 }).where("claim", "=", claim).execute();
  }
}

interface Claimed {
  readonly id: string;
  readonly claim: string;
}

/** Whether there may be more to send at once. */
async function sendNext(context: ServerContext, claimed: Claimed, gone: AbortSignal): Promise<boolean> {
  const { database, clock } = context;
  const row = await database.selectFrom("webhooks").selectAll().where("id", "=", claimed.id).executeTakeFirst();
  if (row === undefined || row.state !== "active" || row.next_at > clock().getTime()) return false;
  const events = await eventsAfter(database, row.delivered, eventsAtOnce);
  const [event] = await forIt(context, row, events);
  if (event === undefined) {
    const last = events.at(-1);
    if (last !== undefined) await advance(context, claimed, { from: row.delivered, to: last.sequence });
    return events.length === eventsAtOnce;
  }
  const message = messageOf(toldOf(row.id, event), { secrets: secretsOf(row, clock()), nowMs: clock().getTime() });
  const posted = await post(row.url, message, { allowPrivate: context.webhooks.allowPrivate, gone });
  await record(context, row, { sequence: event.sequence, attempt: row.attempts + 1, ...posted });
  if (posted.error === "") {
    await advance(context, claimed, { from: row.delivered, to: event.sequence });
    return true;
  }
  await failed(context, row, posted);
  return false;
}

function secretsOf({ secret, old_secret, old_secret_until }: Row, now: Date): string[] {
  const isOldGood = old_secret !== null && (old_secret_until ?? 0) > now.getTime();
  return isOldGood ? [secret, old_secret] : [secret];
}

async function forIt({ database }: ServerContext, row: Row, events: readonly Event[]): Promise<readonly Event[]> {
  const kinds = new Set<string>(JSON.parse(row.kinds_json));
  const wanted = events.filter(({ kind }) => kinds.size === 0 || kinds.has(kind));
  if (row.group_id === null) return wanted;
  return await eventsInReach(database, wanted, await reachOf(database, [{ role: "auditor", groupId: row.group_id }]));
}

/** Where somebody has asked for a replay meanwhile, his word counts. */
async function advance(
  { database, clock }: ServerContext,
  { id, claim }: Claimed,
  { from, to }: { readonly from: number; readonly to: number },
): Promise<void> {
  await database
    .updateTable("webhooks")
    .set({ delivered: to, attempts: 0, failing_since: null, last_error: "", next_at: clock().getTime() })
    .where("id", "=", id)
    .where("claim", "=", claim)
    .where("delivered", "=", from)
    .execute();
}

/** What an administrator has changed meanwhile counts: the failure was one of what was before. */
async function failed(context: ServerContext, row: Row, { status, error }: Posted): Promise<void> {
  const { clock, random } = context;
  const now = clock().getTime();
  const since = row.failing_since ?? now;
  const attempts = row.attempts + 1;
  const isOver = status === 410 || now - since >= webhookLimits.failingDays * dayMs;
  const next_at = now + waitMs(attempts, random(1)[0] ?? 0);
  const columns = { attempts, failing_since: since, last_error: error };
  await change(context, async ({ db, note }) => {
    const { numUpdatedRows } = await db
      .updateTable("webhooks")
      .set(isOver ? { ...columns, state: "disabled" } : { ...columns, next_at })
      .where("id", "=", row.id)
      .where("state", "=", "active")
      .where("url", "=", row.url)
      .where("delivered", "=", row.delivered)
      .where("attempts", "=", row.attempts)
      .executeTakeFirst();
    if (!isOver || numUpdatedRows === 0n) return;
    await note("webhook-disabled", `webhook:${row.id}`, { title: row.title, attempts, error });
  });
}

type Recorded = Omit<WebhookDelivery, "at">;

async function record({ database, clock }: ServerContext, { id }: Row, delivery: Recorded): Promise<WebhookDelivery> {
  const at = clock().getTime();
  const { last } = await database
    .selectFrom("webhook_deliveries")
    .select(({ fn }) => fn.max("number").as("last"))
    .where("webhook_id", "=", id)
    .executeTakeFirstOrThrow();
  const number = Number(last ?? 0) + 1;
  await database
    .insertInto("webhook_deliveries")
    .values({ webhook_id: id, number, at, ...delivery })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  await database
    .deleteFrom("webhook_deliveries")
    .where("webhook_id", "=", id)
    .where("number", "<=", number - webhookLimits.deliveries)
    .execute();
  return { at: instant(at), ...delivery };
}

/** Sends a message of its own kind, once. Throws `request/not-found`. */
export async function testWebhook(context: ServerContext, id: string, gone: AbortSignal): Promise<WebhookDelivery> {
  const { database, clock } = context;
  const row = await requireWebhook(database, id);
  const timestamp = instant(clock().getTime());
  const told = { webhookId: id, sequence: 0, type: "rebootless.test", timestamp, data: { title: row.title } };
  const message = messageOf(told, { secrets: secretsOf(row, clock()), nowMs: clock().getTime() });
  const posted = await post(row.url, message, { allowPrivate: context.webhooks.allowPrivate, gone });
  return await record(context, row, { sequence: 0, attempt: 1, ...posted });
}
