/** Four eyes: where a second person has to confirm, and the requests that wait for one. */
import { Type } from "typebox";
import { PageQuery, pageOf, record, Uuid, words } from "../schemas/basics.ts";
import {
  ApprovalRequest,
  Confirmation,
  FourEyes,
  GivenReason,
  Rejection,
  requestStates,
  requirementKinds,
} from "../schemas/four-eyes.ts";
import { fleetReaders, route } from "./route-spec.ts";

const requestParams = record({ requestId: Uuid });
const requirementParams = record({
  kind: words(requirementKinds),
  subject: Type.String({ minLength: 1, maxLength: 63 }),
});

export const fourEyesRoutes = {
  listFourEyes: route({
    method: "GET",
    path: "/v1/four-eyes",
    caller: "person",
    roles: [...fleetReaders, "administrator"],
    summary: "the groups and policies that a second person has to confirm changes of",
    status: 200,
    response: record({ items: Type.Array(FourEyes) }),
  }),
  requireFourEyes: route({
    method: "PUT",
    path: "/v1/four-eyes/{kind}/{subject}",
    caller: "person",
    roles: ["administrator"],
    summary: "have a second person confirm what is decided for a group and those below it, or for a policy",
    params: requirementParams,
    body: record({ reason: GivenReason }),
    status: 200,
    response: FourEyes,
  }),
  releaseFourEyes: route({
    method: "DELETE",
    path: "/v1/four-eyes/{kind}/{subject}",
    caller: "person",
    roles: ["administrator"],
    summary: "have it confirmed no longer; a second person has to confirm that",
    params: requirementParams,
    status: 204,
  }),
  listApprovalRequests: route({
    method: "GET",
    path: "/v1/approval-requests",
    caller: "person",
    roles: [...fleetReaders, "administrator"],
    summary: "what waits for a second person, and what became of it, by id",
    query: record({ ...PageQuery, state: Type.Optional(words(requestStates)) }),
    status: 200,
    response: pageOf(ApprovalRequest),
  }),
  getApprovalRequest: route({
    method: "GET",
    path: "/v1/approval-requests/{requestId}",
    caller: "person",
    roles: [...fleetReaders, "administrator"],
    summary: "one request",
    params: requestParams,
    status: 200,
    response: ApprovalRequest,
  }),
  confirmApprovalRequest: route({
    method: "POST",
    path: "/v1/approval-requests/{requestId}/confirmation",
    caller: "person",
    roles: ["operator", "approver", "administrator"],
    interactive: true,
    summary: "confirm what another person asked for, which does it; takes the roles that doing it oneself would take",
    params: requestParams,
    body: Confirmation,
    status: 200,
    response: ApprovalRequest,
  }),
  rejectApprovalRequest: route({
    method: "POST",
    path: "/v1/approval-requests/{requestId}/rejection",
    caller: "person",
    roles: ["operator", "approver", "administrator"],
    interactive: true,
    summary: "reject a request; one person is enough, and it may be one's own",
    params: requestParams,
    body: Rejection,
    status: 200,
    response: ApprovalRequest,
  }),
};
