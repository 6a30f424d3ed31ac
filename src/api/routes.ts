/**
 * The one table of what can be asked of the server, and by whom.
 *
 * The server registers these routes and no others, the OpenAPI document is printed from them, and the test of permissions goes through them.
 * Paths are written as OpenAPI writes them, with `{name}` for a parameter.
 */
import { type Static, type TObject, type TSchema, Type } from "typebox";
import { apiLimits } from "./api-limits.ts";
import * as s from "./schemas.ts";

/** `nobody`: needs no credentials. `agent`: the certificate of an enrolled device. `administrator`: a session, or the local socket. */
export const callers = ["nobody", "agent", "administrator"] as const;
export type Caller = (typeof callers)[number];

export interface RouteSpec {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly path: string;
  readonly caller: Caller;
  readonly summary: string;
  readonly params?: TObject;
  readonly query?: TObject;
  readonly body?: TSchema;
  readonly status: 200 | 201 | 204 | 303;
  /** Absent where the answer has no JSON body. */
  readonly response?: TSchema;
  /** The answer's media type where it is not JSON. */
  readonly mediaType?: string;
  /** Counts against `attemptsPerMinute`. */
  readonly limited?: true;
}

function route<const Spec extends RouteSpec>(spec: Spec): Spec {
  return spec;
}

const deviceParams = s.record({ deviceId: s.Uuid });
const groupParams = s.record({ groupId: s.GroupId });
const memberParams = s.record({ groupId: s.GroupId, deviceId: s.Uuid });
const pageQuery = s.record(s.PageQuery);
const Sequence = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });

const open = {
  openapi: route({
    method: "GET",
    path: "/v1/openapi.json",
    caller: "nobody",
    summary: "this interface as an OpenAPI 3.1 document",
    status: 200,
    response: Type.Record(Type.String(), Type.Unknown()),
  }),
  authority: route({
    method: "GET",
    path: "/v1/authority",
    caller: "nobody",
    summary: "the certificate of the server's authority; an enrolment token carries its SHA-256",
    status: 200,
    response: s.Authority,
  }),
  enrol: route({
    method: "POST",
    path: "/v1/enrol",
    caller: "nobody",
    summary: "make this machine a device, with a token that works once",
    body: s.EnrolmentRequest,
    status: 201,
    response: s.Enrolment,
    limited: true,
  }),
  signIn: route({
    method: "GET",
    path: "/v1/sign-in",
    caller: "nobody",
    summary: "exchange a sign-in link, which works once, for a session",
    query: s.record({ token: Type.String({ minLength: 1, maxLength: 256 }) }),
    status: 303,
    limited: true,
  }),
};

const agent = {
  renewCertificate: route({
    method: "POST",
    path: "/v1/agent/certificate",
    caller: "agent",
    summary: "a new certificate for this device",
    body: s.RenewalRequest,
    status: 201,
    response: s.Enrolment,
  }),
  changeFacts: route({
    method: "PATCH",
    path: "/v1/agent/facts",
    caller: "agent",
    summary: "what changed among the facts of this device",
    body: s.FactsChange,
    status: 200,
    response: s.record({ revision: Type.Integer({ minimum: 0 }) }),
  }),
  poll: route({
    method: "GET",
    path: "/v1/agent/actions",
    caller: "agent",
    summary: "what this device has to do; waits while nothing is newer than `after`",
    query: s.record({
      after: Type.Optional(Sequence),
      waitMs: Type.Optional(Type.Integer({ minimum: 0, maximum: apiLimits.pollMs })),
    }),
    status: 200,
    response: s.Assignment,
  }),
  report: route({
    method: "POST",
    path: "/v1/agent/reports",
    caller: "agent",
    summary: "a step of an action; sent again under its key, it counts once",
    body: s.Report,
    status: 200,
    response: s.Action,
  }),
  leave: route({
    method: "POST",
    path: "/v1/agent/departure",
    caller: "agent",
    summary: "this device leaves for good; its certificate is good for nothing afterwards",
    status: 200,
    response: s.Device,
  }),
  trust: route({
    method: "GET",
    path: "/v1/agent/trust",
    caller: "agent",
    summary: "what a machine pins at its enrolment: the catalog's root and the authors of hotpatches",
    status: 200,
    response: s.Trust,
  }),
  catalogMetadata: route({
    method: "GET",
    path: "/v1/catalog/metadata/{metadataFile}",
    caller: "agent",
    summary: "a metadata file of the catalog (TUF), as it is; the agent verifies it",
    params: s.record({
      metadataFile: Type.String({ pattern: "^([1-9][0-9]{0,14}\\.)?[a-z][a-z0-9-]{0,62}\\.json$" }),
    }),
    status: 200,
    mediaType: "application/octet-stream",
  }),
  catalogHotpatch: route({
    method: "GET",
    path: "/v1/catalog/targets/hotpatches/{hotpatchFile}",
    caller: "agent",
    summary: "a hotpatch of the catalog, as it is; the agent verifies it",
    params: s.record({
      hotpatchFile: Type.String({ pattern: "^[0-9a-f]{64}\\.[0-9A-Za-z][0-9A-Za-z._@+-]{0,159}\\.hotpatch$" }),
    }),
    status: 200,
    mediaType: "application/octet-stream",
  }),
};

