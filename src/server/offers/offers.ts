/**
 * The one way in which a hotpatch reaches devices: what is wanted there, what no gate blocks, is offered; what a gate blocks and has not begun is withdrawn.
 *
 * Asking again with nothing changed changes nothing, so whoever has changed what is wanted, or what a gate reads, asks for the scope of his change.
 */
import { setImmediate } from "node:timers/promises";
import type { ActionState } from "../../api/schemas/actions.ts";
import { actionStates } from "../../api/schemas/actions.ts";
import { actionTable, settledStates } from "../actions/state-machine.ts";
import { type ActionRow, newActions, steps } from "../actions/steps.ts";
import type { Change, ServerContext } from "../context.ts";
import { keepBlocks } from "./blocks.ts";
import { replaceEnds, takeEnded } from "./ends-of-offers.ts";
import { gates as allGates, passEnds } from "./gate-list.ts";
import { askGates, type Block, type Candidate, candidateKey, type Gate } from "./gates.ts";
import { devicesThatWant, isWanted, type OfferScope, wantedOn } from "./wanted.ts";

/** States from which an action is withdrawn: it has not begun to change its device. */
export const withdrawable: readonly ActionState[] = actionStates.filter(
  (state) => !settledStates.has(state) && actionTable[state].withdraw !== undefined,
);

/** Devices that are looked at in one go. */
const chunkDevices = 500;

/**
 * Settles, within a scope, what is wanted on devices that have not begun with it.
 * What was withdrawn before it began is offered again; what was refused, failed or was taken back is not, unless somebody asks for that very action.
 */
export async function offerApproved(
  under: Change,
  random: ServerContext["random"],
  scope: OfferScope,
  gates: readonly Gate[] = allGates,
): Promise<void> {
  for await (const deviceIds of chunks(under, scope)) {
    under.touch(...deviceIds);
    const wanted = await wantedOn(under.db, deviceIds, scope.hotpatchId);
    await settle(under, random, { wanted, gates });
  }
  await keepBlocks.dropStale(under, scope);
}

/** Devices whose blocks or offers have ended that one piece of work looks at; the rest comes with the next tick. */
const endedAtOnce = 2_000;

/** Settles a hotpatch on devices where a block of it, or the time in which it may begin, has come to its end. */
export async function offerEnded(under: Change, random: ServerContext["random"], hotpatchId: string): Promise<void> {
  const rows = await under.db
    .selectFrom("offer_blocks")
    .select("device_id")
    .distinct()
    .where("hotpatch_id", "=", hotpatchId)
    .where("until_at", "<=", under.now)
    .limit(endedAtOnce)
    .execute();
  const over = await takeEnded(under, { hotpatchId, limit: endedAtOnce });
  const deviceIds = [...new Set([...rows.map(({ device_id }) => device_id), ...over])];
  await offerTo(under, random, { hotpatchId, deviceIds });
  await keepBlocks.dropStale(under, { hotpatchId });
}

/** Settles a hotpatch on these devices. */
export async function offerTo(
  under: Change,
  random: ServerContext["random"],
  { hotpatchId, deviceIds }: { readonly hotpatchId: string; readonly deviceIds: readonly string[] },
): Promise<void> {
  for (let from = 0; from < deviceIds.length; from += chunkDevices) {
    const some = deviceIds.slice(from, from + chunkDevices);
    under.touch(...some);
    const wanted = await wantedOn(under.db, some, hotpatchId);
    await settle(under, random, { wanted, gates: allGates });
  }
}

async function* chunks({ db }: Change, { deviceId, groupId, hotpatchId }: OfferScope): AsyncGenerator<string[]> {
  if (deviceId !== undefined) {
    yield [deviceId];
    return;
  }
  const wanting = {
    ...(groupId === undefined ? {} : { groupId }),
    ...(hotpatchId === undefined ? {} : { hotpatchId }),
  };
  for (let after = ""; ; ) {
    const ids = await devicesThatWant(db, { ...wanting, after, limit: chunkDevices });
    if (ids.length > 0) yield ids;
    if (ids.length < chunkDevices) return;
    after = ids.at(-1) ?? "";
    await setImmediate();
  }
}

interface Wanted {
  readonly wanted: readonly Candidate[];
  readonly gates: readonly Gate[];
}

