/**
 * What a rollout does by itself: it follows its target, counts, stops at its thresholds, opens rings, and grants.
 *
 * Invariant: one transaction is one look; it leaves a state from which the next look, of whichever server, goes on.
 */
import type { EventKind } from "../../api/schemas/events.ts";
import { removeDecisions } from "../approvals/approvals.ts";
import { takeBack } from "../approvals/follow-decisions.ts";
import { type Change, instant, type ServerContext } from "../context.ts";
import { offerApproved, offerTo } from "../offers/offers.ts";
import type { ScheduledTask } from "../schedule/task.ts";
import { admitted, nextAdmissionMs, type Opening } from "./admission.ts";
import { type Move, nextMove } from "./advance.ts";
import { alikeDevices } from "./alike-devices.ts";
import { figuresOf } from "./outcomes.ts";
import { next, type RolloutEvent } from "./rollout-machine.ts";
import { type RolloutRow, requireRollout, type StoredRollout, storedFrom } from "./stored-rollouts.ts";
import { followTarget } from "./targets.ts";
import type { Firing, RingFigures } from "./thresholds.ts";

type Random = ServerContext["random"];

/** How often a rollout that is under way is looked at, in milliseconds. */
export const lookMs = 5_000;
/** Grants of one look; the rest follows at the next. */
const grantsAtOnce = 2_000;

/** Each piece is a rollout. */
export const rolloutLooks: ScheduledTask = {
  name: "rollouts",
  async due({ database }, nowMs) {
    const rows = await database
      .selectFrom("rollouts")
      .select("id")
      .where("look_at", "<=", nowMs)
      .orderBy("id")
      .execute();
    return rows.map(({ id }) => id);
  },
  async work(under, { random }, rolloutId) {
    const stored = await requireRollout(under.db, rolloutId);
    // Another server may have looked since.
    if (stored.row.look_at === null || stored.row.look_at > under.now) return;
    await look(under, random, stored);
  },
};

/** Moves it through the table, with what else changes, and notes it. Refuses with `rollout/transition`. */
export async function move(
  under: Change,
  { row }: StoredRollout,
  { event, kind, columns = {}, told = {} }: Moved,
): Promise<StoredRollout> {
  const state = next(row.state, event);
  const isAlive = state === "running" || state === "verifying";
  const changed: RolloutRow = {
    ...row,
    ...{ state, verify_until: null, reason: "", changed_at: under.now, look_at: isAlive ? under.now : null },
    ...columns,
  };
  const { id, ...values } = changed;
  await under.db.updateTable("rollouts").set(values).where("id", "=", id).execute();
  const { title, hotpatch_id: hotpatchId, group_id: groupId } = changed;
  const why = changed.reason === "" ? {} : { reason: changed.reason };
  await under.note(kind, `rollout:${id}`, { title, hotpatchId, groupId, ...why, ...told });
  return storedFrom(changed);
}

export interface Moved {
  readonly event: RolloutEvent;
  readonly kind: EventKind;
  readonly columns?: Partial<Omit<RolloutRow, "id" | "state">>;
  readonly told?: Record<string, unknown>;
}

/** Does all that is to be done at this instant. */
export async function look(under: Change, random: Random, stored: StoredRollout): Promise<void> {
  await followTarget(under, stored);
  let now = stored;
  for (;;) {
    const { row, spec, fired } = now;
    if (row.state !== "running" && row.state !== "verifying") return;
    const rings = figuresOf(spec, await alikeDevices(under.db, { row, spec, nowMs: under.now }));
    const standing = { state: row.state, ring: row.ring, verifyUntilMs: row.verify_until, fired };
    const made = nextMove(spec, standing, { rings, nowMs: under.now });
    if (made.kind === "none") return await grant(under, random, { stored: now, rings });
    now = await carryOut(under, random, { stored: now, made });
  }
}

