/** Requests that nobody decided in time end by themselves. */
import type { ScheduledTask } from "../schedule/task.ts";

/** A piece is a request. */
export const endsOfRequests: ScheduledTask = {
  name: "ends of requests",
  async due({ database }, nowMs) {
    const rows = await database
      .selectFrom("approval_requests")
      .select("id")
      .where("state", "=", "waiting")
      .where("expires_at", "<=", nowMs)
      .limit(100)
      .execute();
    return rows.map(({ id }) => id);
  },
  async work({ db, now, note }, _context, id) {
    const { numUpdatedRows } = await db
      .updateTable("approval_requests")
      .set({ state: "expired", decided_at: now })
      .where("id", "=", id)
      .where("state", "=", "waiting")
      .executeTakeFirst();
    if (numUpdatedRows > 0n) await note("request-expired", `request:${id}`);
  },
};
