/**
 * Idempotency keys (draft-ietf-httpapi-idempotency-key-header-07): what a key was sent with is done once, however often it is asked for.
 *
 * Invariant: the key, its answer and the change are one transaction, so a server that dies between the change and the answer has both or neither.
 * A request that is refused leaves no key, and may be sent again as it is.
 */
import { createHash } from "node:crypto";
import type { PeopleRoute } from "../../api/routes/route-spec.ts";
import { type Asked, type RouteName, routes } from "../../api/routes.ts";
import { canonicalJson } from "../../base/canonical-json.ts";
import { RebootlessError } from "../../base/errors.ts";
import { byOf } from "../access/principal.ts";
import { change, type ServerContext } from "../context.ts";
import type { ScheduledTask } from "../schedule/task.ts";
import type { Caller } from "./handler.ts";

type AnyHandler = (context: ServerContext, asked: Asked<RouteName>, caller: Caller) => Promise<unknown>;

export const keptMs = 24 * 60 * 60 * 1000;

/** They change nothing, or what they do is no change of the database. */
const without: ReadonlySet<string> = new Set(["previewRollout", "previewEligibility", "previewFilter", "testWebhook"]);
/** Their answers hold secrets, which are kept nowhere. */
const secretive: ReadonlySet<string> = new Set([
  ...["makeToken", "makeApiToken", "makeSignInLink", "linkPerson", "makeWebhook", "rotateWebhookSecret"],
]);
/** They read the catalog, which is done before the transaction, since that waits for nobody. */
const readingCatalog: ReadonlySet<string> = new Set(["approve", "runApprovalRule", "makeRollout"]);

export function takesKey(name: RouteName): boolean {
  const { method, caller }: Pick<PeopleRoute, "method"> & { caller: string } = routes[name];
  return method === "POST" && caller === "person" && !without.has(name);
}

/** What stands in the header: a string of structured fields (RFC 8941 section 3.3.3), or a bare word. Throws `request/invalid`. */
export function keyIn(header: string | string[] | undefined): string | undefined {
  if (header === undefined) return undefined;
  const key = /^"([\x21\x23-\x5b\x5d-\x7e]{1,200})"$|^([\w.:-]{1,200})$/.exec(String(header));
  if (key !== null) return key[1] ?? key[2];
  throw new RebootlessError("request/invalid", "An Idempotency-Key has 1 to 200 visible characters, such as a UUID.");
}

/** The same handlers, which do what they did before under the same key by answering as they did then. */
export function withIdempotency<Table extends Partial<Record<RouteName, unknown>>>(handlers: Table): Table {
  const entries = Object.entries(handlers).map(([key, given]) => {
    const name = key as RouteName;
    const handler = given as AnyHandler;
    if (!takesKey(name)) return [name, handler];
    const once: AnyHandler = (context, asked, caller) =>
      caller.idempotency === undefined
        ? handler(context, asked, caller)
        : doOnce(context, { name, handler, asked }, { ...caller, idempotency: caller.idempotency });
    return [name, once];
  });
  return Object.fromEntries(entries);
}

interface Work {
  readonly name: RouteName;
  readonly handler: AnyHandler;
  readonly asked: Asked<RouteName>;
}

type KeyedCaller = Caller & { readonly idempotency: NonNullable<Caller["idempotency"]> };

async function doOnce(outer: ServerContext, work: Work, caller: KeyedCaller): Promise<unknown> {
  const { name, handler, asked } = work;
  const { key, replayed } = caller.idempotency;
  const principal = canonical(byOf(caller.principal));
  const fingerprint = createHash("sha256")
    .update(canonical({ name, ...asked }))
    .digest("hex");
  const isReading = readingCatalog.has(name) && outer.under === undefined && outer.catalog !== undefined;
  const context = isReading ? { ...outer, catalog: await outer.catalog?.asRead(hotpatchNamed(asked)) } : outer;
  return await change(context, async (under) => {
    const { db, now } = under;
    const known = await db
      .selectFrom("idempotency_keys")
      .selectAll()
      .where("principal", "=", principal)
      .where("key", "=", key)
      .where("expires_at", ">", now)
      .executeTakeFirst();
    if (known !== undefined) {
      refuseOther(known.fingerprint, fingerprint);
      if (known.answer_json === null) {
        throw new RebootlessError(
          "request/answer-gone",
          "This was done already; its answer held a secret, which is not kept. Look at what there is, and ask under a new key.",
        );
      }
      replayed();
      return JSON.parse(known.answer_json) ?? undefined;
    }
    const answer = await handler({ ...context, database: db, under }, asked, caller);
    const answer_json = secretive.has(name) ? null : JSON.stringify(answer ?? null);
    const row = { principal, key, fingerprint, answer_json, expires_at: now + keptMs };
    await db
      .insertInto("idempotency_keys")
      .values(row)
      .onConflict((conflict) => conflict.columns(["principal", "key"]).doUpdateSet(row))
      .execute();
    return answer;
  });
}

/** The hotpatch that a request is about, where it is about one. */
export function hotpatchNamed({ body }: { readonly body?: unknown }): string | undefined {
  return (body as { hotpatchId?: string } | undefined)?.hotpatchId;
}

/** Without what is undefined, which has no canonical form. */
function canonical(value: unknown): string {
  return canonicalJson(JSON.parse(JSON.stringify(value)));
}

function refuseOther(known: string, asked: string): void {
  if (known === asked) return;
  throw new RebootlessError(
    "request/key-reused",
    "This Idempotency-Key was sent with another request; each request has its own.",
  );
}

/** Keys are forgotten after a day. One piece: all of them. */
export const endsOfKeys: ScheduledTask = {
  name: "ends of idempotency keys",
  async due({ database }, nowMs) {
    const row = await database
      .selectFrom("idempotency_keys")
      .select("key")
      .where("expires_at", "<=", nowMs)
      .limit(1)
      .executeTakeFirst();
    return row === undefined ? [] : ["all"];
  },
  async work({ db, now }) {
    await db.deleteFrom("idempotency_keys").where("expires_at", "<=", now).execute();
  },
};
