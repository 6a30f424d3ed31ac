/** Pauses of a policy, and what it expedites. */
import { type Policy, type PolicyPause, policyLimits } from "../../api/schemas/policies.ts";
import { refuse } from "../../base/refusal.ts";
import { requireHotpatch } from "../catalog/catalog.ts";
import { change, instant, type ServerContext } from "../context.ts";
import { knowHotpatches } from "../device-states/known-hotpatches.ts";
import { follow, requirePolicy } from "./policies.ts";
import { dayMs } from "./policy-rules.ts";

/**
 * A pause that is not extended ends by itself; extending has it end so many days from now.
 * Refuses with `policy/paused` or `policy/not-paused`; throws `request/not-found`.
 */
export async function pausePolicy(
  context: ServerContext,
  policyId: string,
  { wanted, by, extends: isExtended }: { readonly wanted: PolicyPause; readonly by: string; readonly extends: boolean },
): Promise<Policy> {
  return await change(context, async (under) => {
    const { row } = await requirePolicy(under.db, policyId);
    const isPaused = row.paused_until !== null && row.paused_until > under.now;
    if (isPaused && !isExtended) {
      refuse("policy/paused", `${row.title} is paused until ${instant(row.paused_until ?? 0)}; extend that.`);
    }
    if (!isPaused && isExtended) refuse("policy/not-paused", `${row.title} is not paused.`);
    const pausedUntil = under.now + (wanted.days ?? policyLimits.pauseDays) * dayMs;
    const reason = wanted.reason ?? (isPaused ? row.pause_reason : "");
    const columns = { paused_until: pausedUntil, pause_reason: reason };
    await under.db.updateTable("policies").set(columns).where("id", "=", policyId).execute();
    const told = { title: row.title, until: instant(pausedUntil), reason, extended: isExtended, by };
    await under.note("policy-paused", `policy:${policyId}`, told);
    return await follow(under, context.random, { policyId });
  });
}

/** Refuses with `policy/not-paused`; throws `request/not-found`. */
export async function resumePolicy(context: ServerContext, policyId: string, by: string): Promise<Policy> {
  return await change(context, async (under) => {
    const { row } = await requirePolicy(under.db, policyId);
    if (row.paused_until === null || row.paused_until <= under.now) {
      refuse("policy/not-paused", `${row.title} is not paused.`);
    }
    const columns = { paused_until: null, pause_reason: "" };
    await under.db.updateTable("policies").set(columns).where("id", "=", policyId).execute();
    await under.note("policy-resumed", `policy:${policyId}`, { title: row.title, by });
    return await follow(under, context.random, { policyId });
  });
}

export interface Expedite {
  readonly policyId: string;
  readonly hotpatchId: string;
  readonly reason: string;
  readonly by: string;
}

/** Refuses with `policy/hotpatch-off`, `catalog/hotpatch-unknown` and as the catalog does; throws `request/not-found`. */
export async function expedite(
  context: ServerContext,
  { policyId, hotpatchId, reason, by }: Expedite,
): Promise<Policy> {
  const hotpatch = await requireHotpatch(context.catalog, hotpatchId);
  return await change(context, async (under) => {
    const { row } = await requirePolicy(under.db, policyId);
    if (row.hotpatch_enabled === 0) refuse("policy/hotpatch-off", `${row.title} has hotpatch switched off.`);
    await knowHotpatches(under, [hotpatch]);
    const made = await under.db
      .insertInto("policy_expedites")
      .values({ policy_id: policyId, hotpatch_id: hotpatchId, reason, created_at: under.now, created_by: by })
      .onConflict((conflict) => conflict.doNothing())
      .executeTakeFirst();
    if (made.numInsertedOrUpdatedRows === 1n) {
      await under.note("policy-expedited", `policy:${policyId}`, { hotpatchId, title: row.title, reason, by });
    }
    return await follow(under, context.random, { policyId });
  });
}

/** What has not begun waits for its deferral again. Throws `request/not-found`. */
export async function endExpedite(
  context: ServerContext,
  { policyId, hotpatchId, by }: Omit<Expedite, "reason">,
): Promise<void> {
  await change(context, async (under) => {
    const { row } = await requirePolicy(under.db, policyId);
    const gone = await under.db
      .deleteFrom("policy_expedites")
      .where("policy_id", "=", policyId)
      .where("hotpatch_id", "=", hotpatchId)
      .executeTakeFirst();
    if (gone.numDeletedRows === 0n) return;
    await under.note("policy-changed", `policy:${policyId}`, { title: row.title, endsExpediteOf: hotpatchId, by });
    await follow(under, context.random, { policyId });
  });
}
