/** Counts the devices of a rollout that are alike in what its figures are made of, by one query. */
import type { ExpressionBuilder } from "kysely";
import type { HealthSignal, RolloutSpec } from "../../api/schemas/rollouts.ts";
import type { Database, Tables } from "../database/tables.ts";
import type { Alike } from "./outcomes.ts";

const hourMs = 60 * 60 * 1000;

interface Asked {
  readonly row: Pick<Tables["rollouts"], "id" | "hotpatch_id">;
  readonly spec: Pick<RolloutSpec, "silentHours">;
  readonly nowMs: number;
}

type Counted = ExpressionBuilder<Tables, "rollout_devices" | "devices">;

/** What was noticed before the grant is not about it. */
function noticed(is: Counted, hotpatchId: string, signal: HealthSignal) {
  const rows = is
    .selectFrom("device_health")
    .select("device_health.device_id")
    .whereRef("device_health.device_id", "=", "rollout_devices.device_id")
    .where("device_health.hotpatch_id", "=", hotpatchId)
    .where("device_health.signal", "=", signal)
    .whereRef("device_health.at", ">=", "rollout_devices.granted_at");
  return is.case().when(is.exists(rows)).then(1).else(0).end();
}

function isIneligible(is: Counted, hotpatchId: string) {
  const rows = is
    .selectFrom("offer_blocks")
    .select("offer_blocks.device_id")
    .whereRef("offer_blocks.device_id", "=", "rollout_devices.device_id")
    .where("offer_blocks.hotpatch_id", "=", hotpatchId)
    .where("offer_blocks.code", "in", ["eligibility/unmet", "eligibility/unknown"]);
  return is.case().when(is.exists(rows)).then(1).else(0).end();
}

function isSilent(is: Counted, before: number) {
  const unseen = is.or([is("devices.last_seen_at", "is", null), is("devices.last_seen_at", "<=", before)]);
  return is
    .case()
    .when(is.and([is("rollout_devices.granted_at", "<=", before), unseen]))
    .then(1)
    .else(0)
    .end();
}

/** Of devices that are enrolled. */
export async function alikeDevices(db: Database, { row, spec, nowMs }: Asked): Promise<Alike[]> {
  const { id, hotpatch_id: hotpatchId } = row;
  const each = db
    .selectFrom("rollout_devices")
    .innerJoin("devices", "devices.id", "rollout_devices.device_id")
    .leftJoin("actions", (join) =>
      join.onRef("actions.device_id", "=", "rollout_devices.device_id").on("actions.hotpatch_id", "=", hotpatchId),
    )
    .select(["rollout_devices.ring as ring", "actions.state as done", "actions.taken_back_by as back"])
    .select((is) => [
      is.case().when("rollout_devices.granted_at", "is not", null).then(1).else(0).end().as("granted"),
      noticed(is as unknown as Counted, hotpatchId, "crashed").as("crashed"),
      noticed(is as unknown as Counted, hotpatchId, "leaking").as("leaking"),
      noticed(is as unknown as Counted, hotpatchId, "slower").as("slower"),
      isIneligible(is as unknown as Counted, hotpatchId).as("ineligible"),
      isSilent(is as unknown as Counted, nowMs - spec.silentHours * hourMs).as("silent"),
    ])
    .where("rollout_devices.rollout_id", "=", id)
    .where("devices.state", "=", "enrolled");
  const alike = ["ring", "done", "back", "granted", "crashed", "leaking", "slower", "ineligible", "silent"] as const;
  const rows = await db
    .selectFrom(each.as("each_device"))
    .select([...alike])
    .select(({ fn }) => fn.countAll<number>().as("count"))
    .groupBy([...alike])
    .execute();
  return rows.map((one) => ({
    ...{ ring: one.ring, count: Number(one.count), granted: one.granted === 1, state: one.done },
    ...{ byGuard: one.back === "guard", crashed: one.crashed === 1, leaking: one.leaking === 1 },
    ...{ slower: one.slower === 1, ineligible: one.ineligible === 1, silent: one.silent === 1 },
  }));
}
