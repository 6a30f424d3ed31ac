/** Declined updates, rules that approve by themselves, and what is set for approvals. */
import { Type } from "typebox";
import {
  ApprovalRule,
  ApprovalRuleChange,
  ApprovalSettings,
  Declined,
  NewApprovalRule,
  NewDeclined,
  RuleRun,
} from "../schemas/approvals.ts";
import { HotpatchId, PageQuery, pageOf, record, Uuid } from "../schemas/basics.ts";
import { route } from "./route-spec.ts";

const pageQuery = record(PageQuery);
const hotpatchParams = record({ hotpatchId: HotpatchId });
const ruleParams = record({ ruleId: Uuid });

export const approvalRoutes = {
  listDeclined: route({
    method: "GET",
    path: "/v1/declined-hotpatches",
    caller: "administrator",
    summary: "hotpatches that are declined, by id",
    query: pageQuery,
    status: 200,
    response: pageOf(Declined),
  }),
  declineHotpatch: route({
    method: "PUT",
    path: "/v1/declined-hotpatches/{hotpatchId}",
    caller: "administrator",
    summary: "decline a hotpatch: it is offered nowhere, whatever is approved; what is in place stays",
    params: hotpatchParams,
    body: NewDeclined,
    status: 200,
    response: Declined,
  }),
  undoDecline: route({
    method: "DELETE",
    path: "/v1/declined-hotpatches/{hotpatchId}",
    caller: "administrator",
    summary: "decline it no longer; its approvals are in force again",
    params: hotpatchParams,
    status: 204,
  }),
  listApprovalRules: route({
    method: "GET",
    path: "/v1/approval-rules",
    caller: "administrator",
    summary: "rules that approve updates by themselves, by id",
    query: pageQuery,
    status: 200,
    response: pageOf(ApprovalRule),
  }),
  makeApprovalRule: route({
    method: "POST",
    path: "/v1/approval-rules",
    caller: "administrator",
    summary: "make a rule; it approves what arrives in the catalog from now on",
    body: NewApprovalRule,
    status: 201,
    response: ApprovalRule,
  }),
  changeApprovalRule: route({
    method: "PATCH",
    path: "/v1/approval-rules/{ruleId}",
    caller: "administrator",
    summary: "change the title of a rule, or switch it on or off",
    params: ruleParams,
    body: ApprovalRuleChange,
    status: 200,
    response: ApprovalRule,
  }),
  removeApprovalRule: route({
    method: "DELETE",
    path: "/v1/approval-rules/{ruleId}",
    caller: "administrator",
    summary: "remove a rule; what it has approved stays approved",
    params: ruleParams,
    status: 204,
  }),
  runApprovalRule: route({
    method: "POST",
    path: "/v1/approval-rules/{ruleId}/runs",
    caller: "administrator",
    summary: "have a rule approve what the catalog lists already; with dryRun only say what that is",
    params: ruleParams,
    body: record({ dryRun: Type.Optional(Type.Boolean()) }),
    status: 200,
    response: RuleRun,
  }),
  getApprovalSettings: route({
    method: "GET",
    path: "/v1/approval-settings",
    caller: "administrator",
    summary: "what is set for approvals",
    status: 200,
    response: ApprovalSettings,
  }),
  changeApprovalSettings: route({
    method: "PUT",
    path: "/v1/approval-settings",
    caller: "administrator",
    summary: "set what becomes of hotpatches that are superseded",
    body: ApprovalSettings,
    status: 200,
    response: ApprovalSettings,
  }),
};
