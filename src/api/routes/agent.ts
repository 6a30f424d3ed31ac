/** What an enrolled device asks. */
import { Type } from "typebox";
import { apiLimits } from "../api-limits.ts";
import { Action, Assignment, Report, ReportAnswers, Reports } from "../schemas/actions.ts";
import { record } from "../schemas/basics.ts";
import { Device, FactsChange } from "../schemas/devices.ts";
import { Enrolment, RenewalRequest, Trust } from "../schemas/enrolment.ts";
import { route, Sequence } from "./route-spec.ts";

export const agentRoutes = {
  renewCertificate: route({
    method: "POST",
    path: "/v1/agent/certificate",
    caller: "agent",
    summary: "a new certificate for this device",
    body: RenewalRequest,
    status: 201,
    response: Enrolment,
  }),
  changeFacts: route({
    method: "PATCH",
    path: "/v1/agent/facts",
    caller: "agent",
    summary: "what changed among the facts of this device",
    body: FactsChange,
    bodyBytes: apiLimits.factsBodyBytes,
    status: 200,
    response: record({ revision: Type.Integer({ minimum: 0 }) }),
  }),
  poll: route({
    method: "GET",
    path: "/v1/agent/actions",
    caller: "agent",
    summary: "what this device has to do; waits while nothing is newer than `after`",
    query: record({
      after: Type.Optional(Sequence),
      waitMs: Type.Optional(Type.Integer({ minimum: 0, maximum: apiLimits.pollMs })),
    }),
    status: 200,
    response: Assignment,
  }),
  report: route({
    method: "POST",
    path: "/v1/agent/reports",
    caller: "agent",
    summary: "a step of an action; sent again under its key, it counts once",
    body: Report,
    status: 200,
    response: Action,
  }),
  reportAll: route({
    method: "POST",
    path: "/v1/agent/report-batches",
    caller: "agent",
    summary: "several steps at once, each taken or declined by itself",
    body: Reports,
    status: 200,
    response: ReportAnswers,
  }),
  leave: route({
    method: "POST",
    path: "/v1/agent/departure",
    caller: "agent",
    summary: "this device leaves for good; its certificate is good for nothing afterwards",
    status: 200,
    response: Device,
  }),
  trust: route({
    method: "GET",
    path: "/v1/agent/trust",
    caller: "agent",
    summary: "what a machine pins at its enrolment: the catalog's root and the authors of hotpatches",
    status: 200,
    response: Trust,
  }),
  catalogMetadata: route({
    method: "GET",
    path: "/v1/catalog/metadata/{metadataFile}",
    caller: "agent",
    summary: "a metadata file of the catalog (TUF), as it is; the agent verifies it",
    params: record({
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
    params: record({
      hotpatchFile: Type.String({ pattern: "^[0-9a-f]{64}\\.[0-9A-Za-z][0-9A-Za-z._@+-]{0,159}\\.hotpatch$" }),
    }),
    status: 200,
    mediaType: "application/octet-stream",
  }),
};
