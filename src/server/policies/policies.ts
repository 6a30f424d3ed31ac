/** Quality-update policies: made, changed and removed; decisions and offers follow within the same change. */
import type { NewPolicy, Policy, PolicyChange } from "../../api/schemas/policies.ts";
import { RebootlessError } from "../../base/errors.ts";
import { type Change, change, instant, newId, type ServerContext } from "../context.ts";
import { type Page, type PageAsked, pageBounds, pageFrom } from "../database/page.ts";
import type { Database, Tables } from "../database/tables.ts";
import { requireGroup } from "../groups/groups.ts";
import { followPolicy } from "./follow-policies.ts";
import { timesOf } from "./policy-times.ts";
import { checkRings } from "./rings.ts";
import { type StoredPolicy, storedPolicies } from "./stored-policies.ts";

function shown({ row, severities, products, groups, rules, expedited }: StoredPolicy, now: number): Policy {
  const isPaused = row.paused_until !== null && row.paused_until > now;
  return {
    ...{ id: row.id, title: row.title, groupIds: groups.map(({ groupId }) => groupId) },
    rings: groups.flatMap(({ ring: name, groupId, deferralDays }) =>
      name === "" ? [] : { name, groupId, deferralDays },
    ),
    ...{ hotpatchEnabled: row.hotpatch_enabled === 1, approvalMethod: row.approval_method, severities, products },
    deferralDays: row.deferral_days,
    windows: [...rules.windows],
    ...{
      deadlineDays: row.deadline_days,
      graceDays: row.grace_days,
      announceHours: row.announce_hours,
      activeHours: rules.activeHours,
      timeZone: row.time_zone,
    },
    pausedUntil: isPaused ? instant(row.paused_until ?? now) : null,
    pauseReason: isPaused ? row.pause_reason : "",
    expedited: [...expedited].toSorted(),
    ...{ createdAt: instant(row.created_at), createdBy: row.created_by },
  };
}

export async function listPolicies({ database, clock }: ServerContext, asked: PageAsked): Promise<Page<Policy>> {
  const { after, rows } = pageBounds(asked);
  const query = database.selectFrom("policies").select("id").where("id", ">", after).orderBy("id").limit(rows);
  const ids = (await query.execute()).map(({ id }) => id);
  const stored = ids.length === 0 ? [] : await storedPolicies(database, ids);
  const now = clock().getTime();
  return pageFrom(
    stored.map((policy) => ({ id: policy.row.id, policy })),
    asked,
    ({ policy }) => shown(policy, now),
  );
}

/** Throws `request/not-found`. */
export async function requirePolicy(db: Database, policyId: string): Promise<StoredPolicy> {
  const [policy] = await storedPolicies(db, [policyId]);
  if (policy === undefined) throw new RebootlessError("request/not-found", `There is no policy ${policyId}.`);
  return policy;
}

/** Throws `request/not-found`. */
export async function getPolicy({ database, clock }: ServerContext, policyId: string): Promise<Policy> {
  return shown(await requirePolicy(database, policyId), clock().getTime());
}

type Assigned = Pick<NewPolicy, "groupIds" | "rings">;

/** Throws `request/invalid` and `request/not-found`. */
async function assign(db: Database, policyId: string, { groupIds = [], rings = [] }: Assigned): Promise<void> {
  if (groupIds.length > 0 && rings.length > 0) {
    throw new RebootlessError("request/invalid", "A policy has groups or rings; name one of them.");
  }
  checkRings(rings);
  const groups = [
    ...groupIds.map((groupId) => ({ group_id: groupId, ring: "", deferral_days: null })),
    ...rings.map(({ name, groupId, deferralDays }) => ({
      ...{ group_id: groupId, ring: name, deferral_days: deferralDays },
    })),
  ];
  for (const { group_id } of groups) await requireGroup(db, group_id);
  await db.deleteFrom("policy_groups").where("policy_id", "=", policyId).execute();
  const values = groups.map((group, position) => ({ policy_id: policyId, position, ...group }));
  if (values.length > 0) await db.insertInto("policy_groups").values(values).execute();
}

