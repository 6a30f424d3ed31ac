/** What a policy says of a hotpatch on a device, as rules without a database. */
import type { Hotpatch } from "../../api/schemas/hotpatches.ts";
import { ruleFits } from "../approvals/rule-fits.ts";
import type { Block } from "../offers/gates.ts";
import type { PolicyGroup, StoredPolicy } from "./stored-policies.ts";

export const dayMs = 24 * 60 * 60 * 1000;

/** Whether a hotpatch is one that the policy is about; one of which nothing is known is, to be on the safe side. */
export function covers({ severities, products }: StoredPolicy, hotpatch: Hotpatch | undefined): boolean {
  return hotpatch === undefined || ruleFits({ severities, products, filter: null }, hotpatch);
}

/** Of the groups of the policy that the device is in, the first: a device is in one ring. */
export function placeIn({ groups }: StoredPolicy, inGroups: ReadonlySet<string>): PolicyGroup | undefined {
  return groups.find(({ groupId }) => inGroups.has(groupId));
}

export interface PolicyCase {
  readonly hotpatchId: string;
  readonly place: PolicyGroup;
  /** When the server saw the hotpatch first. */
  readonly arrivedAtMs: number;
  readonly enrolledAtMs: number;
  readonly now: number;
}

/** From when on neither the deferral nor the windows of the policy hold back; a device that came late has the grace all the same. */
export function forcedAtMs(
  { row }: Pick<StoredPolicy, "row">,
  { arrivedAtMs, enrolledAtMs }: Pick<PolicyCase, "arrivedAtMs" | "enrolledAtMs">,
): number {
  if (row.deadline_days === null) return Number.POSITIVE_INFINITY;
  return Math.max(arrivedAtMs + row.deadline_days * dayMs, enrolledAtMs) + row.grace_days * dayMs;
}

/** What keeps a hotpatch that the policy is about off a device of the policy. An expedite skips the deferral alone. */
export function policyBlocks(
  policy: StoredPolicy,
  { hotpatchId, place, arrivedAtMs, enrolledAtMs, now }: PolicyCase,
): Block[] {
  const { id, title, hotpatch_enabled, paused_until, pause_reason } = policy.row;
  const blocks: Block[] = [];
  if (hotpatch_enabled === 0) {
    const reason = `The policy ${title} has hotpatch switched off.`;
    const helps = `\`rebootless policy update ${id} --hotpatch on\`, or take the device out of its groups.`;
    blocks.push({ code: "policy/hotpatch-off", subject: id, reason, helps });
  }
  if (paused_until !== null && paused_until > now) {
    const why = pause_reason === "" ? "" : `: ${pause_reason}`;
    const reason = `The policy ${title} is paused until ${new Date(paused_until).toISOString()}${why}.`;
    const helps = `It ends by itself, or by \`rebootless policy resume ${id}\`.`;
    blocks.push({ code: "pause/policy", subject: id, reason, helps, untilMs: paused_until });
  }
  const forced = forcedAtMs(policy, { arrivedAtMs, enrolledAtMs });
  const deferredUntilMs = Math.min(arrivedAtMs + place.deferralDays * dayMs, forced);
  if (deferredUntilMs > now && !policy.expedited.has(hotpatchId)) {
    const ring = place.ring === "" ? "" : ` for the ring ${place.ring}`;
    const until = new Date(deferredUntilMs).toISOString();
    const reason = `The policy ${title} defers it by ${place.deferralDays} days${ring}, until ${until}.`;
    const helps = `It ends by itself; \`rebootless policy expedite ${id} ${hotpatchId}\` skips the deferral.`;
    blocks.push({ code: "deferral/days", subject: id, reason, helps, untilMs: deferredUntilMs });
  }
  return blocks;
}
