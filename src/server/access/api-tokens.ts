/**
 * API tokens: for programs that ask in the name of a person, with some of his roles.
 *
 * A token is `rbl_` and 256 random bits in base64url, which secret scanners know by its beginning; the database has its SHA-256 alone.
 * It may do what its own grants and its person's roles both cover at the moment of the request.
 * It ends when it expires or is revoked, and when its person is disabled or no longer has each of its roles.
 */
import { apiLimits } from "../../api/api-limits.ts";
import type { ApiToken, Grant, MadeToken, NewApiToken } from "../../api/schemas/access.ts";
import { RebootlessError } from "../../base/errors.ts";
import { refuse } from "../../base/refusal.ts";
import { type Change, change, instant, newId, type ServerContext } from "../context.ts";
import { digestOf } from "../credentials/one-time-words.ts";
import type { Database, Tables } from "../database/tables.ts";
import { enabledPerson } from "./people.ts";
import type { Person } from "./principal.ts";
import { below, readTree, wholeFleet } from "./reach.ts";

const dayMs = 24 * 60 * 60 * 1000;
/** To the minute is enough to know whether a token is in use, and a request should not cost a write. */
const usedMs = 60_000;
const prefix = "rbl_";

/** Those of these grants that the held ones cover: the same role, in the group or above it. */
async function covered(db: Database, wanted: readonly Grant[], held: readonly Grant[]): Promise<readonly Grant[]> {
  const direct = (one: Grant) =>
    held.some(({ role, groupId }) => role === one.role && (groupId === one.groupId || groupId === wholeFleet));
  if (wanted.every(direct)) return wanted;
  const tree = await readTree(db);
  const within = (one: Grant) =>
    held.some(({ role, groupId }) => role === one.role && below(tree, [groupId]).has(one.groupId));
  return wanted.filter((one) => direct(one) || within(one));
}

async function grantsOfTokens(db: Database, ids: readonly string[]): Promise<Map<string, Grant[]>> {
  const rows =
    ids.length === 0
      ? []
      : await db
          .selectFrom("token_grants")
          .selectAll()
          .where("token_id", "in", ids)
          .orderBy("role")
          .orderBy("group_id")
          .execute();
  const grants = new Map<string, Grant[]>(ids.map((id) => [id, []]));
  for (const { token_id, role, group_id: groupId } of rows) grants.get(token_id)?.push({ role, groupId });
  return grants;
}

function shown(row: Tables["api_tokens"], grants: readonly Grant[]): ApiToken {
  return {
    ...{ id: row.id, title: row.title, grants: [...grants] },
    createdAt: instant(row.created_at),
    expiresAt: instant(row.expires_at),
    usedAt: row.used_at === null ? null : instant(row.used_at),
  };
}

/** Those that have not expired, by title. */
export async function listTokens({ database, clock }: ServerContext, personId: string): Promise<ApiToken[]> {
  const rows = await database
    .selectFrom("api_tokens")
    .selectAll()
    .where("person_id", "=", personId)
    .where("expires_at", ">", clock().getTime())
    .orderBy("title")
    .orderBy("id")
    .execute();
  const grants = await grantsOfTokens(
    database,
    rows.map(({ id }) => id),
  );
  return rows.map((row) => shown(row, grants.get(row.id) ?? []));
}

/** Refuses with `access/forbidden` on the local socket and for roles beyond one's own; throws `request/too-large`. */
export async function makeApiToken(
  context: ServerContext,
  { id: personId, name }: Person,
  { title, grants: wanted, days = apiLimits.apiTokenDaysByDefault }: NewApiToken,
): Promise<MadeToken> {
  if (personId === undefined) {
    refuse("access/forbidden", "An API token is a person's; sign in as one, as with `rebootless server add`.");
  }
  return await change(context, async ({ db, now, note }) => {
    await db.deleteFrom("token_grants").where("token_id", "in", expiredTokens(db, now)).execute();
    await db.deleteFrom("api_tokens").where("expires_at", "<=", now).execute();
    // As they are now, inside the transaction: what the door read may have been taken meanwhile.
    const held = (await enabledPerson(db, personId))?.grants ?? [];
    const grants = distinct(wanted);
    if ((await covered(db, grants, held)).length < grants.length) {
      refuse("access/forbidden", "A token may have no role, and no group, that its person has not.");
    }
    await requireRoom(db, personId);
    const id = newId(context.random);
    const secret = `${prefix}${context.random(32).toString("base64url")}`;
    const row = {
      ...{ id, person_id: personId, title, digest: digestOf(secret), used_at: null },
      ...{ created_at: now, expires_at: now + days * dayMs },
    };
    await db.insertInto("api_tokens").values(row).execute();
    for (const { role, groupId } of grants) {
      await db.insertInto("token_grants").values({ token_id: id, role, group_id: groupId }).execute();
    }
    const expiresAt = instant(row.expires_at);
    await note("api-token-made", `person:${personId}`, { name, tokenId: id, title, grants, expiresAt });
    return { ...shown(row, grants), token: secret };
  });
}

