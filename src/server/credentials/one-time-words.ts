/**
 * Words that work once and expire: enrolment tokens and sign-in links.
 *
 * A word is `ID.SECRET`; the database has the id and the SHA-256 of the secret.
 * Every word that does not work gets the same answer, so that a guesser learns nothing.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { refuse } from "../../base/refusal.ts";
import type { Database, Tables } from "../database/tables.ts";

export type OneTimeWord = Tables["one_time_words"];

export function digestOf(secret: string): Buffer {
  return createHash("sha256").update(secret, "utf8").digest();
}

export async function mintWord(
  db: Database,
  random: (bytes: number) => Buffer,
  wanted: { purpose: OneTimeWord["purpose"]; expiresAt: number; groupId?: string; personId?: string },
): Promise<string> {
  const id = random(9).toString("base64url");
  const secret = random(32).toString("base64url");
  await db
    .insertInto("one_time_words")
    .values({
      id,
      purpose: wanted.purpose,
      digest: digestOf(secret),
      expires_at: wanted.expiresAt,
      group_id: wanted.groupId ?? null,
      used_at: null,
      device_id: null,
      key_digest: null,
      person_id: wanted.personId ?? null,
    })
    .execute();
  return `${id}.${secret}`;
}

/** The row of a genuine word that has not expired, used or not. Refuses with `access/token-invalid`. */
export async function findWord(
  db: Database,
  asked: { word: string; purpose: OneTimeWord["purpose"]; now: number },
): Promise<OneTimeWord> {
  const [id = "", secret = ""] = asked.word.split(".");
  const row = await db
    .selectFrom("one_time_words")
    .selectAll()
    .where("id", "=", id)
    .where("purpose", "=", asked.purpose)
    .executeTakeFirst();
  // Compared even where there is no such word, so that both take alike long.
  const genuine = timingSafeEqual(digestOf(secret), row?.digest ?? Buffer.alloc(32));
  if (row === undefined || !genuine || row.expires_at <= asked.now) refuseWord(asked.purpose);
  return row;
}

export function refuseWord(purpose: OneTimeWord["purpose"]): never {
  const [what, how] =
    purpose === "enrolment"
      ? ["enrolment token", "`rebootless server token` makes a new one"]
      : ["sign-in link", "`rebootless server sign-in-link` makes a new one"];
  refuse("access/token-invalid", `This ${what} is not known, has been used, or has expired; ${how}.`);
}

/** Forgets words that expired a day ago. */
export async function forgetOldWords(db: Database, now: number): Promise<void> {
  await db
    .deleteFrom("one_time_words")
    .where("expires_at", "<", now - 24 * 60 * 60 * 1000)
    .execute();
}
