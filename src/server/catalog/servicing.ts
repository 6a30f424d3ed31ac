/**
 * What groups opted into: the standard channel, previews, updates that leave the hotpatch track.
 *
 * A device is in its groups and in those above them.
 * It gets previews, or may leave the track, where any group of it says so; it is on the standard channel where any group of it says so, since nothing is then changed in memory.
 */
import type { Database } from "../database/tables.ts";

/** What the groups of a device say together. */
export interface Servicing {
  readonly channel: "hotpatch" | "standard";
  readonly preview: boolean;
  readonly mayLeaveTrack: boolean;
  /** The group that put it on the standard channel. */
  readonly standardBy?: string;
}

export const unchosen: Servicing = { channel: "hotpatch", preview: false, mayLeaveTrack: false };

/** Devices whose groups say nothing are not in the answer. */
export async function servicingOf(db: Database, deviceIds: readonly string[]): Promise<Map<string, Servicing>> {
  const rows = await db
    .selectFrom("group_servicing")
    .innerJoin("group_members", "group_members.group_id", "group_servicing.group_id")
    .select(["group_members.device_id as device", "group_servicing.group_id as by", "channel", "preview"])
    .select("may_leave_track as leave")
    .where("group_members.device_id", "in", [...deviceIds])
    .orderBy("group_servicing.group_id")
    .execute();
  const found = new Map<string, Servicing>();
  for (const { device, by, channel, preview, leave } of rows) {
    const before = found.get(device) ?? unchosen;
    const isStandard = channel === "standard" || before.channel === "standard";
    const standardBy = before.standardBy ?? (channel === "standard" ? by : undefined);
    found.set(device, {
      channel: isStandard ? "standard" : "hotpatch",
      preview: before.preview || preview === 1,
      mayLeaveTrack: before.mayLeaveTrack || leave === 1,
      ...(standardBy === undefined ? {} : { standardBy }),
    });
  }
  return found;
}
