/**
 * Whether two accounts may be one person.
 *
 * A sign-in link lets in whoever holds it, so who made one for somebody else may act as him; and so on through those whom he let in.
 * The local socket and the server itself are no persons and vouch for nobody (docs/threat-model.md).
 */
import type { Database } from "../database/tables.ts";

/** Kept in the transaction that makes the link. */
export async function rememberVoucher(db: Database, personId: string, makerId: string | undefined): Promise<void> {
  if (makerId === undefined || makerId === personId) return;
  await db
    .insertInto("sign_in_vouchers")
    .values({ person_id: personId, maker_id: makerId })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

/** The person, and everybody who may have come in as him. */
async function hands(db: Database, personId: string): Promise<Set<string>> {
  const found = new Set([personId]);
  // Grows while it is gone through.
  for (const id of found) {
    const rows = await db.selectFrom("sign_in_vouchers").select("maker_id").where("person_id", "=", id).execute();
    for (const { maker_id } of rows) found.add(maker_id);
  }
  return found;
}

export async function maybeSamePerson(db: Database, one: string, other: string): Promise<boolean> {
  const ofOther = await hands(db, other);
  return [...(await hands(db, one))].some((id) => ofOther.has(id));
}
