/** Known issues, and the safeguard holds that keep affected devices off a hotpatch. */
import { pageOf, record } from "../schemas/basics.ts";
import {
  Hold,
  HoldId,
  HoldRelease,
  HoldSearch,
  IssueChange,
  IssueId,
  IssueSearch,
  KnownIssue,
  NewHold,
  NewIssue,
} from "../schemas/holds.ts";
import { catalogReaders, fleetReaders, route } from "./route-spec.ts";

const issueParams = record({ issueId: IssueId });
const holdParams = record({ holdId: HoldId });

export const holdRoutes = {
  listIssues: route({
    method: "GET",
    path: "/v1/issues",
    caller: "person",
    roles: catalogReaders,
    summary: "known issues by id, each with its history",
    query: IssueSearch,
    status: 200,
    response: pageOf(KnownIssue),
  }),
  makeIssue: route({
    method: "POST",
    path: "/v1/issues",
    caller: "person",
    roles: ["publisher"],
    summary: "make an issue known",
    body: NewIssue,
    status: 201,
    response: KnownIssue,
  }),
  getIssue: route({
    method: "GET",
    path: "/v1/issues/{issueId}",
    caller: "person",
    roles: catalogReaders,
    summary: "one known issue with its history",
    params: issueParams,
    status: 200,
    response: KnownIssue,
  }),
  changeIssue: route({
    method: "PATCH",
    path: "/v1/issues/{issueId}",
    caller: "person",
    roles: ["publisher"],
    summary:
      "change a known issue, and say why; resolved, its holds are released, or let the hotpatch pass that resolves it",
    params: issueParams,
    body: IssueChange,
    status: 200,
    response: KnownIssue,
  }),
  listHolds: route({
    method: "GET",
    path: "/v1/holds",
    caller: "person",
    roles: fleetReaders,
    summary: "safeguard holds by id",
    query: HoldSearch,
    status: 200,
    response: pageOf(Hold),
  }),
  makeHold: route({
    method: "POST",
    path: "/v1/holds",
    caller: "person",
    roles: ["operator"],
    summary: "keep hotpatches off the devices of a filter; what has not begun is withdrawn, what is in place stays",
    body: NewHold,
    status: 201,
    response: Hold,
  }),
  getHold: route({
    method: "GET",
    path: "/v1/holds/{holdId}",
    caller: "person",
    roles: fleetReaders,
    summary: "one safeguard hold",
    params: holdParams,
    status: 200,
    response: Hold,
  }),
  releaseHold: route({
    method: "POST",
    path: "/v1/holds/{holdId}/release",
    caller: "person",
    roles: ["operator"],
    summary: "release a hold, and say why; what is wanted is offered again",
    params: holdParams,
    body: HoldRelease,
    status: 200,
    response: Hold,
  }),
};
