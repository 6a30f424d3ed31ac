/** Approvals, declined updates and the rules that approve by themselves. */
import * as approvals from "../../approvals/approvals.ts";
import * as rules from "../../approvals/rules.ts";
import * as superseded from "../../approvals/superseded.ts";
import { type Handlers, nameOf } from "../handler.ts";

type Names =
  | "listApprovals"
  | "approve"
  | "removeApproval"
  | keyof typeof import("../../../api/routes/approvals.ts").approvalRoutes;

export const approvalHandlers: Pick<Handlers, Names> = {
  listApprovals: ({ database, reach }, { query }) => approvals.listApprovals(database, query, reach),
  approve: (context, { body }, caller) => approvals.approve(context, body, nameOf(caller)),
  removeApproval: async (context, { params }) => {
    await approvals.removeApproval(context, params.approvalId);
    return undefined;
  },
  listDeclined: ({ database }, { query }) => superseded.listDeclined(database, query),
  declineHotpatch: (context, { params, body }, caller) =>
    superseded.declineHotpatch(context, params.hotpatchId, { reason: body.reason ?? "", by: nameOf(caller) }),
  undoDecline: async (context, { params }) => {
    await superseded.undoDecline(context, params.hotpatchId);
    return undefined;
  },
  listApprovalRules: ({ database }, { query }) => rules.listRules(database, query),
  makeApprovalRule: (context, { body }, caller) => rules.makeRule(context, body, nameOf(caller)),
  changeApprovalRule: (context, { params, body }) => rules.changeRule(context, params.ruleId, body),
  removeApprovalRule: async (context, { params }) => {
    await rules.removeRule(context, params.ruleId);
    return undefined;
  },
  runApprovalRule: (context, { params, body }) =>
    rules.runRule(context, params.ruleId, { dryRun: body.dryRun ?? false }),
  getApprovalSettings: ({ database }) => superseded.approvalSettings(database),
  changeApprovalSettings: (context, { body }) => superseded.changeApprovalSettings(context, body),
};
