/** How a person gets a session by a link that works once. */
import type { Static } from "typebox";
import { apiLimits } from "../../api/api-limits.ts";
import type { SignInLink } from "../../api/schemas/enrolment.ts";
import { refuse } from "../../base/refusal.ts";
import { administrators, enabledPerson, requirePerson } from "../access/people.ts";
import type { Person } from "../access/principal.ts";
import { change, instant, type ServerContext } from "../context.ts";
import { findWord, forgetOldWords, mintWord, refuseWord } from "../credentials/one-time-words.ts";
import { firstPersonId } from "../database/access-tables.ts";
import type { Database } from "../database/tables.ts";
import { rememberVoucher } from "../four-eyes/same-person.ts";
import { beginSession, type Origin, type Started } from "./sessions.ts";

const minuteMs = 60_000;

/** For the person himself; over the local socket, and at the start, for the first administrator. */
export async function makeSignInLink(
  context: ServerContext,
  person?: Pick<Person, "id">,
): Promise<Static<typeof SignInLink>> {
  return await change(context, async ({ db, now, note, by }) => {
    const personId = person?.id ?? (await firstAdministrator(db));
    await requireEnabled(db, personId);
    await forgetOldWords(db, now);
    const expiresAt = now + apiLimits.signInLinkMinutes * minuteMs;
    const word = await mintWord(db, context.random, { purpose: "sign-in", expiresAt, personId });
    await rememberVoucher(db, personId, by.id);
    await note("sign-in-link-made", `person:${personId}`, { expiresAt: instant(expiresAt) });
    return { link: `${context.address}/v1/sign-in?token=${word}`, expiresAt: instant(expiresAt) };
  });
}

/** Throws `request/not-found`; refuses with `access/person-disabled`. */
async function requireEnabled(db: Database, personId: string): Promise<void> {
  if ((await requirePerson(db, personId)).state === "disabled") {
    refuse("access/person-disabled", "This person is disabled; enable him before he signs in.");
  }
}

/** The first person where he still is one; else whoever has been an administrator for the longest. */
async function firstAdministrator(db: Database): Promise<string> {
  const found = await administrators(db);
  return found.includes(firstPersonId) ? firstPersonId : (found[0] ?? firstPersonId);
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