const people = {
  session: route({
    method: "GET",
    path: "/v1/session",
    caller: "administrator",
    summary: "who is signed in, and until when",
    status: 200,
    response: s.Session,
  }),
  signOut: route({
    method: "DELETE",
    path: "/v1/session",
    caller: "administrator",
    summary: "end this session",
    status: 204,
  }),
  makeSignInLink: route({
    method: "POST",
    path: "/v1/sign-in-links",
    caller: "administrator",
    summary: "a link that signs an administrator in, once",
    status: 201,
    response: s.SignInLink,
  }),
  makeToken: route({
    method: "POST",
    path: "/v1/enrolment-tokens",
    caller: "administrator",
    summary: "a token that enrols one machine",
    body: s.TokenRequest,
    status: 201,
    response: s.EnrolmentToken,
  }),
};

const devices = {
  listDevices: route({
    method: "GET",
    path: "/v1/devices",
    caller: "administrator",
    summary: "devices by id",
    query: pageQuery,
    status: 200,
    response: s.pageOf(s.Device),
  }),
  getDevice: route({
    method: "GET",
    path: "/v1/devices/{deviceId}",
    caller: "administrator",
    summary: "one device",
    params: deviceParams,
    status: 200,
    response: s.Device,
  }),
  getFacts: route({
    method: "GET",
    path: "/v1/devices/{deviceId}/facts",
    caller: "administrator",
    summary: "what a device told of itself",
    params: deviceParams,
    status: 200,
    response: s.DeviceFacts,
  }),
  revokeDevice: route({
    method: "POST",
    path: "/v1/devices/{deviceId}/revocation",
    caller: "administrator",
    summary: "cut a device off for good",
    params: deviceParams,
    status: 200,
    response: s.Device,
  }),
};

const groups = {
  listGroups: route({
    method: "GET",
    path: "/v1/groups",
    caller: "administrator",
    summary: "groups by id",
    query: pageQuery,
    status: 200,
    response: s.pageOf(s.Group),
  }),
  makeGroup: route({
    method: "POST",
    path: "/v1/groups",
    caller: "administrator",
    summary: "make a group",
    body: s.NewGroup,
    status: 201,
    response: s.Group,
  }),
  removeGroup: route({
    method: "DELETE",
    path: "/v1/groups/{groupId}",
    caller: "administrator",
    summary: "remove a group with its approvals; what has not begun is withdrawn",
    params: groupParams,
    status: 204,
  }),
  listMembers: route({
    method: "GET",
    path: "/v1/groups/{groupId}/devices",
    caller: "administrator",
    summary: "the devices of a group",
    params: groupParams,
    query: pageQuery,
    status: 200,
    response: s.pageOf(s.Device),
  }),
  addMember: route({
    method: "PUT",
    path: "/v1/groups/{groupId}/devices/{deviceId}",
    caller: "administrator",
    summary: "put a device into a group",
    params: memberParams,
    status: 204,
  }),
  removeMember: route({
    method: "DELETE",
    path: "/v1/groups/{groupId}/devices/{deviceId}",
    caller: "administrator",
    summary: "take a device out of a group; what has not begun is withdrawn",
    params: memberParams,
    status: 204,
  }),
};

