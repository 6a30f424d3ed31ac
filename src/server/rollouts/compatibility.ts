/** Which devices of a group can take a hotpatch as they are now, and what keeps it from the others. */
import type { Compatibility } from "../../api/schemas/rollouts.ts";
import { requireHotpatch } from "../catalog/catalog.ts";
import type { ServerContext } from "../context.ts";
import { requireGroup } from "../groups/groups.ts";
import { askGates, candidateKey } from "../offers/gates.ts";
import { devicesAtOnce, gatesBeside } from "./rollout-devices.ts";

/** By the gates as they answer now. Refuses as the catalog does; throws `request/not-found`. */
export async function compatibilityOf(
  { database, clock, catalog }: ServerContext,
  asked: { readonly hotpatchId: string; readonly groupId: string },
): Promise<Compatibility> {
  const { hotpatchId, groupId } = asked;
  await requireHotpatch(catalog, hotpatchId);
  await requireGroup(database, groupId);
  const blocked = new Map<string, Compatibility["blocked"][number]>();
  let [devices, ready] = [0, 0];
  for (let after = ""; ; ) {
    const rows = await database
      .selectFrom("group_members")
      .innerJoin("devices", "devices.id", "group_members.device_id")
      .select("devices.id")
      .where("group_members.group_id", "=", groupId)
      .where("devices.state", "=", "enrolled")
      .where("devices.id", ">", after)
      .orderBy("devices.id")
      .limit(devicesAtOnce)
      .execute();
    const candidates = rows.map(({ id: deviceId }) => ({ deviceId, hotpatchId }));
    const blocks = await askGates(database, clock().getTime(), { gates: gatesBeside, candidates });
    for (const candidate of candidates) {
      devices += 1;
      const [first] = blocks.get(candidateKey(candidate)) ?? [];
      if (first === undefined) {
        ready += 1;
        continue;
      }
      const { code, reason, helps } = first;
      // Of one code there are as many reasons as there are facts that are missing.
      const key = `${code} ${reason}`;
      const known = blocked.get(key) ?? { code, reason, helps, devices: 0 };
      blocked.set(key, { ...known, devices: known.devices + 1 });
    }
    const last = rows.at(-1);
    if (last === undefined || rows.length < devicesAtOnce) break;
    after = last.id;
  }
  const sorted = [...blocked.values()].toSorted((a, b) => b.devices - a.devices);
  return { hotpatchId, groupId, devices, ready, blocked: sorted };
}
