/**
 * The gate of phased rollouts: a hotpatch waits on the devices of a rollout until they are granted it, whoever wants it there.
 *
 * Of several rollouts that are under way over one device all have to let it pass.
 * One that was taken back keeps it off its target until it is removed, or until a later one was started there.
 */
import type { Database } from "../database/tables.ts";
import { type Block, type Candidate, candidateKey, type Gate } from "../offers/gates.ts";
import { activeStates } from "./rollout-machine.ts";
import type { RolloutRow } from "./stored-rollouts.ts";

function blockOf(row: RolloutRow, granted: boolean): Block | undefined {
  const { id: subject, title, reason: why } = row;
  const name = `The rollout ${title} (${subject})`;
  const said = why === "" ? "" : `: ${why}`;
  if (row.state === "paused") {
    return {
      ...{ code: "pause/policy", subject, reason: `${name} is paused${said}` },
      helps: `\`rebootless rollout resume ${subject}\` goes on.`,
    };
  }
  if (row.outcome === "baseline") {
    return {
      ...{ code: "baseline/fallback", subject, reason: `${name} was halted${said}` },
      helps: "Bring the device to the cumulative baseline.",
    };
  }
  if (row.outcome === "revert") {
    return {
      ...{ code: "rollout/taken-back", subject, reason: `${name} was taken back${said}` },
      helps: `Take a newer hotpatch, or start another rollout; \`rebootless rollout remove ${subject}\` lets it pass.`,
    };
  }
  if (granted || !activeStates.includes(row.state)) return undefined;
  return {
    ...{ code: "phase/waiting", subject, reason: `${name} has not come to the device yet.` },
    helps: `It follows by itself; \`rebootless rollout show ${subject}\` shows how far it is.`,
  };
}

/** Those that say something of these hotpatches, in the order in which they were started. */
async function speaking(db: Database, hotpatchIds: readonly string[]): Promise<RolloutRow[]> {
  return await db
    .selectFrom("rollouts")
    .selectAll()
    .where("hotpatch_id", "in", [...hotpatchIds])
    .where("started_at", "is not", null)
    .orderBy("started_at")
    .orderBy("id")
    .execute();
}

/** Groups by device, and grants as `rollout device`. */
async function standings(db: Database, rows: readonly RolloutRow[], deviceIds: readonly string[]) {
  const groupIds = [...new Set(rows.map(({ group_id }) => group_id))];
  const members = await db
    .selectFrom("group_members")
    .selectAll()
    .where("group_id", "in", groupIds)
    .where("device_id", "in", [...deviceIds])
    .execute();
  const granted = await db
    .selectFrom("rollout_devices")
    .select(["rollout_id", "device_id"])
    .where(
      "rollout_id",
      "in",
      rows.map(({ id }) => id),
    )
    .where("device_id", "in", [...deviceIds])
    .where("granted_at", "is not", null)
    .execute();
  return {
    members: new Set(members.map(({ group_id, device_id }) => `${group_id} ${device_id}`)),
    granted: new Set(granted.map(({ rollout_id, device_id }) => `${rollout_id} ${device_id}`)),
  };
}

/** What was taken back earlier counts no more where another one was started later. */
function counting(rows: readonly RolloutRow[]): RolloutRow[] {
  return rows.filter((row, index) => activeStates.includes(row.state) || index === rows.length - 1);
}

export const rolloutGate: Gate = async (db, _now, candidates: readonly Candidate[]) => {
  const blocks = new Map<string, Block[]>();
  if (candidates.length === 0) return blocks;
  const rows = await speaking(db, [...new Set(candidates.map(({ hotpatchId }) => hotpatchId))]);
  if (rows.length === 0) return blocks;
  const { members, granted } = await standings(db, rows, [...new Set(candidates.map(({ deviceId }) => deviceId))]);
  for (const candidate of candidates) {
    const { deviceId, hotpatchId } = candidate;
    const own = rows.filter((row) => row.hotpatch_id === hotpatchId && members.has(`${row.group_id} ${deviceId}`));
    const found = counting(own).flatMap((row) => blockOf(row, granted.has(`${row.id} ${deviceId}`)) ?? []);
    if (found.length > 0) blocks.set(candidateKey(candidate), found);
  }
  return blocks;
};
