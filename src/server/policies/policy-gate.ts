/**
 * The gate of policies: hotpatch switched off, pauses, deferrals. Their windows have a gate of their own (window-gate.ts).
 *
 * It asks the policies of the device's groups, whoever wants the hotpatch there; of several policies all have to let it pass.
 */
import type { Hotpatch } from "../../api/schemas/hotpatches.ts";
import type { Database } from "../database/tables.ts";
import { type Block, type Candidate, candidateKey, type Gate } from "../offers/gates.ts";
import { covers, type PolicyCase, placeIn, policyBlocks } from "./policy-rules.ts";
import { type StoredPolicy, storedPolicies } from "./stored-policies.ts";

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

export interface CandidateCase extends PolicyCase {
  readonly candidate: Candidate;
  readonly policy: StoredPolicy;
}

async function enrolments(db: Database, deviceIds: readonly string[]): Promise<Map<string, number>> {
  const rows = await db
    .selectFrom("devices")
    .select(["id", "enrolled_at"])
    .where("id", "in", [...deviceIds])
    .execute();
  return new Map(rows.map(({ id, enrolled_at }) => [id, enrolled_at]));
}

/** Each candidate with each policy that is for its device and about its hotpatch, of those that `concerns` takes. */
export async function policyCases(
  db: Database,
  now: number,
  { candidates, concerns }: { candidates: readonly Candidate[]; concerns: (policy: StoredPolicy) => boolean },
): Promise<CandidateCase[]> {
  if (candidates.length === 0) return [];
  const policies = (await storedPolicies(db)).filter((policy) => policy.groups.length > 0 && concerns(policy));
  if (policies.length === 0) return [];
  const deviceIds = [...new Set(candidates.map(({ deviceId }) => deviceId))];
  const groupIds = new Set(policies.flatMap(({ groups }) => groups.map(({ groupId }) => groupId)));
  const groups = await groupsOf(db, deviceIds, [...groupIds]);
  const enrolled = await enrolments(db, deviceIds);
  const told = await toldOf(db, [...new Set(candidates.map(({ hotpatchId }) => hotpatchId))]);
  return candidates.flatMap((candidate) => {
    const { deviceId, hotpatchId } = candidate;
    const { hotpatch, arrivedAtMs = now } = told.get(hotpatchId) ?? {};
    const enrolledAtMs = enrolled.get(deviceId) ?? now;
    return policies.flatMap((policy) => {
      const place = placeIn(policy, groups.get(deviceId) ?? new Set());
      if (place === undefined || !covers(policy, hotpatch)) return [];
      return { candidate, policy, hotpatchId, place, arrivedAtMs, enrolledAtMs, now };
    });
  });
}

export const policyGate: Gate = async (db, now, candidates) => {
  const blocks = new Map<string, Block[]>();
  for (const one of await policyCases(db, now, { candidates, concerns: () => true })) {
    const found = policyBlocks(one.policy, one);
    const key = candidateKey(one.candidate);
    if (found.length > 0) blocks.set(key, [...(blocks.get(key) ?? []), ...found]);
  }
  return blocks;
};
