/**
 * Announcements: so many hours before hotpatches may begin on devices of a policy, an event says so, once for each such instant.
 *
 * What waits for a window has a block that says until when (src/server/policies/window-gate.ts), so this follows the time zones of devices and deadlines by itself.
 */
import type { Change } from "../context.ts";
import type { ScheduledTask } from "../schedule/task.ts";
import { storedPolicies } from "./stored-policies.ts";

const hourMs = 60 * 60 * 1000;
/** For how long it is kept in mind that something was announced. */
const keptMs = 24 * hourMs;
/** Of one event. */
const namedHotpatches = 20;

/** A piece is a policy and an instant. */
export const announcements: ScheduledTask = {
  name: "announcements of windows",
  async due({ database }, nowMs) {
    const rows = await database
      .selectFrom("offer_blocks as block")
      .innerJoin("policies as policy", "policy.id", "block.subject")
      .select(["policy.id", "block.until_at"])
      .distinct()
      .where("block.code", "=", "window/closed")
      .where("policy.announce_hours", ">", 0)
      .where("block.until_at", ">", nowMs)
      .where("block.until_at", "<=", (is) => is(is.val(nowMs), "+", is("policy.announce_hours", "*", is.val(hourMs))))
      .where((is) =>
        is.not(
          is.exists(
            is
              .selectFrom("window_announcements as told")
              .select("told.begins_at")
              .whereRef("told.policy_id", "=", "policy.id")
              .whereRef("told.begins_at", "=", "block.until_at"),
          ),
        ),
      )
      .execute();
    return rows.map(({ id, until_at }) => `${id} ${until_at}`);
  },
  async work(under, _context, piece) {
    const [policyId = "", beginsAt = ""] = piece.split(" ");
    await announce(under, policyId, Number(beginsAt));
  },
};

async function announce({ db, now, note }: Change, policyId: string, beginsAt: number): Promise<void> {
  const [policy] = await storedPolicies(db, [policyId]);
  if (policy === undefined) return;
  const waiting = await db
    .selectFrom("offer_blocks")
    .select(["hotpatch_id", ({ fn }) => fn.count<number>("device_id").as("devices")])
    .where("code", "=", "window/closed")
    .where("subject", "=", policyId)
    .where("until_at", "=", beginsAt)
    .groupBy("hotpatch_id")
    .orderBy("hotpatch_id")
    .execute();
  if (waiting.length === 0) return;
  const { devices } = await db
    .selectFrom("offer_blocks")
    .select(({ fn }) => fn.count<number>("device_id").distinct().as("devices"))
    .where("code", "=", "window/closed")
    .where("subject", "=", policyId)
    .where("until_at", "=", beginsAt)
    .executeTakeFirstOrThrow();
  await db
    .deleteFrom("window_announcements")
    .where("begins_at", "<", now - keptMs)
    .execute();
  const { numInsertedOrUpdatedRows: inserted } = await db
    .insertInto("window_announcements")
    .values({ policy_id: policyId, begins_at: beginsAt, announced_at: now })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirstOrThrow();
  if (Number(inserted) === 0) return;
  await note("window-announced", `policy:${policyId}`, {
    ...{ title: policy.row.title, beginsAt: new Date(beginsAt).toISOString(), devices: Number(devices) },
    hotpatchIds: waiting.slice(0, namedHotpatches).map(({ hotpatch_id }) => hotpatch_id),
  });
}
