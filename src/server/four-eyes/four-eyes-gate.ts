/**
 * The gate of four eyes: a device of a guarded group takes only what a second person has confirmed.
 *
 * It stands behind the requests, for the ways that no request can see: a device that joins a group for which something was decided by one person.
 */
import type { Database } from "../database/tables.ts";
import { type Block, type Candidate, candidateKey, type Gate } from "../offers/gates.ts";
import { guarded } from "./guarded.ts";

const block: Block = {
  code: "approval/second-person",
  reason: "One person alone has decided this, and the device is in a group that asks for two.",
  helps: "Approve it for a group of the device that asks for four eyes, and have a second person confirm that.",
};

export const fourEyesGate: Gate = async (db, _now, candidates) => {
  const blocks = new Map<string, Block>();
  const where = await guarded(db);
  if (where === undefined || candidates.length === 0) return blocks;
  const rows = await db
    .selectFrom("group_members")
    .select("device_id")
    .distinct()
    .where("group_id", "in", [...where.groupIds])
    .where("device_id", "in", [...new Set(candidates.map(({ deviceId }) => deviceId))])
    .execute();
  const inside = new Set(rows.map(({ device_id }) => device_id));
  const concerned = candidates.filter(({ deviceId }) => inside.has(deviceId));
  const passes = await confirmedFor(db, concerned);
  for (const candidate of concerned) {
    const key = candidateKey(candidate);
    if (!passes.has(key)) blocks.set(key, block);
  }
  return blocks;
};

/** The keys of candidates for which a decision that counts on the device was confirmed. */
async function confirmedFor(db: Database, candidates: readonly Candidate[]): Promise<Set<string>> {
  if (candidates.length === 0) return new Set();
  const hotpatchIds = [...new Set(candidates.map(({ hotpatchId }) => hotpatchId))];
  const groups = await confirmedGroups(db, hotpatchIds);
  // The nearest decision alone counts, as in the view `device_decisions`.
  const rows = await db
    .selectFrom("group_members as member")
    .innerJoin("group_decisions as decision", "decision.group_id", "member.group_id")
    .select(["member.device_id", "decision.hotpatch_id", "decision.decided_for"])
    .where("member.device_id", "in", [...new Set(candidates.map(({ deviceId }) => deviceId))])
    .where("decision.hotpatch_id", "in", hotpatchIds)
    .where("decision.action", "=", "install")
    .where((is) =>
      is.not(
        is.exists(
          is
            .selectFrom("group_members as lower")
            .innerJoin("groups", "groups.id", "lower.group_id")
            .select("lower.group_id")
            .whereRef("lower.device_id", "=", "member.device_id")
            .whereRef("groups.parent_id", "=", "member.group_id"),
        ),
      ),
    )
    .execute();
  return new Set(
    rows
      .filter((row) => groups.has(`${row.hotpatch_id} ${row.decided_for}`))
      .map((row) => candidateKey({ deviceId: row.device_id, hotpatchId: row.hotpatch_id })),
  );
}

/** As `HOTPATCH GROUP`: where an installation was decided and confirmed. */
async function confirmedGroups(db: Database, hotpatchIds: readonly string[]): Promise<Set<string>> {
  const approvals = await db
    .selectFrom("approvals")
    .selectAll()
    .where("hotpatch_id", "in", [...hotpatchIds])
    .where("action", "=", "install")
    .execute();
  const subjectsOf = ({ id, source, source_id }: (typeof approvals)[number]) => [
    `approval:${id}`,
    `${source === "expedite" ? "policy" : source}:${source_id}`,
  ];
  const rows = await db
    .selectFrom("confirmed_subjects")
    .select("subject")
    .where("subject", "in", approvals.flatMap(subjectsOf))
    .execute();
  const confirmed = new Set(rows.map(({ subject }) => subject));
  return new Set(
    approvals
      .filter((row) => subjectsOf(row).some((subject) => confirmed.has(subject)))
      .map((row) => `${row.hotpatch_id} ${row.group_id}`),
  );
}
