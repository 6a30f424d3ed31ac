/**
 * What approvals come to, as rules without a database; where WSUS has a rule, it is that one.
 *
 * On one line of the tree the nearest decision counts: a group without one has that of the nearest group above it.
 * In one group a person's decision counts before what a rule, a policy or a rollout decided.
 * What is decided for a group counts for devices that are in it: who is left out of it has it not, though he is in a group below.
 * A device in several groups of which none stands above another: install counts before removal, removal before not approved, and of deadlines the earliest.
 * A declined hotpatch is decided for no group.
 */
import type { ApprovalAction, ApprovalSource } from "../../api/schemas/approvals.ts";

export interface Decision {
  readonly action: ApprovalAction;
  /** Of `install` alone. */
  readonly deadlineMs: number | null;
}

export interface GroupApproval extends Decision {
  readonly groupId: string;
  readonly source: ApprovalSource;
}

export interface TreeNode {
  readonly id: string;
  readonly parentId: string | null;
}

const weight: Readonly<Record<ApprovalAction, number>> = { install: 2, removal: 1, "not-approved": 0 };

/** Of decisions that stand side by side, the one that counts; undefined of none. */
export function strongest<One extends Decision>(decisions: readonly One[]): One | undefined {
  return decisions.reduce<One | undefined>((best, one) => {
    if (best === undefined || weight[one.action] > weight[best.action]) return one;
    if (weight[one.action] < weight[best.action]) return best;
    return earliest(one.deadlineMs, best.deadlineMs) === best.deadlineMs ? best : one;
  }, undefined);
}

function earliest(left: number | null, right: number | null): number | null {
  if (left === null || right === null) return left ?? right;
  return Math.min(left, right);
}

/** Of a group, by itself or from the group above that it was decided for. */
export interface GroupDecision extends Decision {
  readonly decidedFor: string;
}

function inOneGroup(approvals: readonly GroupApproval[]): Decision | undefined {
  return approvals.find(({ source }) => source === "person") ?? strongest(approvals);
}

/** What each group has in the end, of one hotpatch; groups without any decision are left out. */
export function decisionsOfGroups(
  tree: readonly TreeNode[],
  approvals: readonly GroupApproval[],
): Map<string, GroupDecision> {
  const own = Map.groupBy(approvals, ({ groupId }) => groupId);
  const nodes = new Map(tree.map((node) => [node.id, node]));
  const decided = new Map<string, GroupDecision | undefined>();
  const decisionOf = (id: string): GroupDecision | undefined => {
    if (decided.has(id)) return decided.get(id);
    const parentId = nodes.get(id)?.parentId ?? null;
    const here = inOneGroup(own.get(id) ?? []);
    const inherited = parentId === null ? undefined : decisionOf(parentId);
    const decision = here === undefined ? inherited : { ...here, decidedFor: id };
    decided.set(id, decision);
    return decision;
  };
  for (const { id } of tree) decisionOf(id);
  return new Map([...decided].flatMap(([id, decision]) => (decision === undefined ? [] : [[id, decision] as const])));
}

/** What a device has in the end: of the groups that it is in, those below which it is in no other one speak. */
export function decisionOfDevice(
  tree: readonly TreeNode[],
  groups: ReadonlySet<string>,
  decisions: ReadonlyMap<string, GroupDecision>,
): Decision | undefined {
  const above = new Set(tree.flatMap(({ id, parentId }) => (groups.has(id) && parentId !== null ? [parentId] : [])));
  const lowest = [...groups].filter((id) => !above.has(id));
  return strongest(lowest.flatMap((id) => decisions.get(id) ?? []).filter(({ decidedFor }) => groups.has(decidedFor)));
}
