/** How a person gets a session: by a link that works once. */
import type { Static } from "typebox";
import { apiLimits } from "../../api/api-limits.ts";
import type { SignInLink } from "../../api/schemas/enrolment.ts";
import { change, instant, type Principal, type ServerContext } from "../context.ts";
import { digestOf, findWord, forgetOldWords, mintWord, refuseWord } from "../credentials/one-time-words.ts";

const minuteMs = 60_000;
const administrator = "administrator";

export async function makeSignInLink(context: ServerContext): Promise<Static<typeof SignInLink>> {
  return await change(context, async ({ db, now, note }) => {
    await forgetOldWords(db, now);
    const expiresAt = now + apiLimits.signInLinkMinutes * minuteMs;
    const word = await mintWord(db, context.random, { purpose: "sign-in", expiresAt });
    await note("sign-in-link-made", "server", { expiresAt: instant(expiresAt) });
    return { link: `${context.address}/v1/sign-in?token=${word}`, expiresAt: instant(expiresAt) };
  });
}

/** The secret of a new session, for the cookie, and for how long it is good, in seconds. Refuses with `access/token-invalid`. */
export async function signIn(context: ServerContext, token: string): Promise<{ secret: string; seconds: number }> {
  return await change(context, async ({ db, now, note }) => {
    const word = await findWord(db, { word: token, purpose: "sign-in", now });
    if (word.used_at !== null) refuseWord("sign-in");
    await db.updateTable("one_time_words").set({ used_at: now }).where("id", "=", word.id).execute();
    const secret = context.random(32).toString("base64url");
    const seconds = apiLimits.sessionMinutes * 60;
    await db.deleteFrom("sessions").where("expires_at", "<=", now).execute();
    await db
      .insertInto("sessions")
      .values({ digest: digestOf(secret), administrator, expires_at: now + seconds * 1000 })
      .execute();
    await note("signed-in", "server", { administrator });
    return { secret, seconds };
  });
}

/** Who holds this session; undefined when it is not known or has ended. */
export async function sessionOf(context: ServerContext, secret: string): Promise<Principal | undefined> {
  // Found by the digest of 256 random bits: how long the search takes tells nothing about the secret.
  return await sessionByDigest(context, digestOf(secret));
}

export async function sessionByDigest(context: ServerContext, session: Buffer): Promise<Principal | undefined> {
  const row = await context.database
    .selectFrom("sessions")
    .selectAll()
    .where("digest", "=", session)
    .executeTakeFirst();
  if (row === undefined || row.expires_at <= context.clock().getTime()) return undefined;
  return { kind: "administrator", name: row.administrator, session, expiresAt: row.expires_at };
}

export async function signOut(context: ServerContext, session: Buffer): Promise<void> {
  await change(context, async ({ db, note }) => {
    await db.deleteFrom("sessions").where("digest", "=", session).execute();
    await note("signed-out", "server", { administrator });
  });
}