type Made = { readonly stored: StoredRollout; readonly made: Exclude<Move, { kind: "none" }> };

async function carryOut(under: Change, random: Random, { stored, made }: Made): Promise<StoredRollout> {
  const { row, spec, fired } = stored;
  const opened = { pace_from: under.now, pace_granted: 0 };
  switch (made.kind) {
    case "fire":
      return await fire(under, random, { stored, firings: made.firings });
    case "shortfall": {
      const counts = JSON.stringify({ ...fired, [made.key]: 1 });
      const columns = { reason: made.reason, fired_json: counts };
      if (made.action === "pause") return await pause(under, random, { stored, columns });
      return await stop(under, random, { stored, event: "halt", outcome: "revert", columns });
    }
    case "succeed": {
      const columns = { verify_until: made.verifyUntilMs, look_at: made.verifyUntilMs };
      const told = { ring: ringName(stored), until: instant(made.verifyUntilMs) };
      return await move(under, stored, { event: "succeed", kind: "rollout-verifying", columns, told });
    }
    case "fall-back":
      return await move(under, stored, {
        ...{ event: "fall-back", kind: "rollout-fell-back", told: { ring: ringName(stored), why: made.reason } },
      });
    case "promote": {
      const columns = { ring: row.ring + 1, ...opened };
      const told = { ring: spec.rings[row.ring + 1]?.name };
      return await move(under, stored, { event: "promote", kind: "rollout-ring-opened", columns, told });
    }
    case "finish": {
      const columns = { ring: spec.rings.length };
      const finished = await move(under, stored, { event: "finish", kind: "rollout-finished", columns });
      await offerApproved(under, random, { hotpatchId: row.hotpatch_id });
      return finished;
    }
  }
}

function ringName({ row, spec }: StoredRollout): string {
  return spec.rings[row.ring]?.name ?? "";
}

async function fire(
  under: Change,
  random: Random,
  { stored, firings }: { readonly stored: StoredRollout; readonly firings: readonly Firing[] },
): Promise<StoredRollout> {
  const { row, fired } = stored;
  for (const { action, reason } of firings) {
    await under.note("rollout-alert", `rollout:${row.id}`, { title: row.title, action, reason });
  }
  const counts = { ...fired, ...Object.fromEntries(firings.map(({ key, count }) => [key, count])) };
  const fired_json = JSON.stringify(counts);
  const [first] = firings;
  const columns = { reason: first?.reason ?? "", fired_json };
  if (first?.action === "pause") return await pause(under, random, { stored, columns });
  if (first?.action === "halt") return await stop(under, random, { stored, event: "halt", outcome: "revert", columns });
  if (first?.action === "baseline") {
    return await stop(under, random, { stored, event: "halt", outcome: "baseline", columns });
  }
  await under.db.updateTable("rollouts").set({ fired_json }).where("id", "=", row.id).execute();
  return { ...stored, row: { ...row, fired_json }, fired: counts };
}

type Columns = { readonly columns: { readonly reason: string; readonly fired_json?: string } };

/** What has not begun is withdrawn; nothing is taken back. */
export async function pause(
  under: Change,
  random: Random,
  { stored, columns }: { readonly stored: StoredRollout } & Columns,
): Promise<StoredRollout> {
  const paused = await move(under, stored, { event: "pause", kind: "rollout-paused", columns });
  await offerApproved(under, random, { hotpatchId: paused.row.hotpatch_id });
  return paused;
}

interface Stop extends Columns {
  readonly stored: StoredRollout;
  readonly event: "halt" | "abort";
  readonly outcome: "keep" | "revert" | "baseline";
}

