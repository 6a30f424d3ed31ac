/**
 * The operations that may wait for a second person: what each is about, and what of the present a confirmation rests on.
 *
 * Whoever adds a route that decides something for groups, such as starting a rollout, adds a row here, and its handler is guarded (docs/approvals.md).
 */
import type { Asked, RouteName } from "../../api/routes.ts";
import type { Database } from "../database/tables.ts";
import { storedPolicies } from "../policies/stored-policies.ts";
import type { Concern } from "./guarded.ts";

export interface Operation<Name extends RouteName> {
  /** What it is about; `membership` where it has to be tried to know whether a device slips out. Undefined: nothing that is guarded. */
  concern(db: Database, asked: Asked<Name>): Promise<Concern | "membership" | undefined>;
  /** What it changes or builds on, as it stands; another standing voids a request. */
  standing(db: Database, asked: Asked<Name>): Promise<unknown>;
  /** It reads the catalog. */
  readonly catalog?: true;
}

type Table = { readonly [Name in RouteName]?: Operation<Name> };

async function groupStanding(db: Database, groupIds: readonly string[]): Promise<unknown> {
  const groups = await db
    .selectFrom("groups")
    .select(["id", "parent_id", "filter"])
    .where("id", "in", [...groupIds])
    .orderBy("id")
    .execute();
  const exclusions = await db
    .selectFrom("group_exclusions")
    .selectAll()
    .where("group_id", "in", [...groupIds])
    .orderBy("group_id")
    .orderBy("excluded_id")
    .execute();
  return { groups, exclusions };
}

/** A pause says nothing of what is wanted, so that it voids no request. */
async function policyStanding(db: Database, policyId: string): Promise<unknown> {
  const [policy] = await storedPolicies(db, [policyId]);
  if (policy === undefined) return null;
  const { paused_until, pause_reason, ...row } = policy.row;
  return { row, groups: policy.groups, expedited: [...policy.expedited].toSorted() };
}

async function ofPolicy(db: Database, policyId: string): Promise<Concern> {
  const [policy] = await storedPolicies(db, [policyId]);
  return { policyIds: [policyId], groupIds: policy?.groups.map(({ groupId }) => groupId) ?? [] };
}

type Assigned = { readonly groupIds?: readonly string[]; readonly rings?: readonly { readonly groupId: string }[] };

function namedGroups({ groupIds = [], rings = [] }: Assigned): string[] {
  return [...groupIds, ...rings.map(({ groupId }) => groupId)];
}

async function approvalRow(db: Database, id: string) {
  return await db.selectFrom("approvals").selectAll().where("id", "=", id).executeTakeFirst();
}

async function approvalsOf(db: Database, hotpatchId: string) {
  return await db.selectFrom("approvals").selectAll().where("hotpatch_id", "=", hotpatchId).orderBy("id").execute();
}

async function ruleRow(db: Database, id: string) {
  return await db.selectFrom("approval_rules").selectAll().where("id", "=", id).executeTakeFirst();
}

async function ofRule(db: Database, ruleId: string): Promise<Concern | undefined> {
  const row = await ruleRow(db, ruleId);
  return row === undefined ? undefined : { groupIds: [row.group_id] };
}

const approvalOperations: Table = {
  approve: {
    concern: async (_db, { body }) => ({ groupIds: [body.groupId] }),
    standing: async (db, { body }) => [
      (await approvalsOf(db, body.hotpatchId)).filter((row) => row.group_id === body.groupId),
      await groupStanding(db, [body.groupId]),
    ],
    catalog: true,
  },
  removeApproval: {
    async concern(db, { params }) {
      const row = await approvalRow(db, params.approvalId);
      return row === undefined ? undefined : { groupIds: [row.group_id] };
    },
    standing: (db, { params }) => approvalRow(db, params.approvalId),
  },
  declineHotpatch: {
    concern: async () => ({ everywhere: true }),
    standing: (db, { params }) => approvalsOf(db, params.hotpatchId),
    catalog: true,
  },
  undoDecline: {
    concern: async () => ({ everywhere: true }),
    standing: (db, { params }) => approvalsOf(db, params.hotpatchId),
  },
  makeApprovalRule: {
    concern: async (_db, { body }) => ({ groupIds: [body.groupId] }),
    standing: (db, { body }) => groupStanding(db, [body.groupId]),
  },
  changeApprovalRule: {
    concern: (db, { params }) => ofRule(db, params.ruleId),
    standing: (db, { params }) => ruleRow(db, params.ruleId),
  },
  removeApprovalRule: {
    concern: (db, { params }) => ofRule(db, params.ruleId),
    standing: (db, { params }) => ruleRow(db, params.ruleId),
  },
  runApprovalRule: {
    concern: async (db, { params, body }) => (body.dryRun === true ? undefined : await ofRule(db, params.ruleId)),
    standing: (db, { params }) => ruleRow(db, params.ruleId),
    catalog: true,
  },
  changeApprovalSettings: {
    concern: async () => ({ everywhere: true }),
    standing: async () => null,
  },
  requestAction: {
    // An offer asks the gate; to withdraw what has not begun is to be careful.
    async concern(db, { params, body }) {
      if (body.event !== "revert") return undefined;
      const row = await db
        .selectFrom("actions")
        .select("device_id")
        .where("id", "=", params.actionId)
        .executeTakeFirst();
      return row === undefined ? undefined : { deviceId: row.device_id };
    },
    standing: (db, { params }) =>
      db
        .selectFrom("actions")
        .select(["device_id", "hotpatch_id"])
        .where("id", "=", params.actionId)
        .executeTakeFirst(),
  },
};

