/** After a change of what is decided, or of who is in which group: the devices follow. */
import { actionTable } from "../actions/state-machine.ts";
import { type ActionRow, steps } from "../actions/steps.ts";
import type { Change, ServerContext } from "../context.ts";
import { offerApproved, withdrawUnapproved } from "../offers/offers.ts";
import { isDecided, type OfferScope } from "../offers/wanted.ts";

/** Offers what is wanted, withdraws what has not begun and is wanted no more, and takes back what is approved for removal. */
export async function followDecisions(
  under: Change,
  random: ServerContext["random"],
  scope: Pick<OfferScope, "deviceId" | "hotpatchId">,
): Promise<void> {
  await withdrawUnapproved(under, scope);
  await offerApproved(under, random, scope);
  await takeBackRemoved(under, scope);
}

/** Rows of one statement, below what both databases take. */
const rowsAtOnce = 1_000;

/** A hotpatch that has changed memory, and is approved for removal and not for installation, is reverted. */
export async function takeBackRemoved(
  under: Change,
  { deviceId, hotpatchId }: Pick<OfferScope, "deviceId" | "hotpatchId">,
): Promise<void> {
  const { db } = under;
  let query = db
    .selectFrom("actions")
    .selectAll("actions")
    .where("wanted", "=", "applied")
    .where((is) => is.and([isDecided(is, "actions", "removal"), is.not(isDecided(is, "actions", "install"))]));
  if (deviceId !== undefined) query = query.where("device_id", "=", deviceId);
  if (hotpatchId !== undefined) query = query.where("hotpatch_id", "=", hotpatchId);
  await takeBack(under, await query.execute(), "approved for removal");
}

/** Reverts what has changed memory, of these; another decision may offer it again. */
export async function takeBack(under: Change, rows: readonly ActionRow[], reason: string): Promise<void> {
  const { db } = under;
  const inPlace = rows.filter(
    ({ state, times_json }) => actionTable[state].revert !== undefined && "applying" in JSON.parse(times_json),
  );
  await steps(
    under,
    inPlace.map((row) => ({ row, event: "revert", reason })),
  );
  for (let from = 0; from < inPlace.length; from += rowsAtOnce) {
    await db
      .insertInto("removed_actions")
      .values(inPlace.slice(from, from + rowsAtOnce).map(({ id }) => ({ action_id: id })))
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  }
  await under.reassign(...inPlace.map(({ device_id }) => device_id));
}
