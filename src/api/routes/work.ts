/** Hotpatches, approvals and actions. */
import { Type } from "typebox";
import { Action, ActionRequest } from "../schemas/actions.ts";
import { Approval, approvalActions, NewApproval } from "../schemas/approvals.ts";
import { GroupId, HotpatchId, PageQuery, pageOf, record, Uuid, words } from "../schemas/basics.ts";
import { fleetReaders, route } from "./route-spec.ts";

export const workRoutes = {
  listApprovals: route({
    method: "GET",
    path: "/v1/approvals",
    caller: "person",
    roles: fleetReaders,
    scoped: true,
    summary: "approvals by id",
    query: record({
      ...PageQuery,
      hotpatchId: Type.Optional(HotpatchId),
      groupId: Type.Optional(GroupId),
      action: Type.Optional(words(approvalActions)),
    }),
    status: 200,
    response: pageOf(Approval),
  }),
  approve: route({
    method: "POST",
    path: "/v1/approvals",
    caller: "person",
    roles: ["approver"],
    scoped: true,
    summary:
      "decide of a hotpatch for a group: install offers it to every device in it, removal takes it back, not-approved keeps it off whatever is approved above",
    body: NewApproval,
    status: 201,
    response: Approval,
  }),
  removeApproval: route({
    method: "DELETE",
    path: "/v1/approvals/{approvalId}",
    caller: "person",
    roles: ["approver"],
    scoped: true,
    summary:
      "take an approval back, so that the group has what is approved above it; what has not begun is withdrawn, what is in place stays",
    params: record({ approvalId: Uuid }),
    status: 204,
  }),
  listActions: route({
    method: "GET",
    path: "/v1/actions",
    caller: "person",
    roles: fleetReaders,
    scoped: true,
    summary: "actions by id",
    query: record({
      ...PageQuery,
      deviceId: Type.Optional(Uuid),
      hotpatchId: Type.Optional(HotpatchId),
      state: Type.Optional(Action.properties.state),
    }),
    status: 200,
    response: pageOf(Action),
  }),
  getAction: route({
    method: "GET",
    path: "/v1/actions/{actionId}",
    caller: "person",
    roles: fleetReaders,
    scoped: true,
    summary: "one action",
    params: record({ actionId: Uuid }),
    status: 200,
    response: Action,
  }),
  requestAction: route({
    method: "POST",
    path: "/v1/actions/{actionId}/requests",
    caller: "person",
    roles: ["operator"],
    scoped: true,
    summary: "offer an action again, withdraw it, or have it reverted",
    params: record({ actionId: Uuid }),
    body: ActionRequest,
    status: 200,
    response: Action,
  }),
};