const work = {
  listHotpatches: route({
    method: "GET",
    path: "/v1/hotpatches",
    caller: "administrator",
    summary: "the hotpatches of the catalog, verified, by id",
    query: pageQuery,
    status: 200,
    response: s.pageOf(s.Hotpatch),
  }),
  listApprovals: route({
    method: "GET",
    path: "/v1/approvals",
    caller: "administrator",
    summary: "approvals by id",
    query: pageQuery,
    status: 200,
    response: s.pageOf(s.Approval),
  }),
  approve: route({
    method: "POST",
    path: "/v1/approvals",
    caller: "administrator",
    summary: "approve a hotpatch for a group, which offers it to every device in it",
    body: s.NewApproval,
    status: 201,
    response: s.Approval,
  }),
  removeApproval: route({
    method: "DELETE",
    path: "/v1/approvals/{approvalId}",
    caller: "administrator",
    summary: "take an approval back; what has not begun is withdrawn, what is in place stays",
    params: s.record({ approvalId: s.Uuid }),
    status: 204,
  }),
  listActions: route({
    method: "GET",
    path: "/v1/actions",
    caller: "administrator",
    summary: "actions by id",
    query: s.record({
      ...s.PageQuery,
      deviceId: Type.Optional(s.Uuid),
      hotpatchId: Type.Optional(s.HotpatchId),
      state: Type.Optional(s.Action.properties.state),
    }),
    status: 200,
    response: s.pageOf(s.Action),
  }),
  getAction: route({
    method: "GET",
    path: "/v1/actions/{actionId}",
    caller: "administrator",
    summary: "one action",
    params: s.record({ actionId: s.Uuid }),
    status: 200,
    response: s.Action,
  }),
  requestAction: route({
    method: "POST",
    path: "/v1/actions/{actionId}/requests",
    caller: "administrator",
    summary: "offer an action again, withdraw it, or have it reverted",
    params: s.record({ actionId: s.Uuid }),
    body: s.ActionRequest,
    status: 200,
    response: s.Action,
  }),
};

const events = {
  listEvents: route({
    method: "GET",
    path: "/v1/events",
    caller: "administrator",
    summary: "events, oldest first: the first ones behind a sequence number, or the last ones `before` one",
    query: s.record({
      after: Type.Optional(Sequence),
      before: Type.Optional(Sequence),
      limit: s.PageQuery.limit,
    }),
    status: 200,
    response: s.record({ items: Type.Array(s.Event) }),
  }),
  streamEvents: route({
    method: "GET",
    path: "/v1/events/stream",
    caller: "administrator",
    summary: "events as they happen, as server-sent events whose id is the sequence number",
    query: s.record({ after: Type.Optional(Sequence) }),
    status: 200,
    mediaType: "text/event-stream",
  }),
};

export const routes = { ...open, ...agent, ...people, ...devices, ...groups, ...work, ...events };
export type RouteName = keyof typeof routes;

type Part<Spec, Name extends string> = Spec extends { readonly [Key in Name]: infer Schema extends TSchema }
  ? Static<Schema>
  : undefined;

/** What a handler of a route gets, checked. */
export interface Asked<Name extends RouteName> {
  readonly params: Part<(typeof routes)[Name], "params">;
  readonly query: Part<(typeof routes)[Name], "query">;
  readonly body: Part<(typeof routes)[Name], "body">;
}

/** What it answers. */
export type Answered<Name extends RouteName> = Part<(typeof routes)[Name], "response">;
