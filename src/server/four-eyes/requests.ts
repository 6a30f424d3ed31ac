/** Requests that wait for a second person: made, listed, rejected, and held against who wants to confirm them. */
import { createHash } from "node:crypto";
import { apiLimits } from "../../api/api-limits.ts";
import type { By } from "../../api/schemas/access.ts";
import type { ApprovalRequest, RequestState } from "../../api/schemas/four-eyes.ts";
import { canonicalJson } from "../../base/canonical-json.ts";
import { RebootlessError } from "../../base/errors.ts";
import { refuse } from "../../base/refusal.ts";
import { enabledPerson, requirePerson } from "../access/people.ts";
import type { Person } from "../access/principal.ts";
import { type Change, change, instant, newId, type ServerContext } from "../context.ts";
import { type Page, pageBounds, pageFrom } from "../database/page.ts";
import type { Database, Tables } from "../database/tables.ts";
import { maybeSamePerson } from "./same-person.ts";

export type RequestRow = Tables["approval_requests"];

export function shownRequest(row: RequestRow): ApprovalRequest {
  return {
    id: row.id,
    operation: row.operation,
    asked: JSON.parse(row.asked_json),
    digest: row.digest,
    state: row.state,
    reason: row.reason,
    requestedBy: JSON.parse(row.requested_by_json),
    createdAt: instant(row.created_at),
    expiresAt: instant(row.expires_at),
    decidedAt: row.decided_at === null ? null : instant(row.decided_at),
    decidedBy: row.decided_by_json === null ? null : JSON.parse(row.decided_by_json),
    decisionReason: row.decision_reason,
  };
}

export async function listRequests(
  db: Database,
  asked: { cursor?: string; limit?: number; state?: RequestState },
): Promise<Page<ApprovalRequest>> {
  const { after, rows } = pageBounds(asked);
  let query = db.selectFrom("approval_requests").selectAll().where("id", ">", after).orderBy("id").limit(rows);
  if (asked.state !== undefined) query = query.where("state", "=", asked.state);
  return pageFrom(await query.execute(), asked, shownRequest);
}

/** Throws `request/not-found`. */
export async function requireRequest(db: Database, requestId: string): Promise<RequestRow> {
  const row = await db.selectFrom("approval_requests").selectAll().where("id", "=", requestId).executeTakeFirst();
  if (row === undefined) throw new RebootlessError("request/not-found", `There is no request ${requestId}.`);
  return row;
}

/** What somebody asked, and what it is about as it stands. */
export interface Content {
  readonly operation: string;
  readonly asked: Record<string, unknown>;
  readonly standing: unknown;
}

/** SHA-256 (base64url) of the content in canonical JSON (RFC 8785). */
export function digestOf({ operation, asked, standing }: Content): string {
  const whole = JSON.parse(JSON.stringify({ operation, asked, standing }));
  return createHash("sha256").update(canonicalJson(whole)).digest("base64url");
}

const dayMs = 24 * 60 * 60 * 1000;

/** Within a change. The same content asked again by the same person is the request that waits already. */
export async function makeRequest(
  { db, now, by, note }: Change,
  random: ServerContext["random"],
  content: Content,
): Promise<RequestRow> {
  const digest = digestOf(content);
  const requested_by_json = JSON.stringify(by);
  const known = await db
    .selectFrom("approval_requests")
    .selectAll()
    .where("digest", "=", digest)
    .where("state", "=", "waiting")
    .where("expires_at", ">", now)
    .where("requested_by_json", "=", requested_by_json)
    .executeTakeFirst();
  if (known !== undefined) return known;
  const { operation, asked } = content;
  const body = asked.body as { reason?: string } | undefined;
  const row: RequestRow = {
    ...{ id: newId(random), operation, asked_json: JSON.stringify(asked), digest, state: "waiting" },
    ...{ reason: body?.reason ?? "", requested_by_json, created_at: now },
    ...{ expires_at: now + apiLimits.approvalRequestDays * dayMs },
    ...{ decided_at: null, decided_by_json: null, decision_reason: "" },
  };
  await db.insertInto("approval_requests").values(row).execute();
  await note("request-made", `request:${row.id}`, { operation, asked, digest, expiresAt: instant(row.expires_at) });
  return row;
}

/** Refuses with `approval/not-waiting`. */
export function refuseUnlessWaiting(row: RequestRow, now: number): void {
  if (row.state === "waiting" && row.expires_at > now) return;
  refuse("approval/not-waiting", `The request ${row.id} is ${row.state === "waiting" ? "expired" : row.state}.`);
}

/** Refuses with `approval/not-waiting`; throws `request/not-found`. */
export async function rejectRequest(
  context: ServerContext,
  requestId: string,
  reason: string,
): Promise<ApprovalRequest> {
  return await change(context, async (under) => {
    const row = await requireRequest(under.db, requestId);
    refuseUnlessWaiting(row, under.now);
    return await decideRequest(under, row, { state: "rejected", reason });
  });
}

export async function decideRequest(
  { db, now, by, note }: Change,
  row: RequestRow,
  { state, reason }: { readonly state: "confirmed" | "rejected"; readonly reason: string },
): Promise<ApprovalRequest> {
  const columns = { state, decided_at: now, decided_by_json: JSON.stringify(by), decision_reason: reason };
  await db.updateTable("approval_requests").set(columns).where("id", "=", row.id).execute();
  const requestedBy = JSON.parse(row.requested_by_json);
  await note(`request-${state}`, `request:${row.id}`, { operation: row.operation, reason, requestedBy });
  return shownRequest({ ...row, ...columns });
}

/**
 * Who asked, as he stands now.
 * Refuses with `approval/requester-gone` where he may not come in any more: a new account is somebody else.
 */
export async function requesterOf(db: Database, row: RequestRow): Promise<Person> {
  const by: By = JSON.parse(row.requested_by_json);
  const person = await enabledPerson(db, by.id ?? "");
  if (person === undefined) {
    refuse("approval/requester-gone", "Whoever asked for this may not come in any more; somebody else has to ask.");
  }
  return { kind: "person", via: "session", id: person.row.id, name: person.row.name, grants: person.grants };
}

/** Refuses with `approval/same-person` or `approval/person-unproven` where he is no second person for this request. */
export async function requireSecondPerson(db: Database, row: RequestRow, person: Person): Promise<void> {
  const by: By = JSON.parse(row.requested_by_json);
  if (person.via !== "session" || person.id === undefined) {
    const message = "The local socket and API tokens prove no second person; sign in at the server, and confirm there.";
    refuse("approval/person-unproven", message);
  }
  const account = await requirePerson(db, person.id);
  if (account.created_at > row.created_at) {
    refuse("approval/same-person", `${person.name} was added after this was asked for; somebody else has to confirm.`);
  }
  const same = by.name === person.name || (await maybeSamePerson(db, by.id ?? "", person.id));
  if (!same) return;
  const message = `${person.name} may be the person who asked: the same account, or one that came in by a sign-in link of the same hands. Somebody else has to confirm.`;
  refuse("approval/same-person", message);
}
