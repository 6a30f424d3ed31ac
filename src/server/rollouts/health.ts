/** What agents notice of hotpatches that are in place: crashes, leaks and slowness count as signals of rollouts. */
import type { HealthReport } from "../../api/schemas/rollouts.ts";
import { change, type ServerContext } from "../context.ts";

/** The newest time counts, so that what was noticed before a grant does not speak against what came by it. */
export async function takeHealth(
  context: ServerContext,
  deviceId: string,
  { hotpatchId, signal, reason = "" }: HealthReport,
): Promise<void> {
  await change(
    context,
    async ({ db, now, note }) => {
      const known = await db
        .selectFrom("device_health")
        .select("reason")
        .where("device_id", "=", deviceId)
        .where("hotpatch_id", "=", hotpatchId)
        .where("signal", "=", signal)
        .executeTakeFirst();
      const row = { device_id: deviceId, hotpatch_id: hotpatchId, signal, reason, at: now };
      await db
        .insertInto("device_health")
        .values(row)
        .onConflict((conflict) =>
          conflict.columns(["device_id", "hotpatch_id", "signal"]).doUpdateSet({ reason, at: now }),
        )
        .execute();
      if (known?.reason !== reason) await note("device-health", `device:${deviceId}`, { hotpatchId, signal, reason });
    },
    { deviceId },
  );
}
