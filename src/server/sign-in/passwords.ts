/**
 * Sign-in by name and password, for the first hour and for where no provider is.
 *
 * One answer, whatever is wrong; an account that is guessed at waits longer and longer between attempts, up to a minute, so that no more than some 60 an hour are tried at it (OWASP ASVS 4.0.3 clause 2.2.1) and nobody is locked out for good.
 */
import { refuse } from "../../base/refusal.ts";
import { requirePerson } from "../access/people.ts";
import { type Change, change, type ServerContext } from "../context.ts";
import { hashPassword, matchesPassword } from "./password-hash.ts";
import { checkPassword } from "./password-rules.ts";
import { beginSession, endSessions, type Origin, type Started } from "./sessions.ts";

/** Failures that cost no waiting. */
const freeFailures = 5;
const longestWaitMs = 60_000;
const forgetMs = 24 * 60 * 60 * 1000;

function waitMs(failures: number): number {
  return failures < freeFailures ? 0 : Math.min(longestWaitMs, 1_000 * 2 ** (failures - freeFailures));
}

interface Attempt {
  readonly name: string;
  readonly password: string;
  readonly origin: Origin;
}

/** Refuses with `access/password-wrong` and `access/rate-limited`. */
export async function signInByPassword(context: ServerContext, { name, password, origin }: Attempt): Promise<Started> {
  await refuseTooSoon(context, name);
  const { database } = context;
  const row = await database.selectFrom("people").selectAll().where("name", "=", name).executeTakeFirst();
  const matches = await matchesPassword(password, row?.password ?? null);
  const started = await change(context, async (under) => {
    const { db } = under;
    // As it is now, and not as it was before the long reckoning.
    const person = await db.selectFrom("people").selectAll().where("name", "=", name).executeTakeFirst();
    if (!matches || person === undefined || person.state !== "enabled" || person.password !== row?.password) {
      await noteFailure(under, name);
      return undefined;
    }
    await db.deleteFrom("sign_in_failures").where("name", "=", name).execute();
    return await beginSession(under, context.random, { person, method: "password", origin });
  });
  if (started === undefined) refuse("access/password-wrong", "The name or the password is wrong.");
  return started;
}

/** Counts a wrong password for the account of that name. */
async function noteFailure({ db, now }: Change, name: string): Promise<void> {
  const failed = { name, failures: 1, failed_at: now };
  await db
    .deleteFrom("sign_in_failures")
    .where("failed_at", "<", now - forgetMs)
    .execute();
  await db
    .insertInto("sign_in_failures")
    .values(failed)
    .onConflict((conflict) =>
      conflict.column("name").doUpdateSet((is) => ({
        failures: is("sign_in_failures.failures", "+", 1),
        failed_at: now,
      })),
    )
    .execute();
}

async function refuseTooSoon({ database, clock }: ServerContext, name: string): Promise<void> {
  const known = await database.selectFrom("sign_in_failures").selectAll().where("name", "=", name).executeTakeFirst();
  if (known === undefined) return;
  if (clock().getTime() < known.failed_at + waitMs(known.failures)) {
    refuse("access/rate-limited", "Too many wrong passwords were tried for this name; wait a minute.");
  }
}

/** Ends all sessions of the person but `except`. Refuses with `access/password-weak`; throws `request/not-found`. */
export async function setPassword(
  context: ServerContext,
  { personId, password, except }: { readonly personId: string; readonly password: string; readonly except?: Buffer },
): Promise<void> {
  const { name, title } = await requirePerson(context.database, personId);
  checkPassword(password, [name, ...title.split(/\s+/)]);
  const hash = await hashPassword(password, context.random(16));
  await change(context, async (under) => {
    const { db, note } = under;
    await requirePerson(db, personId);
    await db.updateTable("people").set({ password: hash }).where("id", "=", personId).execute();
    await note("person-changed", `person:${personId}`, { name, password: "set" });
    await endSessions(under, personId, except);
  });
}

interface OwnChange {
  readonly personId: string;
  readonly current: string;
  readonly password: string;
  readonly except?: Buffer;
}

/** As `setPassword`, for whoever proves the one before (OWASP ASVS 4.0.3 clause 2.1.6). Refuses also with `access/password-wrong` and `access/rate-limited`. */
export async function changeOwnPassword(context: ServerContext, { current, ...wanted }: OwnChange): Promise<void> {
  const { name, password } = await requirePerson(context.database, wanted.personId);
  await refuseTooSoon(context, name);
  if (!(await matchesPassword(current, password))) {
    await change(context, (under) => noteFailure(under, name));
    refuse("access/password-wrong", "That is not your password.");
  }
  await setPassword(context, wanted);
}

/** Throws `request/not-found`. */
export async function removePassword(context: ServerContext, personId: string): Promise<void> {
  await change(context, async (under) => {
    const { name } = await requirePerson(under.db, personId);
    await under.db.updateTable("people").set({ password: null }).where("id", "=", personId).execute();
    await under.note("person-changed", `person:${personId}`, { name, password: "removed" });
    await endSessions(under, personId);
  });
}

/** Whether anybody signs in so. */
export async function anyPassword({ database }: ServerContext): Promise<boolean> {
  const row = await database
    .selectFrom("people")
    .select("id")
    .where("password", "is not", null)
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}
