/**
 * The gate of maintenance windows and active hours: nothing begins outside of them, in the time zone of the device.
 *
 * What has begun is finished. Once the deadline of a policy and its grace are over, its windows count no more; an expedite skips no window.
 * Of several policies all have to be open.
 */
import type { WindowZone, zoneSources } from "../../api/schemas/policies.ts";
import type { Database } from "../database/tables.ts";
import { type Block, type Candidate, candidateKey, type Gate, type PassEnds } from "../offers/gates.ts";
import { toldZones, zoneOf } from "./device-zone.ts";
import { type CandidateCase, policyCases } from "./policy-gate.ts";
import { forcedAtMs } from "./policy-rules.ts";
import type { StoredPolicy } from "./stored-policies.ts";
import { hasWindows, nextOpening, type Opening } from "./windows.ts";
import { localInstant } from "./zoned-time.ts";

interface WindowCase {
  readonly key: string;
  readonly policy: StoredPolicy;
  readonly zone: WindowZone;
  readonly opening: Opening | undefined;
  readonly forcedAtMs: number;
}

/** Candidates with the policies whose windows count for them now. */
async function windowCases(db: Database, now: number, candidates: readonly Candidate[]): Promise<WindowCase[]> {
  const all = await policyCases(db, now, { candidates, concerns: ({ rules }) => hasWindows(rules) });
  const counting = all.filter((one) => forcedAtMs(one.policy, one) > now);
  if (counting.length === 0) return [];
  const zones = await toldZones(db, [...new Set(counting.map(({ candidate }) => candidate.deviceId))]);
  // Many devices share few zones.
  const known = new Map<string, Opening | undefined>();
  const openingOf = ({ policy }: CandidateCase, { timeZone }: WindowZone) => {
    const key = `${policy.row.id} ${timeZone}`;
    if (!known.has(key)) known.set(key, nextOpening(policy.rules, timeZone, now));
    return known.get(key);
  };
  return counting.map((one) => {
    const zone = zoneOf(zones.get(one.candidate.deviceId), one.policy.row.time_zone);
    const key = candidateKey(one.candidate);
    const forced = forcedAtMs(one.policy, one);
    return { key, policy: one.policy, zone, opening: openingOf(one, zone), forcedAtMs: forced };
  });
}

const whose: Record<(typeof zoneSources)[number], string> = {
  device: "the time zone of the device",
  policy: "the time zone of the policy, since the device tells none",
  utc: "since neither the device nor the policy tells a time zone",
};

function closedBlock({ policy, zone, opening, forcedAtMs: forced }: WindowCase): Block {
  const { id, title } = policy.row;
  const untilMs = Math.min(opening?.opensAtMs ?? Number.POSITIVE_INFINITY, forced);
  const opens = opening === undefined ? "" : ` until ${localInstant(zone.timeZone, opening.opensAtMs)}`;
  const reason = `The windows of the policy ${title} are closed${opens} (${zone.timeZone}, ${whose[zone.source]}).`;
  const deadline = Number.isFinite(forced) ? `; its deadline passes them at ${new Date(forced).toISOString()}` : "";
  const helps = `It ends by itself${deadline}; \`rebootless policy windows ${id}\` shows when it opens.`;
  return { code: "window/closed", subject: id, reason, helps, ...(Number.isFinite(untilMs) ? { untilMs } : {}) };
}

export const windowGate: Gate = async (db, now, candidates) => {
  const blocks = new Map<string, Block[]>();
  for (const one of await windowCases(db, now, candidates)) {
    if (one.opening !== undefined && one.opening.opensAtMs <= now) continue;
    blocks.set(one.key, [...(blocks.get(one.key) ?? []), closedBlock(one)]);
  }
  return blocks;
};

/** When the first of the windows closes that are open; where the deadline comes first, it is asked again then and found to be over. */
export const windowEnds: PassEnds = async (db, now, candidates) => {
  const ends = new Map<string, number>();
  for (const { key, opening, forcedAtMs: forced } of await windowCases(db, now, candidates)) {
    if (opening === undefined) continue;
    ends.set(key, Math.min(ends.get(key) ?? Number.POSITIVE_INFINITY, opening.closesAtMs, forced));
  }
  return ends;
};
