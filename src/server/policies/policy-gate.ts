/**
 * The gate of policies: hotpatch switched off, pauses, deferrals.
 *
 * It asks the policies of the device's groups, whoever wants the hotpatch there; of several policies all have to let it pass.
 */
import type { Hotpatch } from "../../api/schemas/hotpatches.ts";
import type { Database } from "../database/tables.ts";
import { type Block, candidateKey, type Gate } from "../offers/gates.ts";
import { covers, placeIn, policyBlocks } from "./policy-rules.ts";
import { storedPolicies } from "./stored-policies.ts";

async function groupsOf(
  db: Database,
  deviceIds: readonly string[],
  groupIds: readonly string[],
): Promise<Map<string, Set<string>>> {
  const rows = await db
    .selectFrom("group_members")
    .selectAll()
    .where("group_id", "in", [...groupIds])
    .where("device_id", "in", [...deviceIds])
    .execute();
  const groups = new Map<string, Set<string>>();
  for (const { device_id, group_id } of rows) {
    groups.set(device_id, (groups.get(device_id) ?? new Set()).add(group_id));
  }
  return groups;
}

interface Told {
  readonly hotpatch: Hotpatch | undefined;
  readonly arrivedAtMs: number | undefined;
}

async function toldOf(db: Database, ids: readonly string[]): Promise<Map<string, Told>> {
  const known = await db
    .selectFrom("known_hotpatches")
    .select(["id", "facts_json"])
    .where("id", "in", [...ids])
    .execute();
  const arrived = await db
    .selectFrom("arrivals")
    .selectAll()
    .where("hotpatch_id", "in", [...ids])
    .execute();
  const facts = new Map(known.map((row): [string, Hotpatch] => [row.id, JSON.parse(row.facts_json)]));
  const arrivals = new Map(arrived.map((row) => [row.hotpatch_id, row.arrived_at]));
  return new Map(ids.map((id) => [id, { hotpatch: facts.get(id), arrivedAtMs: arrivals.get(id) }]));
}

export const policyGate: Gate = async (db, now, candidates) => {
  const blocks = new Map<string, Block[]>();
  const policies = (await storedPolicies(db)).filter(({ groups }) => groups.length > 0);
  if (policies.length === 0 || candidates.length === 0) return blocks;
  const deviceIds = [...new Set(candidates.map(({ deviceId }) => deviceId))];
  const groupIds = new Set(policies.flatMap(({ groups }) => groups.map(({ groupId }) => groupId)));
  const groups = await groupsOf(db, deviceIds, [...groupIds]);
  const told = await toldOf(db, [...new Set(candidates.map(({ hotpatchId }) => hotpatchId))]);
  for (const candidate of candidates) {
    const { deviceId, hotpatchId } = candidate;
    const { hotpatch, arrivedAtMs = now } = told.get(hotpatchId) ?? {};
    const found = policies.flatMap((policy) => {
      const place = placeIn(policy, groups.get(deviceId) ?? new Set());
      if (place === undefined || !covers(policy, hotpatch)) return [];
      return policyBlocks(policy, { hotpatchId, place, arrivedAtMs, now });
    });
    if (found.length > 0) blocks.set(candidateKey(candidate), found);
  }
  return blocks;
};