/** Ends it. Unless it is kept, what is in place on any device of its target is taken back. */
export async function stop(
  under: Change,
  random: Random,
  { stored, event, outcome, columns }: Stop,
): Promise<StoredRollout> {
  const kind = event === "halt" ? "rollout-halted" : "rollout-aborted";
  const ended = await move(under, stored, { event, kind, columns: { ...columns, outcome }, told: { outcome } });
  const { id, hotpatch_id: hotpatchId, group_id: groupId } = ended.row;
  // With a fallback the hotpatch stays wanted, so that its devices say why they get the baseline.
  if (outcome !== "baseline") await removeDecisions(under, random, { source: "rollout", sourceId: id });
  await offerApproved(under, random, { hotpatchId });
  if (outcome === "keep") return ended;
  const rows = await under.db
    .selectFrom("actions")
    .selectAll("actions")
    .where("hotpatch_id", "=", hotpatchId)
    .where("wanted", "=", "applied")
    .where("device_id", "in", under.db.selectFrom("group_members").select("device_id").where("group_id", "=", groupId))
    .execute();
  await takeBack(under, rows, `the rollout ${ended.row.title} was taken back`);
  return ended;
}

/** Devices of the rings that are open, in their order, as the pace of the last of them admits. */
async function grant(
  under: Change,
  random: Random,
  { stored, rings }: { readonly stored: StoredRollout; readonly rings: readonly RingFigures[] },
): Promise<void> {
  const { db, now } = under;
  const { row, spec } = stored;
  const open = rings[row.ring];
  const opensAt = spec.rings[row.ring]?.opensAt ?? null;
  const opening: Opening = {
    ...{ size: open?.devices ?? 0, fromMs: row.pace_from, already: row.pace_granted, pace: spec.pace },
    opensAtMs: opensAt === null ? null : Date.parse(opensAt),
  };
  const count = Math.max(0, admitted(opening, now) - (open?.granted ?? 0));
  const ids = [
    // Late joiners of rings that are through.
    ...(await waiting(under, { stored, rings: [0, row.ring - 1], limit: grantsAtOnce })),
    ...(await waiting(under, { stored, rings: [row.ring, row.ring], limit: Math.min(count, grantsAtOnce) })),
  ];
  for (let from = 0; from < ids.length; from += 500) {
    await db
      .updateTable("rollout_devices")
      .set({ granted_at: now })
      .where("rollout_id", "=", row.id)
      .where("device_id", "in", ids.slice(from, from + 500))
      .where("granted_at", "is", null)
      .execute();
  }
  if (ids.length > 0) {
    const told = { title: row.title, hotpatchId: row.hotpatch_id, ring: ringName(stored), devices: ids.length };
    await under.note("rollout-granted", `rollout:${row.id}`, told);
    await offerTo(under, random, { hotpatchId: row.hotpatch_id, deviceIds: ids });
  }
  const soonest = Math.min(
    now + lookMs,
    ...(row.state === "verifying" ? [Math.max(now, row.verify_until ?? now)] : []),
    nextAdmissionMs(opening, now) ?? Number.POSITIVE_INFINITY,
  );
  const more = ids.length >= grantsAtOnce || count > grantsAtOnce;
  await db
    .updateTable("rollouts")
    .set({ look_at: more ? now : soonest })
    .where("id", "=", row.id)
    .execute();
}

interface Waiting {
  readonly stored: StoredRollout;
  /** From the one to the other. */
  readonly rings: readonly [number, number];
  readonly limit: number;
}

async function waiting({ db }: Change, { stored, rings: [first, last], limit }: Waiting): Promise<string[]> {
  if (limit === 0 || last < first) return [];
  const rows = await db
    .selectFrom("rollout_devices")
    .innerJoin("devices", "devices.id", "rollout_devices.device_id")
    .select("device_id")
    .where("rollout_id", "=", stored.row.id)
    .where("granted_at", "is", null)
    .where("devices.state", "=", "enrolled")
    .where("ring", ">=", first)
    .where("ring", "<=", last)
    .orderBy("ring")
    .orderBy("position")
    .limit(limit)
    .execute();
  return rows.map(({ device_id }) => device_id);
}