/** Reads it as it is now, has decisions and offers follow, and answers it. */
export async function follow(
  under: Change,
  random: ServerContext["random"],
  { policyId, groupsBefore = [] }: { readonly policyId: string; readonly groupsBefore?: readonly string[] },
): Promise<Policy> {
  const policy = await requirePolicy(under.db, policyId);
  await followPolicy(under, random, { policy, groupsBefore });
  return shown(policy, under.now);
}

/** Throws `request/not-found` and `request/invalid`. */
export async function makePolicy(context: ServerContext, wanted: NewPolicy, by: string): Promise<Policy> {
  const { title, hotpatchEnabled = true, approvalMethod = "automatic" } = wanted;
  const { severities = [], products = [], deferralDays = 0 } = wanted;
  return await change(context, async (under) => {
    const row: Tables["policies"] = {
      ...{ id: newId(context.random), title, hotpatch_enabled: hotpatchEnabled ? 1 : 0 },
      ...{ approval_method: approvalMethod, severities_json: JSON.stringify(severities) },
      ...{ products_json: JSON.stringify(products), deferral_days: deferralDays },
      ...timesOf(wanted, {
        deadline_days: null,
        grace_days: 0,
        announce_hours: 0,
        active_hours_json: null,
        windows_json: "[]",
        time_zone: null,
      }),
      ...{ paused_until: null, pause_reason: "", created_at: under.now, created_by: by },
    };
    await under.db.insertInto("policies").values(row).execute();
    await assign(under.db, row.id, wanted);
    await under.note("policy-made", `policy:${row.id}`, { ...wanted, by });
    return await follow(under, context.random, { policyId: row.id });
  });
}

/** Throws `request/not-found` and `request/invalid`. */
export async function changePolicy(
  context: ServerContext,
  policyId: string,
  { wanted, by }: { readonly wanted: PolicyChange; readonly by: string },
): Promise<Policy> {
  return await change(context, async (under) => {
    const { row, groups } = await requirePolicy(under.db, policyId);
    const { title, hotpatchEnabled, severities, products, deferralDays } = wanted;
    const columns = {
      title: title ?? row.title,
      hotpatch_enabled: hotpatchEnabled === undefined ? row.hotpatch_enabled : Number(hotpatchEnabled),
      severities_json: severities === undefined ? row.severities_json : JSON.stringify(severities),
      products_json: products === undefined ? row.products_json : JSON.stringify(products),
      deferral_days: deferralDays ?? row.deferral_days,
      ...timesOf(wanted, row),
    };
    await under.db.updateTable("policies").set(columns).where("id", "=", policyId).execute();
    if (wanted.groupIds !== undefined || wanted.rings !== undefined) await assign(under.db, policyId, wanted);
    await under.note("policy-changed", `policy:${policyId}`, { ...wanted, title: columns.title, by });
    return await follow(under, context.random, { policyId, groupsBefore: groups.map(({ groupId }) => groupId) });
  });
}

/** Throws `request/not-found`. */
export async function removePolicy(context: ServerContext, policyId: string, by: string): Promise<void> {
  await change(context, async (under) => {
    const policy = await requirePolicy(under.db, policyId);
    const groupsBefore = policy.groups.map(({ groupId }) => groupId);
    for (const table of ["policy_groups", "policy_expedites"] as const) {
      await under.db.deleteFrom(table).where("policy_id", "=", policyId).execute();
    }
    await under.db.deleteFrom("policies").where("id", "=", policyId).execute();
    await under.note("policy-removed", `policy:${policyId}`, { title: policy.row.title, by });
    const nothing = { ...policy, groups: [], expedited: new Set<string>() };
    await followPolicy(under, context.random, { policy: nothing, groupsBefore });
  });
}