function expiredTokens(db: Database, now: number) {
  return db.selectFrom("api_tokens").select("id").where("expires_at", "<=", now);
}

function distinct(grants: readonly Grant[]): Grant[] {
  return [...new Map(grants.map((grant) => [`${grant.role} ${grant.groupId}`, grant])).values()];
}

async function requireRoom(db: Database, personId: string): Promise<void> {
  const { count } = await db
    .selectFrom("api_tokens")
    .select(({ fn }) => fn.countAll<number>().as("count"))
    .where("person_id", "=", personId)
    .executeTakeFirstOrThrow();
  if (Number(count) < apiLimits.apiTokensPerPerson) return;
  throw new RebootlessError(
    "request/too-large",
    `A person has at most ${apiLimits.apiTokensPerPerson} API tokens; revoke one first.`,
  );
}

/** Throws `request/not-found`, for a token of somebody else as well. */
export async function revokeToken(context: ServerContext, personId: string, tokenId: string): Promise<void> {
  await change(context, async (under) => {
    const row = await under.db
      .selectFrom("api_tokens")
      .selectAll()
      .where("id", "=", tokenId)
      .where("person_id", "=", personId)
      .executeTakeFirst();
    if (row === undefined) throw new RebootlessError("request/not-found", `There is no API token ${tokenId}.`);
    await endToken(under, row);
  });
}

async function endToken({ db, note }: Change, { id, person_id, title }: Tables["api_tokens"]): Promise<void> {
  await db.deleteFrom("token_grants").where("token_id", "=", id).execute();
  await db.deleteFrom("api_tokens").where("id", "=", id).execute();
  await note("api-token-revoked", `person:${person_id}`, { tokenId: id, title });
}

/** Ends the tokens of a person that have a role which `held` does not cover; with nothing held, all of them. */
export async function endTokensBeyond(under: Change, personId: string, held: readonly Grant[]): Promise<void> {
  const { db } = under;
  const rows = await db.selectFrom("api_tokens").selectAll().where("person_id", "=", personId).execute();
  const grants = await grantsOfTokens(
    db,
    rows.map(({ id }) => id),
  );
  for (const row of rows) {
    const own = grants.get(row.id) ?? [];
    if (held.length === 0 || (await covered(db, own, held)).length < own.length) await endToken(under, row);
  }
}

/**
 * Who asks with this token; undefined, whatever is the matter with it, for one that is none.
 * With `used` the request is kept as its last use.
 */
export async function personOfToken(
  { database, clock }: ServerContext,
  token: string,
  use?: "used",
): Promise<Person | undefined> {
  const now = clock().getTime();
  // Found by the digest of 256 random bits: how long the search takes tells nothing about the secret.
  const row = await database
    .selectFrom("api_tokens")
    .selectAll()
    .where("digest", "=", digestOf(token))
    .executeTakeFirst();
  if (row === undefined || row.expires_at <= now) return undefined;
  const person = await enabledPerson(database, row.person_id);
  if (person === undefined) return undefined;
  if (use === "used" && (row.used_at === null || now - row.used_at >= usedMs)) {
    await database.updateTable("api_tokens").set({ used_at: now }).where("id", "=", row.id).execute();
  }
  const own = (await grantsOfTokens(database, [row.id])).get(row.id) ?? [];
  const { id, name } = person.row;
  const grants = await covered(database, own, person.grants);
  return { kind: "person", via: "token", id, name, grants, tokenId: row.id, expiresAt: row.expires_at };
}
