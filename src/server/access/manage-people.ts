/**
 * Adding, changing and removing people, and giving and taking roles.
 *
 * The door reads a person and his roles anew at each request, on every server, so each change counts from the next request on; what goes on, such as a stream, ends with the session.
 * Invariant: somebody who is enabled administers the whole fleet.
 */
import type { Grant, NewPerson, PersonChange, PersonSearch, Person as ShownPerson } from "../../api/schemas/access.ts";
import { RebootlessError } from "../../base/errors.ts";
import { refuse } from "../../base/refusal.ts";
import { type Change, change, instant, newId, type ServerContext } from "../context.ts";
import { type Page, pageBounds, pageFrom } from "../database/page.ts";
import type { Database } from "../database/tables.ts";
import { requireGroup } from "../groups/groups.ts";
import { endSessions, renewSession, type Started } from "../sign-in/sessions.ts";
import { endTokensBeyond } from "./api-tokens.ts";
import { administrators, grantsOfPerson, type PersonRow, requirePerson } from "./people.ts";
import type { Person } from "./principal.ts";

function shown({ id, name, title, state, created_at }: PersonRow, grants: readonly Grant[]): ShownPerson {
  return { id, name, title, state, createdAt: instant(created_at), grants: [...grants] };
}

export async function listPeople(db: Database, asked: PersonSearch): Promise<Page<ShownPerson>> {
  const { after, rows } = pageBounds(asked);
  let query = db.selectFrom("people").selectAll().where("id", ">", after).orderBy("id").limit(rows);
  if (asked.name !== undefined) query = query.where("name", "=", asked.name);
  const found = await query.execute();
  const ids = found.map(({ id }) => id);
  const given =
    ids.length === 0
      ? []
      : await db
          .selectFrom("grants")
          .selectAll()
          .where("person_id", "in", ids)
          .orderBy("role")
          .orderBy("group_id")
          .execute();
  const grants = Map.groupBy(given, ({ person_id }) => person_id);
  return pageFrom(found, asked, (row) =>
    shown(
      row,
      (grants.get(row.id) ?? []).map(({ role, group_id: groupId }) => ({ role, groupId })),
    ),
  );
}

/** Throws `request/not-found`. */
export async function getPerson(db: Database, personId: string): Promise<ShownPerson> {
  return shown(await requirePerson(db, personId), await grantsOfPerson(db, personId));
}

/** Refuses with `access/person-exists`; throws `request/not-found` for an unknown group. */
export async function addPerson(context: ServerContext, wanted: NewPerson): Promise<ShownPerson> {
  const { name, title = name, grants = [] } = wanted;
  return await change(context, async (under) => {
    const { db, now, note } = under;
    const id = newId(context.random);
    const made = await db
      .insertInto("people")
      .values({ id, name, title, state: "enabled", created_at: now, password: null, issuer: null, subject: null })
      .onConflict((conflict) => conflict.doNothing())
      .executeTakeFirst();
    if (made.numInsertedOrUpdatedRows === 0n) refuse("access/person-exists", `There is a person ${name} already.`);
    await note("person-added", `person:${id}`, { name, title });
    for (const grant of grants) await insertGrant(under, id, grant);
    return await getPerson(db, id);
  });
}

/** False where he has it already. Throws `request/not-found`. */
async function insertGrant({ db, note }: Change, personId: string, { role, groupId }: Grant): Promise<boolean> {
  await requireGroup(db, groupId);
  const { numInsertedOrUpdatedRows } = await db
    .insertInto("grants")
    .values({ person_id: personId, role, group_id: groupId })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst();
  if (numInsertedOrUpdatedRows === 0n) return false;
  await note("role-given", `person:${personId}`, { role, groupId });
  return true;
}

/** Refuses with `access/last-administrator`; throws `request/not-found`. */
export async function changePerson(
  context: ServerContext,
  personId: string,
  wanted: PersonChange,
): Promise<ShownPerson> {
  return await change(context, async (under) => {
    const { db, note } = under;
    const before = await requirePerson(db, personId);
    const { title = before.title, state = before.state } = wanted;
    if (title !== before.title || state !== before.state) {
      await db.updateTable("people").set({ title, state }).where("id", "=", personId).execute();
      await note("person-changed", `person:${personId}`, { name: before.name, title, state });
    }
    if (state === "disabled") await endCredentials(under, personId);
    await requireAdministrator(db);
    return await getPerson(db, personId);
  });
}

/** Refuses with `access/last-administrator`; throws `request/not-found`. */
export async function removePerson(context: ServerContext, personId: string): Promise<void> {
  await change(context, async (under) => {
    const { db, note } = under;
    const { name } = await requirePerson(db, personId);
    await endCredentials(under, personId);
    await db.deleteFrom("passkeys").where("person_id", "=", personId).execute();
    await db.deleteFrom("grants").where("person_id", "=", personId).execute();
    await db.deleteFrom("people").where("id", "=", personId).execute();
    await requireAdministrator(db);
    await note("person-removed", `person:${personId}`, { name });
  });
}

/** Sessions, API tokens and sign-in links; enabled again, he begins anew. */
async function endCredentials(under: Change, personId: string): Promise<void> {
  await endTokensBeyond(under, personId, []);
  await endSessions(under, personId);
  await under.db.deleteFrom("one_time_words").where("person_id", "=", personId).execute();
}

/** Looked at after the change, which is undone where this refuses. */
async function requireAdministrator(db: Database): Promise<void> {
  if ((await administrators(db)).length > 0) return;
  refuse("access/last-administrator", "Nobody would be left who administers; make another administrator first.");
}

export interface RoleChange {
  readonly personId: string;
  readonly grant: Grant;
  /** Who gives or takes it. */
  readonly actor: Person;
}

/** Answers the new secret of the actor's session where it is his own roles that change. Throws `request/not-found`. */
export async function giveRole(
  context: ServerContext,
  { personId, grant, actor }: RoleChange,
): Promise<Started | undefined> {
  return await change(context, async (under) => {
    await requirePerson(under.db, personId);
    if (!(await insertGrant(under, personId, grant))) return undefined;
    return await beginAnew(under, context.random, { personId, actor });
  });
}

/** As `giveRole`; refuses with `access/last-administrator`. */
export async function takeRole(
  context: ServerContext,
  { personId, grant, actor }: RoleChange,
): Promise<Started | undefined> {
  const { role, groupId } = grant;
  return await change(context, async (under) => {
    const { db, note } = under;
    const { name } = await requirePerson(db, personId);
    const { numDeletedRows } = await db
      .deleteFrom("grants")
      .where("person_id", "=", personId)
      .where("role", "=", role)
      .where("group_id", "=", groupId)
      .executeTakeFirst();
    if (numDeletedRows === 0n) {
      throw new RebootlessError("request/not-found", `${name} has not the role ${role} in the group ${groupId}.`);
    }
    await requireAdministrator(db);
    await note("role-removed", `person:${personId}`, { role, groupId });
    await endTokensBeyond(under, personId, await grantsOfPerson(db, personId));
    return await beginAnew(under, context.random, { personId, actor });
  });
}

/** Sessions do not outlive the roles that they began with; the one in which they are changed goes on under a new secret. */
async function beginAnew(
  under: Change,
  random: ServerContext["random"],
  { personId, actor }: Omit<RoleChange, "grant">,
): Promise<Started | undefined> {
  const own = actor.id === personId;
  await endSessions(under, personId, own ? actor.session : undefined);
  return own ? await renewSession(under, random, actor) : undefined;
}
