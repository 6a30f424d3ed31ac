/** Blocks, and times in which something may begin, that end by themselves: at that instant the gates are asked again. */
import type { ScheduledTask } from "../schedule/task.ts";
import { endedOffers } from "./ends-of-offers.ts";
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
    return [...new Set([...rows.map(({ hotpatch_id }) => hotpatch_id), ...(await endedOffers(database, nowMs))])];
  },
  work: async (under, { random }, hotpatchId) => await offerEnded(under, random, hotpatchId),
};
