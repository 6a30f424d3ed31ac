/** Webhooks as administrators keep them. */
import type {
  NewWebhook,
  Webhook,
  WebhookChange,
  WebhookDelivery,
  WebhookWithSecret,
} from "../../api/schemas/webhooks.ts";
import { webhookLimits } from "../../api/schemas/webhooks.ts";
import { RebootlessError } from "../../base/errors.ts";
import { change, instant, newId, type ServerContext } from "../context.ts";
import { type Page, type PageAsked, pageBounds, pageFrom } from "../database/page.ts";
import type { Database, Tables } from "../database/tables.ts";
import { requireGroup } from "../groups/groups.ts";
import { checkUrl } from "./safe-address.ts";

type Row = Tables["webhooks"];
const hourMs = 60 * 60 * 1000;

function shown(row: Row): Webhook {
  return {
    ...{ id: row.id, title: row.title, url: row.url, kinds: JSON.parse(row.kinds_json), groupId: row.group_id },
    ...{ state: row.state, delivered: row.delivered, attempts: row.attempts, lastError: row.last_error },
    nextAttemptAt: row.state === "active" && row.attempts > 0 ? instant(row.next_at) : null,
    ...{ createdAt: instant(row.created_at), createdBy: row.created_by },
  };
}

export async function listWebhooks(db: Database, asked: PageAsked): Promise<Page<Webhook>> {
  const { after, rows } = pageBounds(asked);
  const query = db.selectFrom("webhooks").selectAll().where("id", ">", after).orderBy("id").limit(rows);
  return pageFrom(await query.execute(), asked, shown);
}

/** Throws `request/not-found`. */
export async function requireWebhook(db: Database, id: string): Promise<Row> {
  const row = await db.selectFrom("webhooks").selectAll().where("id", "=", id).executeTakeFirst();
  if (row === undefined) throw new RebootlessError("request/not-found", `There is no webhook ${id}.`);
  return row;
}

export async function getWebhook(db: Database, id: string): Promise<Webhook> {
  return shown(await requireWebhook(db, id));
}

function newSecret(random: ServerContext["random"]): string {
  return random(32).toString("base64");
}

/** Throws `request/invalid`, `request/not-found` and `request/too-large`. */
export async function makeWebhook(context: ServerContext, wanted: NewWebhook, by: string): Promise<WebhookWithSecret> {
  const { title, kinds = [], groupId = null } = wanted;
  const url = checkUrl(wanted.url, { allowPrivate: context.webhooks.allowPrivate }).href;
  const secret = newSecret(context.random);
  return await change(context, async ({ db, now, note }) => {
    if (groupId !== null) await requireGroup(db, groupId);
    const { count } = await db
      .selectFrom("webhooks")
      .select(({ fn }) => fn.countAll<number>().as("count"))
      .executeTakeFirstOrThrow();
    if (Number(count) >= webhookLimits.webhooks) {
      throw new RebootlessError(
        "request/too-large",
        `There are ${webhookLimits.webhooks} webhooks already; remove one.`,
      );
    }
    const newest = await db.selectFrom("counters").select("value").where("name", "=", "events").executeTakeFirst();
    const row: Row = {
      ...{ id: newId(context.random), title, url, kinds_json: JSON.stringify(kinds), group_id: groupId, secret },
      ...{ old_secret: null, old_secret_until: null, state: "active", delivered: newest?.value ?? 0, attempts: 0 },
      ...{ next_at: now, failing_since: null, last_error: "", claimed_until: 0, claim: "" },
      ...{ created_at: now, created_by: by },
    };
    await db.insertInto("webhooks").values(row).execute();
    await note("webhook-made", `webhook:${row.id}`, { title, host: new URL(url).host, by });
    return { webhook: shown(row), secret: `whsec_${secret}` };
  });
}

/** Throws `request/invalid` and `request/not-found`. */
export async function changeWebhook(
  context: ServerContext,
  id: string,
  { wanted, by }: { readonly wanted: WebhookChange; readonly by: string },
): Promise<Webhook> {
  const url = wanted.url === undefined ? undefined : checkUrl(wanted.url, context.webhooks).href;
  return await change(context, async ({ db, now, note }) => {
    const row = await requireWebhook(db, id);
    const { title = row.title, kinds, state } = wanted;
    const anew = state === "active" || url !== undefined ? { attempts: 0, next_at: now, failing_since: null } : {};
    const columns = {
      ...{ title, url: url ?? row.url, state: state ?? row.state, ...anew },
      kinds_json: kinds === undefined ? row.kinds_json : JSON.stringify(kinds),
    };
    await db.updateTable("webhooks").set(columns).where("id", "=", id).execute();
    const { url: _, ...told } = wanted;
    await note("webhook-changed", `webhook:${id}`, { ...told, title, host: new URL(columns.url).host, by });
    return shown({ ...row, ...columns });
  });
}

/** Throws `request/not-found`. */
export async function rotateSecret(context: ServerContext, id: string, by: string): Promise<WebhookWithSecret> {
  const secret = newSecret(context.random);
  return await change(context, async ({ db, now, note }) => {
    const row = await requireWebhook(db, id);
    const until = now + webhookLimits.oldSecretHours * hourMs;
    const columns = { secret, old_secret: row.secret, old_secret_until: until };
    await db.updateTable("webhooks").set(columns).where("id", "=", id).execute();
    await note("webhook-changed", `webhook:${id}`, { title: row.title, secret: "rotated", by });
    return { webhook: shown(row), secret: `whsec_${secret}` };
  });
}

/** Throws `request/not-found`. */
export async function replayWebhook(
  context: ServerContext,
  id: string,
  { after, by }: { readonly after: number; readonly by: string },
): Promise<Webhook> {
  return await change(context, async ({ db, now, note }) => {
    const row = await requireWebhook(db, id);
    const columns = { delivered: Math.min(after, row.delivered), attempts: 0, next_at: now };
    await db.updateTable("webhooks").set(columns).where("id", "=", id).execute();
    await note("webhook-changed", `webhook:${id}`, { title: row.title, sentAgainBehind: columns.delivered, by });
    return shown({ ...row, ...columns });
  });
}

/** Throws `request/not-found`. */
export async function removeWebhook(context: ServerContext, id: string, by: string): Promise<void> {
  await change(context, async ({ db, note }) => {
    const { title } = await requireWebhook(db, id);
    await db.deleteFrom("webhook_deliveries").where("webhook_id", "=", id).execute();
    await db.deleteFrom("webhooks").where("id", "=", id).execute();
    await note("webhook-removed", `webhook:${id}`, { title, by });
  });
}

/** The newest first. Throws `request/not-found`. */
export async function listDeliveries(db: Database, id: string): Promise<WebhookDelivery[]> {
  await requireWebhook(db, id);
  const rows = await db
    .selectFrom("webhook_deliveries")
    .selectAll()
    .where("webhook_id", "=", id)
    .orderBy("number", "desc")
    .execute();
  return rows.map(({ at, sequence, attempt, status, error }) => ({
    at: instant(at),
    sequence,
    attempt,
    status,
    error,
  }));
}
