/**
 * Sessions of people.
 *
 * The browser has 256 random bits, the database their SHA-256; a session is new at each sign-in, and whatever was before it stays as it was.
 * It ends after `sessionMinutes`, after `idleMinutes` without a request, when its person is disabled or gets other roles, and when he ends it.
 */
import { apiLimits } from "../../api/api-limits.ts";
import type { PersonSession, SignInMethod } from "../../api/schemas/access.ts";
import { RebootlessError } from "../../base/errors.ts";
import { enabledPerson, type PersonRow } from "../access/people.ts";
import type { Person } from "../access/principal.ts";
import { type Change, change, instant, newId, type ServerContext } from "../context.ts";
import { digestOf } from "../credentials/one-time-words.ts";

const minuteMs = 60_000;
/** To the minute is enough to know what is idle, and a request should not cost a write. */
const seenMs = minuteMs;

/** Where a session was begun from, as it is shown to its person. */
export interface Origin {
  readonly address: string;
  /** What the program calls itself (RFC 9110 section 10.1.5). */
  readonly program: string;
}

/** The secret of a new session, for the cookie, and for how long it is good at most, in seconds. */
export interface Started {
  readonly secret: string;
  readonly seconds: number;
}

export async function beginSession(
  under: Change,
  random: ServerContext["random"],
  { person, method, origin }: { person: PersonRow; method: SignInMethod; origin: Origin },
): Promise<Started> {
  const { db, now } = under;
  const secret = random(32).toString("base64url");
  const seconds = apiLimits.sessionMinutes * 60;
  await db.deleteFrom("sessions").where("expires_at", "<=", now).execute();
  const id = newId(random);
  const times = { created_at: now, seen_at: now, expires_at: now + seconds * 1000 };
  const { address, program } = origin;
  await db
    .insertInto("sessions")
    .values({ digest: digestOf(secret), id, person_id: person.id, method, ...times, address, program })
    .execute();
  under.by = { kind: "person", id: person.id, name: person.name };
  await under.note("signed-in", `person:${person.id}`, { name: person.name, method, address, session: id });
  return { secret, seconds };
}

/** Who holds this session; undefined when it is not known or has ended. */
export async function sessionOf(context: ServerContext, secret: string): Promise<Person | undefined> {
  // Found by the digest of 256 random bits: how long the search takes tells nothing about the secret.
  return await sessionByDigest(context, digestOf(secret), "seen");
}

/** With `seen` it counts as used, which keeps it from being idle. */
export async function sessionByDigest(
  { database, clock }: ServerContext,
  digest: Buffer,
  use?: "seen",
): Promise<Person | undefined> {
  const now = clock().getTime();
  const row = await database.selectFrom("sessions").selectAll().where("digest", "=", digest).executeTakeFirst();
  if (row === undefined || row.expires_at <= now || row.seen_at + apiLimits.idleMinutes * minuteMs <= now) {
    return undefined;
  }
  const person = await enabledPerson(database, row.person_id);
  if (person === undefined) return undefined;
  if (use === "seen" && now - row.seen_at >= seenMs) {
    await database.updateTable("sessions").set({ seen_at: now }).where("digest", "=", digest).execute();
  }
  const { id, name } = person.row;
  return {
    kind: "person",
    via: "session",
    id,
    name,
    grants: person.grants,
    session: digest,
    expiresAt: row.expires_at,
  };
}

export async function signOut(context: ServerContext, { session, name, id }: Person): Promise<void> {
  if (session === undefined) return;
  await change(context, async ({ db, note }) => {
    await db.deleteFrom("sessions").where("digest", "=", session).execute();
    await note("signed-out", `person:${id}`, { name });
  });
}

/** All of a person, or all but one; a stream of one that ends looks up with the event. */
export async function endSessions({ db, note }: Change, personId: string, except?: Buffer): Promise<void> {
  let query = db.deleteFrom("sessions").where("person_id", "=", personId);
  if (except !== undefined) query = query.where("digest", "!=", except);
  const { numDeletedRows } = await query.executeTakeFirst();
  if (numDeletedRows > 0n) await note("session-ended", `person:${personId}`, { count: Number(numDeletedRows) });
}

/** The session goes on under a new secret, so that one that was seen before has no part in what its person may do from now on. */
export async function renewSession(
  { db, now }: Change,
  random: ServerContext["random"],
  { session, expiresAt = now }: Person,
): Promise<Started | undefined> {
  if (session === undefined) return undefined;
  const secret = random(32).toString("base64url");
  await db
    .updateTable("sessions")
    .set({ digest: digestOf(secret) })
    .where("digest", "=", session)
    .execute();
  return { secret, seconds: Math.floor((expiresAt - now) / 1000) };
}

/** Those that have not ended, the newest first. */
export async function listSessions(
  { database, clock }: ServerContext,
  personId: string,
  own?: Uint8Array,
): Promise<PersonSession[]> {
  const now = clock().getTime();
  const rows = await database
    .selectFrom("sessions")
    .selectAll()
    .where("person_id", "=", personId)
    .where("expires_at", ">", now)
    .where("seen_at", ">", now - apiLimits.idleMinutes * minuteMs)
    .orderBy("created_at", "desc")
    .orderBy("id")
    .execute();
  return rows.map(({ id, method, address, program, ...row }) => ({
    ...{ id, method, address, program },
    createdAt: instant(row.created_at),
    seenAt: instant(row.seen_at),
    expiresAt: instant(row.expires_at),
    current: own !== undefined && Buffer.compare(own, row.digest) === 0,
  }));
}

/** Throws `request/not-found`, for a session of somebody else as well. */
export async function endSession(context: ServerContext, personId: string, sessionId: string): Promise<void> {
  await change(context, async ({ db, note }) => {
    const { numDeletedRows } = await db
      .deleteFrom("sessions")
      .where("person_id", "=", personId)
      .where("id", "=", sessionId)
      .executeTakeFirst();
    if (numDeletedRows === 0n) throw new RebootlessError("request/not-found", `There is no session ${sessionId}.`);
    await note("session-ended", `person:${personId}`, { session: sessionId });
  });
}
