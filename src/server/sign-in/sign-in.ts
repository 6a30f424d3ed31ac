/** How a person gets a session by a link that works once. */
import type { Static } from "typebox";
import { apiLimits } from "../../api/api-limits.ts";
import type { SignInLink } from "../../api/schemas/enrolment.ts";
import { enabledPerson } from "../access/people.ts";
import type { Person } from "../access/principal.ts";
import { change, instant, type ServerContext } from "../context.ts";
import { findWord, forgetOldWords, mintWord, refuseWord } from "../credentials/one-time-words.ts";
import { firstPersonId } from "../database/access-tables.ts";
import { beginSession, type Origin, type Started } from "./sessions.ts";

const minuteMs = 60_000;

/** For the person himself; over the local socket, and at the start, for the first administrator. */
export async function makeSignInLink(context: ServerContext, person?: Person): Promise<Static<typeof SignInLink>> {
  const personId = person?.id ?? firstPersonId;
  return await change(context, async ({ db, now, note }) => {
    await forgetOldWords(db, now);
    const expiresAt = now + apiLimits.signInLinkMinutes * minuteMs;
    const word = await mintWord(db, context.random, { purpose: "sign-in", expiresAt, personId });
    await note("sign-in-link-made", `person:${personId}`, { expiresAt: instant(expiresAt) });
    return { link: `${context.address}/v1/sign-in?token=${word}`, expiresAt: instant(expiresAt) };
  });
}

/** Refuses with `access/token-invalid`. */
export async function signIn(context: ServerContext, token: string, origin: Origin): Promise<Started> {
  return await change(context, async (under) => {
    const { db, now } = under;
    const word = await findWord(db, { word: token, purpose: "sign-in", now });
    const person = await enabledPerson(db, word.person_id ?? "");
    if (word.used_at !== null || person === undefined) refuseWord("sign-in");
    await db.updateTable("one_time_words").set({ used_at: now }).where("id", "=", word.id).execute();
    return await beginSession(under, context.random, { person: person.row, method: "link", origin });
  });
}