const policyOperations: Table = {
  makePolicy: {
    concern: async (_db, { body }) => ({ groupIds: namedGroups(body) }),
    standing: (db, { body }) => groupStanding(db, namedGroups(body)),
  },
  changePolicy: {
    async concern(db, { params, body }) {
      const { policyIds, groupIds = [] } = await ofPolicy(db, params.policyId);
      return { policyIds: policyIds ?? [], groupIds: [...groupIds, ...namedGroups(body)] };
    },
    standing: (db, { params }) => policyStanding(db, params.policyId),
  },
  removePolicy: {
    concern: (db, { params }) => ofPolicy(db, params.policyId),
    standing: (db, { params }) => policyStanding(db, params.policyId),
  },
  expedite: {
    concern: (db, { params }) => ofPolicy(db, params.policyId),
    standing: (db, { params }) => policyStanding(db, params.policyId),
    catalog: true,
  },
  endExpedite: {
    concern: (db, { params }) => ofPolicy(db, params.policyId),
    standing: (db, { params }) => policyStanding(db, params.policyId),
  },
};

async function rolloutRow(db: Database, rolloutId: string) {
  const columns = ["id", "hotpatch_id", "group_id", "spec_json", "state", "ring"] as const;
  return await db.selectFrom("rollouts").select(columns).where("id", "=", rolloutId).executeTakeFirst();
}

async function ofRollout(db: Database, rolloutId: string): Promise<Concern | undefined> {
  const row = await rolloutRow(db, rolloutId);
  return row === undefined ? undefined : { groupIds: [row.group_id] };
}

/** A draft does nothing, and to pause is to be careful. */
const rolloutOperations: Table = {
  startRollout: {
    concern: (db, { params }) => ofRollout(db, params.rolloutId),
    async standing(db, { params }) {
      const row = await rolloutRow(db, params.rolloutId);
      return [row, row === undefined ? null : await groupStanding(db, [row.group_id])];
    },
  },
  resumeRollout: {
    concern: (db, { params }) => ofRollout(db, params.rolloutId),
    standing: (db, { params }) => rolloutRow(db, params.rolloutId),
  },
  promoteRollout: {
    concern: (db, { params }) => ofRollout(db, params.rolloutId),
    standing: (db, { params }) => rolloutRow(db, params.rolloutId),
  },
  abortRollout: {
    concern: async (db, { params, body }) =>
      body.outcome === "keep" ? undefined : await ofRollout(db, params.rolloutId),
    standing: (db, { params }) => rolloutRow(db, params.rolloutId),
  },
  removeRollout: {
    concern: (db, { params }) => ofRollout(db, params.rolloutId),
    standing: (db, { params }) => rolloutRow(db, params.rolloutId),
  },
};

const membership = async () => "membership" as const;

const groupOperations: Table = {
  changeGroup: { concern: membership, standing: (db, { params }) => groupStanding(db, [params.groupId]) },
  removeGroup: { concern: membership, standing: (db, { params }) => groupStanding(db, [params.groupId]) },
  excludeGroup: { concern: membership, standing: (db, { params }) => groupStanding(db, [params.groupId]) },
  includeGroup: { concern: membership, standing: (db, { params }) => groupStanding(db, [params.groupId]) },
  addMember: { concern: membership, standing: (db, { params }) => groupStanding(db, [params.groupId]) },
  removeMember: { concern: membership, standing: (db, { params }) => groupStanding(db, [params.groupId]) },
  exceptDevice: { concern: membership, standing: (db, { params }) => groupStanding(db, [params.groupId]) },
  unexceptDevice: { concern: membership, standing: (db, { params }) => groupStanding(db, [params.groupId]) },
  tagDevice: {
    concern: membership,
    standing: (db, { params }) =>
      db.selectFrom("device_tags").select("tag").where("device_id", "=", params.deviceId).orderBy("tag").execute(),
  },
};

const ownOperations: Table = {
  // Once something asks for four eyes, more of them might bring in what one person decided elsewhere.
  requireFourEyes: { concern: async () => ({ everywhere: true }), standing: async () => null },
  releaseFourEyes: {
    concern: async () => ({ everywhere: true }),
    standing: (db, { params }) =>
      db
        .selectFrom("four_eyes")
        .selectAll()
        .where("kind", "=", params.kind)
        .where("subject", "=", params.subject)
        .executeTakeFirst(),
  },
};

export const operations: Table = {
  ...approvalOperations,
  ...policyOperations,
  ...rolloutOperations,
  ...groupOperations,
  ...ownOperations,
};
