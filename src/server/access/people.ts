/** People: who they are, what they may do, and whether they may come in at all. */
import type { Grant } from "../../api/schemas/access.ts";
import { RebootlessError } from "../../base/errors.ts";
import type { Change } from "../context.ts";
import type { Database, Tables } from "../database/tables.ts";
import { wholeFleet } from "./reach.ts";

export type PersonRow = Tables["people"];

/** Of a person who may come in; undefined for one who is unknown or disabled. */
export async function enabledPerson(
  db: Database,
  personId: string,
): Promise<{ row: PersonRow; grants: readonly Grant[] } | undefined> {
  const row = await db
    .selectFrom("people")
    .selectAll()
    .where("id", "=", personId)
    .where("state", "=", "enabled")
    .executeTakeFirst();
  return row === undefined ? undefined : { row, grants: await grantsOfPerson(db, personId) };
}

/** Throws `request/not-found`. */
export async function requirePerson(db: Database, personId: string): Promise<PersonRow> {
  const row = await db.selectFrom("people").selectAll().where("id", "=", personId).executeTakeFirst();
  if (row === undefined) throw new RebootlessError("request/not-found", `There is no person ${personId}.`);
  return row;
}

/** Who is enabled and administers the whole fleet, the oldest first. */
export async function administrators(db: Database): Promise<string[]> {
  const rows = await db
    .selectFrom("people")
    .innerJoin("grants", "grants.person_id", "people.id")
    .select("people.id")
    .where("people.state", "=", "enabled")
    .where("grants.role", "=", "administrator")
    .where("grants.group_id", "=", wholeFleet)
    .orderBy("people.created_at")
    .orderBy("people.id")
    .execute();
  return rows.map(({ id }) => id);
}

export async function grantsOfPerson(db: Database, personId: string): Promise<Grant[]> {
  const rows = await db
    .selectFrom("grants")
    .select(["role", "group_id"])
    .where("person_id", "=", personId)
    .orderBy("role")
    .orderBy("group_id")
    .execute();
  return rows.map(({ role, group_id: groupId }) => ({ role, groupId }));
}

/** Roles in a group end with it, so that a later group of its name gives nobody anything. */
export async function endGrantsIn({ db, note }: Change, groupId: string): Promise<void> {
  const ended = await db.selectFrom("grants").selectAll().where("group_id", "=", groupId).execute();
  await db.deleteFrom("token_grants").where("group_id", "=", groupId).execute();
  await db.deleteFrom("grants").where("group_id", "=", groupId).execute();
  for (const { person_id, role } of ended) await note("role-removed", `person:${person_id}`, { role, groupId });
}
