/** Blocks that end by themselves: at that instant the gates are asked again. */
import type { ScheduledTask } from "../schedule/task.ts";
import { offerEnded } from "./offers.ts";

/** A piece is a hotpatch. */
export const endsOfBlocks: ScheduledTask = {
  name: "ends of blocks",
  async due({ database }, nowMs) {
    const rows = await database
      .selectFrom("offer_blocks")
      .select("hotpatch_id")
      .distinct()
      .where("until_at", "<=", nowMs)
      .execute();
    return rows.map(({ hotpatch_id }) => hotpatch_id);
  },
  work: async (under, { random }, hotpatchId) => await offerEnded(under, random, hotpatchId),
};
