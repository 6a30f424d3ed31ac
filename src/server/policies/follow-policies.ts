/**
 * What policies want becomes decisions for their groups, of the source `policy` or `expedite`.
 *
 * A policy whose approval method is automatic wants what has arrived from the catalog and fits; one with the method manual wants nothing by itself.
 */
import type { Hotpatch } from "../../api/schemas/hotpatches.ts";
import { dropDecision, recordDecision } from "../approvals/approvals.ts";
import { followDecisions } from "../approvals/follow-decisions.ts";
import { refreshDecisions } from "../approvals/group-decisions.ts";
import type { Change, ServerContext } from "../context.ts";
import type { Database } from "../database/tables.ts";
import { offerApproved } from "../offers/offers.ts";
import { covers } from "./policy-rules.ts";
import { type StoredPolicy, storedPolicies } from "./stored-policies.ts";

type Random = ServerContext["random"];
const sources = ["policy", "expedite"] as const;

function wantsByItself({ row }: StoredPolicy): boolean {
  return row.hotpatch_enabled === 1 && row.approval_method === "automatic";
}

async function arrived(db: Database): Promise<Hotpatch[]> {
  const rows = await db
    .selectFrom("known_hotpatches")
    .innerJoin("arrivals", "arrivals.hotpatch_id", "known_hotpatches.id")
    .select("facts_json")
    .orderBy("id")
    .execute();
  return rows.map(({ facts_json }) => JSON.parse(facts_json));
}

/** Makes the decisions of a policy what it wants, and asks the gates anew on the devices of its groups and of those that it was for before. */
export async function followPolicy(
  under: Change,
  random: Random,
  { policy, groupsBefore }: { readonly policy: StoredPolicy; readonly groupsBefore: readonly string[] },
): Promise<void> {
  const { db } = under;
  const { row, groups } = policy;
  const fitting = wantsByItself(policy) ? (await arrived(db)).filter((one) => covers(policy, one)) : [];
  const wanted = {
    policy: new Set(fitting.map(({ id }) => id)),
    expedite: row.hotpatch_enabled === 1 ? policy.expedited : new Set<string>(),
  };
  const groupIds = new Set(groups.map(({ groupId }) => groupId));
  const changed = new Set<string>();
  const rows = await db
    .selectFrom("approvals")
    .selectAll()
    .where("source", "in", [...sources])
    .where("source_id", "=", row.id)
    .execute();
  for (const known of rows) {
    const { source, hotpatch_id, group_id } = known;
    if (wanted[source as keyof typeof wanted].has(hotpatch_id) && groupIds.has(group_id)) continue;
    await dropDecision(under, known);
    changed.add(hotpatch_id);
  }
  for (const source of sources) {
    for (const hotpatchId of wanted[source]) {
      if (await decideFor(under, random, { policy, hotpatchId, source })) changed.add(hotpatchId);
    }
  }
  for (const hotpatchId of changed) await settle(under, random, hotpatchId);
  for (const groupId of new Set([...groupsBefore, ...groupIds])) await offerApproved(under, random, { groupId });
}

interface Decision {
  readonly policy: StoredPolicy;
  readonly hotpatchId: string;
  readonly source: (typeof sources)[number];
}

/** Whether anything of it is new. */
async function decideFor(under: Change, random: Random, { policy, hotpatchId, source }: Decision): Promise<boolean> {
  const { row, groups } = policy;
  let isNew = false;
  for (const { groupId } of groups) {
    const made = await recordDecision(under, random, {
      ...{ hotpatchId, groupId, action: "install", deadlineMs: null, source, sourceId: row.id },
      ...{ reason: row.title, by: row.created_by },
    });
    isNew ||= made !== undefined;
  }
  return isNew;
}

async function settle(under: Change, random: Random, hotpatchId: string): Promise<void> {
  await refreshDecisions(under.db, { hotpatchId });
  await followDecisions(under, random, { hotpatchId });
}

/** A hotpatch that is new in the catalog: each policy that is automatic and is about it wants it. */
export async function approveByPolicies(under: Change, random: Random, hotpatch: Hotpatch): Promise<void> {
  let isNew = false;
  for (const policy of await storedPolicies(under.db)) {
    if (!wantsByItself(policy) || !covers(policy, hotpatch)) continue;
    if (await decideFor(under, random, { policy, hotpatchId: hotpatch.id, source: "policy" })) isNew = true;
  }
  if (isNew) await settle(under, random, hotpatch.id);
}
