/**
 * The gate of the catalog and the calendar: what is withdrawn, previews, the standard channel, the baseline that a hotpatch builds on, the hotpatch track.
 *
 * A hotpatch of which the catalog says nothing of the kind passes.
 */
import type { Baseline } from "../../api/schemas/catalog.ts";
import { type Servicing, servicingOf, unchosen } from "../catalog/servicing.ts";
import type { Block, Candidate, Gate } from "../offers/gates.ts";
import { candidateKey } from "../offers/gates.ts";
import { beginOf, nextBaselineMonth } from "./calendar.ts";
import { standingFacts } from "./device-facts.ts";
import { type Kept, type KeptHotpatch, keptBaselines, keptHotpatches } from "./kept-catalog.ts";
import { type Place, placeAmong, type StandingFacts, standingOn } from "./standing.ts";

/** Pure: what groups say against this hotpatch. */
export function choiceBlocks({ release }: Pick<KeptHotpatch, "release">, servicing: Servicing): Block[] {
  const blocks: Block[] = [];
  if (release.stage === "preview" && !servicing.preview) {
    const reason = "It is a preview, and no group of the device has opted into previews.";
    const helps = "Wait until it is general, or let a group of the device have previews (`rebootless channel set`).";
    blocks.push({ code: "stage/preview", reason, helps });
  }
  if (servicing.channel === "standard" && release.channel === "hotpatch") {
    const reason = `The group ${servicing.standardBy} is on the standard channel: it gets baselines, with a restart.`;
    const helps = "Put the group on the hotpatch channel, or take the device out of it.";
    blocks.push({ code: "channel/standard", subject: servicing.standardBy ?? "", reason, helps });
  }
  if (release.track === "leaves" && !servicing.mayLeaveTrack) {
    const until = release.month === null ? "the next baseline" : `the baseline of ${nextBaselineMonth(release.month)}`;
    const reason = `It would take the device off the hotpatch track until ${until}.`;
    const helps = "Take an update that keeps the track, or let a group of the device leave it.";
    blocks.push({ code: "track/leaves", reason, helps });
  }
  return blocks;
}

/** Pure: what the baselines say against this hotpatch on a device. */
export function baselineBlocks(
  { release }: Pick<KeptHotpatch, "release">,
  {
    baselines,
    facts,
    place,
  }: { readonly baselines: readonly Baseline[]; readonly facts: StandingFacts; readonly place: Place },
): Block[] {
  const { baseline: wanted } = release;
  if (wanted === null) return [];
  const baseline = baselines.find(({ id }) => id === wanted);
  if (baseline === undefined) {
    const reason = `It builds on the baseline ${wanted}, which the catalog does not list.`;
    return [
      { code: "baseline/behind", subject: wanted, reason, helps: "Publish the baseline, or take another hotpatch." },
    ];
  }
  const { kind, lacks } = standingOn(facts, baseline);
  const subject = wanted;
  switch (kind) {
    case "elsewhere": {
      const reason = `It builds on the baseline ${wanted}, which is for another system.`;
      return [{ code: "eligibility/unmet", subject, reason, helps: "Take the hotpatch that is for this system." }];
    }
    case "unknown": {
      const reason = `Whether the device is on the baseline ${wanted} is not known: it does not tell ${lacks.join(", ")}.`;
      return [{ code: "eligibility/unknown", subject, reason, helps: "Let its agent tell these facts." }];
    }
    case "restart": {
      const reason = `The baseline ${wanted} is installed, and the device has not restarted since: ${lacks.join(", ")}.`;
      return [{ code: "restart/pending", subject, reason, helps: "Restart the device." }];
    }
    case "behind": {
      const reason = `The device is behind the baseline ${wanted}: it lacks ${shortList(lacks)}.`;
      const helps = `Bring it to ${place.newest?.id ?? wanted} and restart it; the hotpatch follows.`;
      return [{ code: "baseline/behind", subject, reason, helps }];
    }
    case "current":
      return trackBlocks(place, wanted);
  }
}

/** A hotpatch that was made for the very update that left the track may go there. */
function trackBlocks({ offTrackBy, newest }: Place, wanted: string): Block[] {
  if (offTrackBy === undefined || offTrackBy.id === wanted) return [];
  const { id, release } = offTrackBy;
  const back = release.month === null ? undefined : nextBaselineMonth(release.month);
  const isThere = newest !== undefined && (newest.release.month ?? "") > (release.month ?? "");
  const reason = `The update ${id} took the device off the hotpatch track.`;
  const helps = isThere
    ? `Bring it to the baseline ${newest.id} and restart it.`
    : `The baseline of ${back ?? "a later month"} brings it back; until then it gets standard updates.`;
  return [{ code: "track/off", subject: id, reason, helps, ...(back === undefined ? {} : { untilMs: beginOf(back) }) }];
}

/** The first few, and how many more. */
function shortList(items: readonly string[]): string {
  const shown = items.slice(0, 3).join(", ");
  return items.length <= 3 ? shown : `${shown} and ${items.length - 3} more`;
}

function withdrawnBlock({ withdrawal }: Kept): Block[] {
  if (withdrawal === undefined) return [];
  const reason = `The catalog has withdrawn it on ${withdrawal.at}: ${withdrawal.reason}`;
  return [{ code: "catalog/withdrawn", reason, helps: "Take the hotpatch that was published in its place." }];
}

export const servicingGate: Gate = async (db, _now, candidates) => {
  const kept = await keptHotpatches(db, [...new Set(candidates.map(({ hotpatchId }) => hotpatchId))]);
  const said = candidates.filter(({ hotpatchId }) => kept.has(hotpatchId));
  const blocks = new Map<string, Block[]>();
  if (said.length === 0) return blocks;
  const deviceIds = [...new Set(said.map(({ deviceId }) => deviceId))];
  const choices = await servicingOf(db, deviceIds);
  const standing = said.filter(({ hotpatchId }) => kept.get(hotpatchId)?.hotpatch?.release.baseline != null);
  const places = await placesOf(db, standing, choices);
  for (const candidate of said) {
    const entry = kept.get(candidate.hotpatchId);
    if (entry === undefined) continue;
    const { hotpatch } = entry;
    const found = withdrawnBlock(entry);
    if (hotpatch !== undefined) found.push(...choiceBlocks(hotpatch, choices.get(candidate.deviceId) ?? unchosen));
    const place = places.get(candidate.deviceId);
    if (hotpatch !== undefined && place !== undefined) found.push(...baselineBlocks(hotpatch, place));
    if (found.length > 0) blocks.set(candidateKey(candidate), found);
  }
  return blocks;
};

type Db = Parameters<Gate>[0];

/** Read for devices alone that a hotpatch with a baseline is for, since their facts are long. */
async function placesOf(db: Db, candidates: readonly Candidate[], choices: ReadonlyMap<string, Servicing>) {
  const deviceIds = [...new Set(candidates.map(({ deviceId }) => deviceId))];
  if (deviceIds.length === 0) return new Map<string, never>();
  const baselines = await keptBaselines(db);
  const facts = await standingFacts(db, deviceIds);
  return new Map(
    deviceIds.map((id) => {
      const own = facts.get(id) ?? {};
      const { preview } = choices.get(id) ?? unchosen;
      return [id, { baselines, facts: own, place: placeAmong(own, baselines, { preview }) }];
    }),
  );
}