async function settle(under: Change, random: ServerContext["random"], { wanted, gates }: Wanted): Promise<void> {
  const { db, now } = under;
  const rows = await actionsOf(under, wanted);
  const open = wanted.filter((candidate) => {
    const row = rows.get(candidateKey(candidate));
    return row === undefined || mayBeOffered(row) || withdrawable.includes(row.state);
  });
  const blocks = await askGates(db, now, { gates, candidates: open });
  await keepBlocks.replace(under, open, blocks);
  const passing = open.filter((candidate) => !blocks.has(candidateKey(candidate)));
  await replaceEnds(db, wanted, await passEnds(db, now, passing));
  const fresh: Candidate[] = [];
  const again: OpenAction[] = [];
  const stopped: { row: OpenAction; block: Block }[] = [];
  for (const candidate of open) {
    const row = rows.get(candidateKey(candidate));
    const block = blocks.get(candidateKey(candidate))?.[0];
    if (block === undefined && row === undefined) fresh.push(candidate);
    if (block === undefined && row !== undefined && mayBeOffered(row)) again.push(row);
    if (block !== undefined && row !== undefined && !mayBeOffered(row)) stopped.push({ row, block });
  }
  await newActions(under, random, fresh);
  await steps(
    under,
    again.map(({ removed_action, ...row }) => ({ row, event: "offer", reason: "" })),
  );
  const removed = again.flatMap(({ removed_action }) => removed_action ?? []);
  if (removed.length > 0) await db.deleteFrom("removed_actions").where("action_id", "in", removed).execute();
  await steps(
    under,
    stopped.map(({ row: { removed_action, ...row }, block }) => ({
      row,
      event: "withdraw",
      reason: block.reason,
      told: { block: block.code },
    })),
  );
  await under.reassign(...fresh.map(({ deviceId }) => deviceId));
  await under.reassign(...[...again, ...stopped.map(({ row }) => row)].map(({ device_id }) => device_id));
}

/** It did not begin, or was taken back since its hotpatch was approved for removal. */
function mayBeOffered({ state, removed_action }: OpenAction): boolean {
  return state === "withdrawn" || (state === "reverted" && removed_action !== null);
}

interface OpenAction extends ActionRow {
  readonly removed_action: string | null;
}

async function actionsOf({ db }: Change, wanted: readonly Candidate[]): Promise<Map<string, OpenAction>> {
  const rows = await db
    .selectFrom("actions")
    .leftJoin("removed_actions", "removed_actions.action_id", "actions.id")
    .selectAll("actions")
    .select("removed_actions.action_id as removed_action")
    .where("device_id", "in", [...new Set(wanted.map(({ deviceId }) => deviceId))])
    .execute();
  return new Map(rows.map((row) => [candidateKey({ deviceId: row.device_id, hotpatchId: row.hotpatch_id }), row]));
}

/** Withdraws what has not begun to change a device and is wanted there no more. */
export async function withdrawUnapproved(under: Change, scope: Omit<OfferScope, "groupId">): Promise<void> {
  const { deviceId, hotpatchId } = scope;
  let query = under.db
    .selectFrom("actions")
    .selectAll("actions")
    .where("state", "in", withdrawable)
    .where((is) => is.not(isWanted(is, "actions")));
  if (deviceId !== undefined) query = query.where("device_id", "=", deviceId);
  if (hotpatchId !== undefined) query = query.where("hotpatch_id", "=", hotpatchId);
  const rows = await query.execute();
  await steps(
    under,
    rows.map((row) => ({ row, event: "withdraw", reason: "" })),
  );
  await under.reassign(...rows.map(({ device_id }) => device_id));
  await keepBlocks.dropStale(under, scope);
  under.touch(...(await devicesAbout(under, scope)));
}

/** Devices whose state may be about a hotpatch that is wanted no more: also those that have begun with it, or only wait for it. */
async function devicesAbout({ db }: Change, { deviceId, hotpatchId }: OfferScope): Promise<string[]> {
  if (deviceId !== undefined) return [deviceId];
  let query = db.selectFrom("device_states").select("device_id").distinct();
  if (hotpatchId !== undefined) query = query.where("hotpatch_id", "=", hotpatchId);
  return (await query.execute()).map(({ device_id }) => device_id);
}
